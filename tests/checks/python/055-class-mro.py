"""Diamonds, super chains and conflicts of the resolution order."""
class A:
    def go(self): return ["A"]
class B(A):
    def go(self): return ["B"] + super().go()
class C(A):
    def go(self): return ["C"] + super().go()
class D(B, C):
    def go(self): return ["D"] + super().go()
print(D().go(), [k.__name__ for k in D.__mro__], D.__bases__ == (B, C), issubclass(D, A), C in D.mro())
try:
    type("X", (A, B), {})
except TypeError as e:
    print(type(e).__name__)
class M:
    def __init__(self, **kw): self.log = getattr(self, "log", []) + ["M"]; super().__init__(**kw)
class N:
    def __init__(self, n=0): self.n = n
class P(M, N):
    def __init__(self): super().__init__(n=5)
print(vars(P()), super(B, D()).go(), A.go(D()), D.go.__qualname__, type(D).__name__, D.__name__)
