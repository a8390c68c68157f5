"""partial, reduce, caching, dispatch, cmp_to_key, cached_property."""
import functools
print(functools.reduce(lambda a, b: a * 10 + b, [1, 2, 3]), functools.reduce(max, [3, 9, 2], 5), functools.partial(int, base=2)("101"), functools.partial(print, 1, sep="-")(2, 3), sorted([3, 11, 2], key=functools.cmp_to_key(lambda a, b: (str(a) > str(b)) - (str(a) < str(b)))))
@functools.lru_cache(maxsize=2)
def f(x): print("computing", x); return x * x
print([f(1), f(2), f(1), f(3), f(2), f(1)], f.cache_info()); f.cache_clear(); print(f.cache_info().currsize)
@functools.singledispatch
def kind(x): return "object"
@kind.register
def _(x: int): return "int"
@kind.register(list)
@kind.register(tuple)
def _(x): return f"seq of {[kind(y) for y in x]}"
print(kind(1), kind(True), kind("s"), kind([1, (2, "x")]), kind.dispatch(bool) is kind.dispatch(int))
class C:
    @functools.cached_property
    def v(self): print("once"); return 5
    @functools.singledispatchmethod
    def m(self, x): return "any"
    @m.register
    def _(self, x: str): return "str"
    @functools.partialmethod
    def never(self): pass
    half = functools.partialmethod(lambda self, a, b: (a, b), 1)
c = C(); print(c.v, c.v, c.m("x"), c.m(1), c.half(2)); del c.v; print(c.v)
p = functools.partial(divmod, 17); print(p(5), p.func.__name__, p.args, p.keywords)
try: functools.reduce(max, [])
except TypeError as e: print(type(e).__name__)
try: f([])
except TypeError as e: print(type(e).__name__)
