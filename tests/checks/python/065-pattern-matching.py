"""match with literals, sequences, mappings, classes, guards, or, as."""
from dataclasses import dataclass
from enum import Enum
@dataclass
class P: x: int; y: int
class K(Enum): A = 1; B = 2
def m(v):
    match v:
        case None | True | False: return f"singleton {v}"
        case 0 | 1.5: return "literal"
        case K.A: return "enum A"
        case int(n) if n < 0: return f"negative {n}"
        case int(): return "int"
        case str() as s if s.startswith("x"): return f"x-string {s}"
        case "go" | "run" as w: return f"word {w}"
        case str(): return "str"
        case []: return "empty"
        case [x]: return f"one {x!r}"
        case ["cmd", ("a" | "b") as k, *rest]: return f"cmd {k} {rest}"
        case [P(x=0), *_]: return "starts at x 0"
        case [x, y, *_, z]: return f"many {x} {y} {z}"
        case (x, y): return f"pair {x} {y}"
        case {"type": "c", "r": r, **rest}: return f"circle {r} {rest}"
        case {"pos": P(x, y)}: return f"pos {x},{y}"
        case {}: return "mapping"
        case P(0, 0): return "origin"
        case P(x, y=5): return f"y5 {x}"
        case P(): return "point"
        case _: return f"other {type(v).__name__}"
for v in (None, True, 0, 1, 1.5, K.A, K.B, -4, 7, "xyz", "go", "hm", [], [3], (4,), ["cmd", "a", 1, 2], ["cmd", "z", 1], [P(0, 9), 1], [1, 2], (1, 2, 3, 4), {"type": "c", "r": 2, "k": 3}, {"pos": P(1, 2)}, {}, {"z": 1}, P(0, 0), P(3, 5), P(1, 1), {1, 2}, b"ab", range(3), 2j):
    print(repr(v), "->", m(v))
match 5:
    case x if x > 9: print("no")
print(x)
