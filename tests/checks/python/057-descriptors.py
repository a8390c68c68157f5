"""Data and non-data descriptors, __set_name__, property by hand."""
class Typed:
    def __init__(self, kind): self.kind = kind
    def __set_name__(self, owner, name): self.name = "_" + name; print("set name", owner.__name__, name)
    def __get__(self, obj, owner=None): return self if obj is None else getattr(obj, self.name, None)
    def __set__(self, obj, value):
        if not isinstance(value, self.kind): raise TypeError(f"{self.name[1:]} wants {self.kind.__name__}")
        setattr(obj, self.name, value)
class Lazy:
    def __init__(self, f): self.f = f
    def __set_name__(self, o, n): self.n = n
    def __get__(self, obj, owner):
        print("computing"); v = obj.__dict__[self.n] = self.f(obj); return v
class P:
    name = Typed(str); age = Typed(int)
    @Lazy
    def big(self): return self.age * 100
    @property
    def both(self): return self.name, self.age
    @both.setter
    def both(self, v): self.name, self.age = v
    @both.deleter
    def both(self): print("deleted")
p = P(); p.both = "Al", 3; print(p.both, p.big, p.big, vars(p), type(P.name).__name__)
del p.both
for f in (lambda: setattr(p, "age", "x"), lambda: setattr(P, "big", 1) or p.big, lambda: P().big):
    try: print(f())
    except TypeError as e: print(e)
class S:
    @staticmethod
    def s(x): return x
    @classmethod
    def c(cls): return cls.__name__
class S2(S): pass
print(S.s(1), S2().s(2), S2.c(), S().c(), type(S.__dict__["s"]).__name__)
