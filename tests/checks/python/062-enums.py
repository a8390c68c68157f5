"""Enum, IntEnum, Flag, auto, aliases, methods and lookups."""
from enum import Enum, IntEnum, Flag, IntFlag, auto, unique
class Color(Enum):
    RED = 1; GREEN = 2; CRIMSON = 1
    def nice(self): return self.name.title()
    @classmethod
    def default(cls): return cls.GREEN
class Level(IntEnum): LOW = 1; HIGH = 10
class Perm(Flag): R = auto(); W = auto(); X = auto(); RW = R | W
print(Color.RED, repr(Color.RED), Color.CRIMSON is Color.RED, list(Color), Color(2), Color["GREEN"], Color.RED.nice(), Color.default(), len(Color), list(Color.__members__), Color.RED == 1, Color.RED in Color)
print(Level.HIGH > Level.LOW, Level.HIGH + 1, sorted([Level.HIGH, Level.LOW]), f"{Level.LOW}", Level(10) is Level.HIGH, isinstance(Level.LOW, int), repr(Level.LOW))
print(Perm.R | Perm.W == Perm.RW, Perm.RW & Perm.W, Perm.R in Perm.RW, bool(Perm.R & Perm.X), ~Perm.R, Perm(0), repr(Perm.R | Perm.X), Perm.RW.value)
for f in (lambda: Color(9), lambda: Color["NO"], lambda: setattr(Color, "RED", 5), lambda: Color.RED < Color.GREEN):
    try: f()
    except Exception as e: print(type(e).__name__, e)
try:
    @unique
    class U(Enum): A = 1; B = 1
except ValueError as e: print(e)
Dyn = Enum("Dyn", "a b c"); print(list(Dyn), Dyn.b.value, {Color.RED: "r"}[Color.CRIMSON])
