"""Abstract classes, virtual subclasses, abstract properties, collections.abc."""
from abc import ABC, abstractmethod
from collections.abc import *
class Shape(ABC):
    @property
    @abstractmethod
    def name(self): ...
    @abstractmethod
    def area(self): return 1
    def __str__(self): return f"{self.name}:{self.area()}"
class Sq(Shape):
    name = "sq"
    def area(self): return super().area() * 9
print(Sq(), Shape.__abstractmethods__ == {"name", "area"}, issubclass(Sq, Shape))
for c in (Shape, type("Half", (Shape,), {"name": "h"})):
    try: c()
    except TypeError as e: print(type(e).__name__)
@Shape.register
class V: pass
print(isinstance(V(), Shape), isinstance([], Sequence), isinstance({}, Mapping), isinstance(iter([]), Iterator), isinstance(len, Callable), isinstance(5, Hashable), isinstance([], Hashable), issubclass(set, MutableSet))
class MySeq(Sequence):
    def __init__(self, *a): self.a = a
    def __getitem__(self, i): return self.a[i]
    def __len__(self): return len(self.a)
s = MySeq(3, 1, 3); print(list(s), 1 in s, s.index(1), s.count(3), list(reversed(s)))
class D(MutableMapping):
    def __init__(self): self.d = {}
    def __getitem__(self, k): return self.d[k]
    def __setitem__(self, k, v): print("set", k); self.d[k] = v
    def __delitem__(self, k): del self.d[k]
    def __iter__(self): return iter(self.d)
    def __len__(self): return len(self.d)
d = D(); d.update(a=1); d.setdefault("b", 2); print(dict(d), d.pop("a"), "a" in d, d == {"b": 2}, list(d.items()))
