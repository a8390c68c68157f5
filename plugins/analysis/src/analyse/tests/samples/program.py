"""An inventory with prices, kept in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import tomllib
except ImportError:
    tomllib = None

__all__ = ["Inventory", "Item", "load", "main"]

T = TypeVar("T")
LOGGER = logging.getLogger(__name__)
PATTERN = re.compile(r"^(?P<name>[\w ]+)\s*[:=]\s*(?P<price>\d+(?:\.\d+)?)$")


class Priced(Protocol):
    price: float


@dataclasses.dataclass(order=True, frozen=True)
class Item:
    name: str
    price: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)

    @property
    def label(self) -> str:
        return f"{self.name!r:>10}: {self.price:.{2}f}"

    @classmethod
    def parse(cls, line: str) -> Item | None:
        if not (found := PATTERN.match(line.strip())):
            return None
        return cls(found["name"].strip(), float(found["price"]))


class Box(Generic[T]):
    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def map(self, function: Callable[[T], T]) -> Box[T]:
        return Box(function(self._value))


class Stack[Element]:
    """A stack with a bound."""

    limit = 10
    names = [f"{n}" for n in range(limit)]

    def __init__(self, *elements: Element, limit: int = limit):
        self.elements: list[Element] = [*elements]
        self.limit = limit

    def push(self, element: Element) -> None:
        if len(self.elements) >= self.limit:
            raise OverflowError(f"more than {self.limit} in {__class__.__name__}")
        self.elements.append(element)

    def __iter__(self) -> Iterator[Element]:
        yield from reversed(self.elements)

    @cached_property
    def size(self) -> int:
        return len(self.elements)


class Inventory:
    def __init__(self, items: list[Item] | None = None):
        self._items = {item.name: item for item in items or ()}
        self._log = defaultdict(list)

    def __getitem__(self, name):
        return self._items[name]

    @overload
    def find(self, key: str) -> Item: ...
    @overload
    def find(self, key: int) -> list[Item]: ...

    def find(self, key):
        match key:
            case str():
                return self[key]
            case int(amount) if amount > 0:
                return sorted(self._items.values(), key=lambda item: -item.price)[:amount]
            case [first, *rest] | (first, *rest):
                return [self.find(first), *map(self.find, rest)]
            case {"name": name, **others}:
                LOGGER.debug("ignored %s", others)
                return self.find(name)
            case _:
                raise TypeError(key)

    @contextmanager
    def changing(self):
        before = dict(self._items)
        try:
            yield self
        except Exception as error:
            self._items = before
            LOGGER.error("undone: %s", error)
            raise
        else:
            LOGGER.info("kept")


def counted(function):
    calls = 0

    @wraps(function)
    def inner(*args, **kwargs):
        nonlocal calls
        calls += 1
        inner.calls = calls
        return function(*args, **kwargs)

    return inner


@counted
def load(path: Path, /, *, strict: bool = False) -> Inventory:
    items = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        item = Item.parse(line)
        if item is None:
            if strict:
                raise ValueError(f"{path}:{number}: {line!r}")
            continue
        items.append(item)
    else:
        LOGGER.debug("read %d", len(items))
    return Inventory(items)


async def fetch(names: list[str]) -> dict[str, int]:
    async def one(name):
        await asyncio.sleep(0)
        return name, len(name)

    async with asyncio.timeout(1):
        results = await asyncio.gather(*(one(name) for name in names))
    return {name: length async for name, length in _walk(results)}


async def _walk(results):
    for result in results:
        yield result


def main(arguments=None):
    global _last
    with suppress(FileNotFoundError), open("settings.json") as stream:
        _last = json.load(stream)
    while (line := next(iter(arguments or []), None)) is not None:
        print(line)
        break
    total = sum(x * y for x, y in zip(range(3), range(3), strict=True) if x if y)
    print(total, later(), tomllib and tomllib.loads("a = 1"))
    return 0


def later():
    return CONSTANT


type Pair[A, B = int] = tuple[A, B]
CONSTANT: Pair[int] = 1, 2
_last = None

if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
