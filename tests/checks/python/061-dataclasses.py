"""Fields, defaults, ordering, freezing, post-init, inheritance, replace."""
from dataclasses import dataclass, field, replace, asdict, astuple, fields, FrozenInstanceError, InitVar, KW_ONLY
from typing import ClassVar
@dataclass(order=True)
class Item:
    name: str
    price: float = 1.5
    tags: list = field(default_factory=list, compare=False)
    count: ClassVar[int] = 0
    scale: InitVar[int] = 1
    total: float = field(init=False, repr=False)
    def __post_init__(self, scale): self.total = self.price * scale; Item.count += 1
@dataclass(frozen=True, slots=True)
class Point:
    x: int; y: int = 0
    def moved(self, dx): return replace(self, x=self.x + dx)
@dataclass
class Sub(Item):
    _: KW_ONLY
    extra: str = "e"
a, b = Item("a"), Item("b", 2.0, ["t"], 3)
print(a, b, a < b, a == Item("a"), b.total, Item.count, sorted([b, a])[0].name, Sub("s", extra="x"))
p = Point(1); print(p, p.moved(4), hash(p) == hash(Point(1, 0)), {p: 1}[Point(1)], astuple(p), asdict(Sub("n", tags=["q"])), [f.name for f in fields(Item)])
try: p.x = 5
except FrozenInstanceError as e: print(type(e).__name__, e)
for src in ("Item()", "Sub('a', 1, [], 1, 'pos')", "Point(1, 2, 3)"):
    try: eval(src)
    except TypeError as e: print(type(e).__name__)
try:
    @dataclass
    class Bad: x: list = []
except ValueError as e: print(e)
try:
    @dataclass
    class Bad2:
        x: int = 1
        y: str
except TypeError as e: print(type(e).__name__)
