"""In which order operands, keys, defaults, targets and decorators are evaluated."""
def t(x): print(x, end=" "); return x
class D(dict):
    def __setitem__(self, k, v): print(f"[{k}]={v}", end=" ")
print(t(1) + t(2) * t(3), t(4) if t(5) else t(6), [t(7), t(8)], {t("k"): t("v")}, t(9) < t(10) < t(11))
d = D(); d[t("a")], d[t("b")] = t(1), t(2); d[t("c")] = d[t("e")] = t(3); print()
def f(a=t("default a"), *, b=t("default b")): return a, b
print(f(t("x"), b=t("y")), (t(print) and t)(t("arg"))); x = [0, 1, 2]; i = 0
i, x[i] = t(2), t("set"); print(x); x[t(1)] += t(10) ; print(x); l = lambda a=t("lambda default"): a; print(l())
def deco(n): t(f"make {n}"); return lambda g: (t(f"apply {n}"), g)[1]
@deco(1)
@deco(2)
def g(p: t("annotation") if False else int = t("dflt")): pass
class B(t(object), metaclass=t(type)): y = t("body")
print(); del x[t(0)]; print(x, t(0) or t("") or t([]), t(1) and t(0) and t(2), not t(0)); assert t(1), t("unused"); print(*[t(i) for i in range(2)], sep=t("-"))
with __import__("contextlib").nullcontext(t("cm1")) as a, __import__("contextlib").nullcontext(t("cm2")): print(a)
