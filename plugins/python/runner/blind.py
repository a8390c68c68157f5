"""Compares an object of the code with a value of the tests that the code must not see.

The operator of the object's class gets a blank in the place of the value: something
that says of which type it is, and nothing else. What the class compares the blank with,
or computes with it, is the value that the object stands for. The tests are told that
value and do the rest themselves. Whoever does not know what is expected cannot adapt
to it, and an operator that must look at the value has no answer.
"""

import operator

_COMPARING = {
    # What is right where the blank is smaller, equal, greater.
    "eq": (False, True, False), "lt": (False, False, True), "le": (False, True, True),
    "gt": (True, False, False), "ge": (True, True, False),
}  # fmt: skip
_HOLDS = {"eq": (1,), "ne": (0, 2), "lt": (0,), "le": (0, 1), "gt": (2,), "ge": (1, 2)}
_EITHER_WAY = {"add", "mul"}
_BINARY = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor divmod".split()
_CLOSED = (
    "hash bool str repr format bytes int float complex index len iter next contains getitem reversed length_hint "
    "neg pos abs invert round trunc floor ceil fspath call enter exit setitem delitem"
).split()


class Looked(BaseException):
    """The value itself is needed. Nothing that the code's own handlers catch."""


class Blank:
    """Says of which type it is."""

    __slots__ = "_kind", "_place", "_said"

    def __init__(self, kind, place, said):
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_place", place)
        object.__setattr__(self, "_said", said)

    def __getattribute__(self, name):
        kind = object.__getattribute__(self, "_kind")
        if name == "__class__":
            return kind
        if callable(getattr(kind, name, None)):
            return _closed
        if hasattr(kind, name):
            raise Looked
        raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name, value):
        raise Looked


class _Term:
    """What came of computing with a blank."""

    def __init__(self, name, value, first):
        self.name, self.value, self.first = name, value, first


def _closed(*_):
    raise Looked


def _compared(name):
    def compare(self, other):
        if type(other) is Blank:
            raise Looked
        object.__getattribute__(self, "_said").append(other)
        return object.__getattribute__(self, "_place") in _HOLDS[name]

    return compare


def _computed(name, first):
    return lambda self, other, *rest: _closed() if rest or type(other) is Blank else _Term(name, other, first)


for _name in _CLOSED:
    setattr(Blank, f"__{_name}__", _closed)
for _name in _HOLDS:
    setattr(Blank, f"__{_name}__", _compared(_name))
for _name in _BINARY:
    setattr(Blank, f"__{_name}__", _computed(_name, False))
    setattr(Blank, f"__r{_name}__", _computed(_name, True))


def answer(one, name, reflected, kind):
    """What an operator of an object makes of a value of a type: a word, and the value that the object stands for."""
    function = getattr(type(one), f"__{'r' if reflected else ''}{name}__", None)
    if function is None:
        return "unsupported", None
    return _compare(function, one, name, kind) if name in _COMPARING else _compute(function, one, name, reflected, kind)


def _compare(function, one, name, kind):
    said, results = [], []
    for place in range(3):
        try:
            results.append(function(one, Blank(kind, place, said)))
        except Looked:
            return "looks", None
        except Exception:
            if said:
                return "looks", None
            raise
    if all(result is NotImplemented for result in results) and not said:
        return "unsupported", None
    if any(type(result) is not bool for result in results):
        return "no bool", None
    if not said:
        return ("anything" if any(results) else "nothing"), None
    first = said[0]
    if tuple(results) != _COMPARING[name] or any(type(other) is not type(first) or not (other is first or operator.eq(other, first)) for other in said):
        return "looks", None
    return "value", first


def _compute(function, one, name, reflected, kind):
    try:
        result = function(one, Blank(kind, 1, []))
    except (Looked, Exception):
        return "unknown", None
    if type(result) is not _Term or result.name != name or (result.first is reflected and name not in _EITHER_WAY):
        return "unknown", None
    return "value", result.value
