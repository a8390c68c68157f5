"""__slots__ forbid other attributes."""
class S:
    __slots__ = ("x", "y")
    def __init__(self, x): self.x = x
class T(S): __slots__ = ("z",)
class U(S): pass
s = S(1)
for f in (lambda: s.y, lambda: setattr(s, "q", 1), lambda: s.__dict__, lambda: setattr(T(1), "w", 2)):
    try: print(f())
    except AttributeError as e: print(type(e).__name__)
u = U(2); u.any = 3; t = T(5); t.z = 6; print(u.__dict__, t.x, t.z, S.__slots__, hasattr(t, "y"))
try:
    class V: __slots__ = ("a",); a = 1
except ValueError as e: print(e)
