"""Comprehension variables stay inside; the first iterable is evaluated outside."""
x = "outer"
print([x for x in range(3)], x, {x: x * x for x in (1, 2)}, x)
class C:
    n = 3
    ok = [i for i in range(n)]
    try:
        bad = [n for i in range(1)]
    except NameError as e:
        bad = "NameError"
print(C.ok, C.bad)
fs = [lambda: i for i in range(3)]; print([f() for f in fs], [f() for f in [lambda i=i: i for i in range(3)]])
print([(a, b) for a in range(3) for b in range(a) if (a + b) % 2], [[c for c in r] for r in ["ab", "c"]], [y := 5, y ** 2], y, any((hit := v) > 2 for v in range(9)), hit)
g = (print("lazy", v) or v for v in range(2)); print("made"); print(list(g), list(g))
def f():
    try:
        return [undefined for _ in range(1)]
    except NameError as e:
        return str(e)
print(f())
