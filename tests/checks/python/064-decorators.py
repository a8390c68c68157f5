"""Decorators with arguments, stacking, wraps, on classes and methods."""
import functools
def log(prefix):
    print("building", prefix)
    def deco(f):
        print("decorating", f.__name__)
        @functools.wraps(f)
        def w(*a, **k):
            print(prefix, f.__name__, a, k); r = f(*a, **k); print(prefix, "->", r); return r
        return w
    return deco
@log("A")
@log("B")
def add(x, y=1):
    """adds"""
    return x + y
print(add(2, y=3), add.__name__, add.__doc__, add.__wrapped__.__wrapped__(1))
def once(cls):
    inst = {}
    return lambda *a: inst.setdefault(cls, cls(*a))
@once
class S:
    def __init__(self, *a): print("made", a)
print(S(1) is S(2))
class Count:
    def __init__(self, f): functools.update_wrapper(self, f); self.f, self.n = f, 0
    def __call__(self, *a): self.n += 1; return self.f(*a)
@Count
def g(x): return x * 2
print(g(2), g(3), g.n, g.__name__)
def retry(n):
    def d(f):
        def w(*a):
            for i in range(n):
                try: return f(*a, i)
                except ValueError as e: print("try", i, e)
            raise RuntimeError("gave up")
        return w
    return d
@retry(3)
def flaky(a, i):
    if i < 2: raise ValueError(i)
    return a, i
print(flaky("x"))
@(lambda f: [f, f])
def listed(): return 1
print([f() for f in listed])
