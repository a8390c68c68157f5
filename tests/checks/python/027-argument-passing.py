"""Positional-only, keyword-only, defaults, and the errors of wrong calls."""
def f(a, b=2, /, c=3, *args, d, e=5, **kw): return (a, b, c, args, d, e, kw)
print(f(1, d=4), f(1, 9, 8, 7, 6, d=0, z=1, a="kw"))
def g(x, y): return x - y
for call in ("g(1)", "g(1, 2, 3)", "g(1, x=2)", "g(1, z=2)", "f(1)", "f(d=1)", "len()", "g(*[1], **{'y': 2})", "(lambda: 1)(2)", "print(1, foo=2)", "g()", "int('1', bas=2)"):
    try:
        print(call, eval(call))
    except TypeError as e:
        print(call, "->", type(e).__name__)
import inspect
print(inspect.signature(f), f.__kwdefaults__, f.__defaults__, f.__code__.co_argcount, f.__name__, f.__doc__, f.__qualname__)
