"""Hints at run time: they are not enforced, and can be inspected."""
from typing import *
T = TypeVar("T")
class Stack(Generic[T]):
    def __init__(self): self.items: list[T] = []
    def push(self, x: T) -> "Stack[T]": self.items.append(x); return self
class Shape(Protocol):
    def area(self) -> float: ...
@runtime_checkable
class Sized2(Protocol):
    def __len__(self): ...
class Movie(TypedDict, total=False): title: str; year: int
class Emp(NamedTuple):
    name: str
    id: int = 3
def f(a: int, b: str = "x", *c: float) -> bool: return a
print(f("not int"), get_type_hints(f), Stack[int]().push("s").items, isinstance([], Sized2), isinstance(5, Sized2), Movie(title="t"), Emp("e"), Emp.__annotations__ if False else Emp._fields, cast(int, "s"), get_origin(list[int]), get_args(dict[str, int]), list[int], Literal["a", 1], Callable[[int], str] is not None, T, NewType("U", int)(5), Any)
print(int | str, isinstance(1, int | str), isinstance("s", (int, list)), list[int] == list[int], dict[str, list[int]], Annotated[int, "m"].__metadata__, Final, ClassVar)
try: isinstance([], list[int])
except TypeError as e: print(type(e).__name__)
@overload
def g(x: int) -> int: ...
@overload
def g(x: str) -> str: ...
def g(x): return x
print(g(1), TYPE_CHECKING, NoReturn, assert_never.__name__)
