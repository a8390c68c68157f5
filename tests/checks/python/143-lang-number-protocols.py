"""Conversions through __int__, __index__, __float__, __round__ and the numbers tower."""
import numbers, operator
class N:
    def __init__(self, v): self.v = v
    def __index__(self): return self.v
    def __float__(self): return self.v / 2
    def __round__(self, n=None): return f"round {n}"
    def __trunc__(self): return 7
    def __floor__(self): return "floor"
    def __complex__(self): return 1j
    def __bool__(self): return self.v > 2
    def __coerce__(self, o): return 1
n = N(2); import math
print(int(n), float(n), round(n), round(n, 3), math.trunc(n), math.floor(n), complex(n), bool(n), [10, 20, 30][n], "ab" * n, range(n), hex(n), bytes(n), operator.index(n), math.sqrt(N(4)), "%d" % n if False else "-", slice(n).indices(9))
print(isinstance(1, numbers.Integral), isinstance(1.0, numbers.Rational), isinstance(True, int), issubclass(bool, int), True + True, sum([True, False]), {True: 1, 1: 2}, isinstance(1j, numbers.Complex), (5).numerator, (2.5).real, 3 .bit_length(), int.__add__(1, 2), (1).__add__("x"), 5 .__class__.__name__)
for f in (lambda: int(object()), lambda: n.nothing[1.0] if 0 else (1,).__getitem__(1.0), lambda: "a" * 1.5, lambda: range("a"), lambda: round("x"), lambda: math.floor("x")):
    try: f()
    except TypeError as e: print(type(e).__name__)
