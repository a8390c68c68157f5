"""Subclasses of int, str, list, dict, tuple, float."""
class Pos(int):
    def __new__(cls, v): return super().__new__(cls, abs(v))
    def __add__(self, o): return Pos(int(self) + o)
    def __repr__(self): return f"Pos({int(self)})"
class Up(str):
    def __new__(cls, s): return super().__new__(cls, s.upper())
    def __eq__(self, o): return str(self).lower() == str(o).lower()
    __hash__ = str.__hash__
class Def(dict):
    def __missing__(self, k): self[k] = v = k * 2; return v
class L1(list):
    def __getitem__(self, i): return super().__getitem__(i - 1) if isinstance(i, int) else "slice"
    def append(self, x): print("append", x); super().append(x)
class Pt(tuple):
    __slots__ = ()
    def __new__(cls, x, y): return tuple.__new__(cls, (x, y))
    x = property(lambda s: s[0])
class F(float):
    def __format__(self, s): return "F:" + super().__format__(s)
print(Pos(-5), Pos(-5) + 2, Pos(3) * 2, type(Pos(1) + 1).__name__, f"{Pos(-2)}", str(Pos(4)), Up("abc"), Up("a") == "A", Up("x") + "y", Up("a b").split(), type(Up("q")[0]).__name__)
d = Def(); print(d[3], d, d.get(9), 9 in d); l = L1("abc"); l.append("d"); print(l[1], l[1:], l, [*l], len(l)); p = Pt(1, 2); print(p, p.x, p == (1, 2), hash(p) == hash((1, 2)), f"{F(1.5):.2f}", F(2) / 4, F(2) == 2); x, y = p; print(x + y, sorted([Pos(-3), 2]), {Pos(1): "a"}[1], isinstance(True, int), bool.__mro__[1].__name__)
