"""Values that cross between two instances, as JSON.

Values of exactly the built-in types cross by value; everything else stays where it
is and is referred to. Mutable containers are numbered in the order in which they
are met, on both sides alike: shared and cyclic ones keep their shape, and an answer
can name those of its question.

    scalars        null, booleans, numbers, text as they are in JSON
    ["i", hex]     integers that JSON readers may refuse
    ["l", …] …     containers, with their items behind the tag
    ["r", n]       the container with number n of this message
    ["m", n]       the container with number n of the question
    ["o", n]       an object of the receiver
    ["h", n, c]    an object of the sender, of its class c
    ["w", n, c, v] the same for an object that is a value, too, with the value
    ["c", n]       a class of the sender
"""

import base64
import builtins
import collections
import datetime
import decimal
import fractions
import json
import math
import operator
import pathlib
import re
import uuid

LIMIT = 16 * 1024 * 1024
DEPTH = 200
_LEVELS = 3 * DEPTH

_SAFE_INT = 1 << 62
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

ERRORS = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
}
_ERROR_NAMES = {kind: name for name, kind in ERRORS.items()}
_NAMED = {
    name: getattr(builtins, name)
    for name in (
        "int float str bool list tuple dict set frozenset bytes bytearray complex range slice object "
        "len abs min max sum sorted ord chr round pow divmod"
    ).split()
}
_NAMED.update({f"operator.{name}": getattr(operator, name) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "xor", "concat")})  # fmt: skip
_NAMED.update({f"math.{name}": getattr(math, name) for name in ("sin", "cos", "tan", "sqrt", "exp", "log", "floor", "ceil", "gcd", "pow", "atan", "fabs")})  # fmt: skip
_NAMED.update({"none": type(None), "decimal": decimal.Decimal, "fraction": fractions.Fraction, "uuid": uuid.UUID})
_NAMED.update({f"datetime.{name}": getattr(datetime, name) for name in ("date", "datetime", "time", "timedelta", "timezone")})
_NAMED.update({f"collections.{name}": getattr(collections, name) for name in ("deque", "OrderedDict", "Counter", "defaultdict")})
_NAMED.update({f"pathlib.{name}": getattr(pathlib, name) for name in ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath")})
_NAMES = {id(value): name for name, value in _NAMED.items()}
_DATES = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}

_PATHS = {kind.__name__: kind for kind in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath)}
_VIEWS = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}

MUTABLE = (list, dict, set, bytearray, collections.deque, collections.OrderedDict, collections.Counter, collections.defaultdict)  # fmt: skip
_MAPPINGS = {dict: "d", collections.OrderedDict: "O", collections.Counter: "C"}
_BY_VALUE = {*MUTABLE, *_DATES.values(), type(None), bool, int, float, str, tuple, frozenset, bytes, complex, range, slice, type(Ellipsis), decimal.Decimal, fractions.Fraction, datetime.timedelta, uuid.UUID, *_PATHS.values(), *_VIEWS.values()}  # fmt: skip
# Those that an object may be compared with.
COMPARED = _BY_VALUE - {type(None), type(Ellipsis), slice}
COMPARED_NAMES = {kind.__name__: kind for kind in COMPARED}
_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_loads = json.JSONDecoder().decode


# What a class can refine and still be a value, with how its value is told without running anything of that class.
_WHOLE = slice(None)
FIELDS = {
    datetime.datetime: ("year month day hour minute second microsecond tzinfo", ["fold"]),
    datetime.date: ("year month day", []),
    datetime.time: ("hour minute second microsecond tzinfo", ["fold"]),
    datetime.timedelta: ("days seconds microseconds", []),
}


def _moment(kind):
    names, more = FIELDS[kind]

    def told(value):
        parts = [getattr(kind, name).__get__(value) for name in names.split()]
        return kind(*parts, **{name: getattr(kind, name).__get__(value) for name in more})

    return told


FIXED = {
    int: int.__pos__,
    float: float.__pos__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, _WHOLE),
    tuple: lambda value: tuple.__getitem__(value, _WHOLE),
    frozenset: lambda value: frozenset(list(frozenset.__iter__(value))),
    decimal.Decimal: decimal.Decimal,
    fractions.Fraction: lambda value: fractions.Fraction(*[fractions.Fraction.__dict__[name].__get__(value) for name in ("_numerator", "_denominator")]),
    **{kind: _moment(kind) for kind in FIELDS},
}  # fmt: skip
CHANGING = {
    list: lambda value: list(list.__iter__(value)),
    dict: dict.copy,
    set: lambda value: set(list(set.__iter__(value))),
    bytearray: lambda value: bytearray.__getitem__(value, _WHOLE),
    collections.deque: lambda value: collections.deque(list(collections.deque.__iter__(value)), collections.deque.maxlen.__get__(value)),
    collections.OrderedDict: lambda value: collections.OrderedDict(list(collections.OrderedDict.items(value))),
    collections.Counter: lambda value: collections.Counter(dict.copy(value)),
    collections.defaultdict: lambda value: collections.defaultdict(collections.defaultdict.default_factory.__get__(value), dict.copy(value)),
}  # fmt: skip
BASES = {kind.__name__: kind for kind in (*FIXED, *CHANGING)}


def base_of(kind):
    """The built-in type that a class refines, or None if its objects are no values."""
    for base in type.__dict__["__mro__"].__get__(kind):
        if base in FIXED or base in CHANGING:
            return None if base is kind else base
    return None


def value_of(thing, base):
    """What an object of a refined type holds, of exactly the built-in type."""
    return (FIXED.get(base) or CHANGING[base])(thing)


class Malformed(Exception):
    """A message that no runner would have sent."""


def crosses(value):
    """Whether a value crosses as itself."""
    return type(value) in _BY_VALUE or type(value) in _ERROR_NAMES or id(value) in _NAMES


def dump(message):
    return _dumps(message).encode("ascii")


def load(data):
    """What a message says, refused before it is read if reading it would be dangerous."""
    if type(data) is not bytes or len(data) > LIMIT:
        raise Malformed("it is too long")
    if data.count(b"[") + data.count(b"{") > _LEVELS:
        rest = _STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS)
        for _ in range(_LEVELS):
            if not rest:
                break
            rest = rest.replace(b"[]", b"").replace(b"{}", b"")
        else:
            raise Malformed("it is nested too deeply")
    message = _loads(data.decode("ascii"))
    if type(message) is not dict:
        raise Malformed("it is no object")
    return message


class Encoder:
    """Turns the values of one message into JSON."""

    def __init__(self, link, question=()):
        self.link = link
        self.numbers = {}
        self.containers = []
        self.question = {id(value): at for at, value in enumerate(question)}

    def put(self, value, depth=0):
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -_SAFE_INT < value < _SAFE_INT else ["i", hex(value)]
        if kind is str:
            if value.isascii():
                return value
            try:
                value.encode("utf-8")
                return value
            except UnicodeEncodeError:
                return ["s", [ord(character) for character in value]]
        if kind is float:
            return value if value - value == 0 else ["f", repr(value)]
        if depth >= DEPTH:
            raise RecursionError(f"the value has more than {DEPTH} levels, which do not cross between tests and code")
        if kind is tuple:
            return ["t", *[self.put(item, depth + 1) for item in value]]
        if kind in MUTABLE:
            return self.container(value, depth)
        return self.other(value, kind, depth)

    def container(self, value, depth):
        key = id(value)
        if key in self.question:
            return ["m", self.question[key]]
        if key in self.numbers:
            return ["r", self.numbers[key]]
        self.numbers[key] = len(self.containers)
        self.containers.append(value)
        return self.content(value, depth)

    def refilled(self, value):
        """The new content of a container of the question."""
        self.containers.append(value)
        return self.content(value)

    def content(self, value, depth=0):
        kind = type(value)
        if kind is list:
            return ["l", *[self.put(item, depth + 1) for item in value]]
        if kind is set:
            return ["S", *[self.put(item, depth + 1) for item in value]]
        if kind is bytearray:
            return ["B", base64.b64encode(value).decode()]
        if kind is collections.deque:
            return ["Q", value.maxlen, *[self.put(item, depth + 1) for item in value]]
        parts = [_MAPPINGS[kind]] if kind in _MAPPINGS else ["A", self.put(value.default_factory, depth + 1)]
        for key, item in value.items():
            parts.append(self.put(key, depth + 1))
            parts.append(self.put(item, depth + 1))
        return parts

    def other(self, value, kind, depth):
        if kind is frozenset:
            return ["F", *[self.put(item, depth + 1) for item in value]]
        if kind is bytes:
            return ["b", base64.b64encode(value).decode()]
        if kind is complex:
            return ["z", self.put(value.real), self.put(value.imag)]
        if kind is range:
            return ["R", self.put(value.start), self.put(value.stop), self.put(value.step)]
        if kind is slice:
            return ["L", *[self.put(item, depth + 1) for item in (value.start, value.stop, value.step)]]
        if value is Ellipsis:
            return ["E"]
        if value is NotImplemented:
            return ["N"]
        if kind is decimal.Decimal:
            return ["D", str(value)]
        if kind is fractions.Fraction:
            return ["q", self.put(value.numerator), self.put(value.denominator)]
        if kind is datetime.timedelta:
            return ["T", "timedelta", value.days, value.seconds, value.microseconds]
        if kind in _DATES.values():
            zone = getattr(value, "tzinfo", None)
            if zone is None or type(zone) is datetime.timezone and zone.tzname(None) == datetime.timezone(zone.utcoffset(None)).tzname(None):
                return ["T", kind.__name__, value.isoformat(), getattr(value, "fold", 0)]
        if kind is uuid.UUID:
            return ["U", str(value)]
        if kind in _PATHS.values():
            return ["P", kind.__name__, str(value)]
        for name, view in _VIEWS.items():
            if kind is view:
                return ["V", name, *[self.put(item, depth + 1) for item in value]]
        name = _NAMES.get(id(value))
        if name is not None:
            return ["y", name]
        if kind in _ERROR_NAMES:
            return self.error(value, depth)
        if isinstance(value, type) and value in _ERROR_NAMES:
            return ["Y", _ERROR_NAMES[value]]
        return self.link.refer(value, self, depth)

    def error(self, value, depth):
        args = self.put(tuple(value.args), depth + 1)
        cause = value.__cause__
        cause = self.put(cause, depth + 1) if cause is not None and depth < 5 else None
        return ["e", _ERROR_NAMES[type(value)], args, cause]


class Decoder:
    """Turns the JSON of one message into values. Everything in it may be forged."""

    def __init__(self, link, question=()):
        self.link = link
        self.question = question
        self.containers = []

    def take(self, data, depth=0):
        kind = type(data)
        if kind is not list:
            if data is None or kind in (bool, int, float, str):
                return data
            raise Malformed("there is an object where a value belongs")
        if depth > DEPTH + 5:
            raise Malformed("a value is nested too deeply")
        tag = data[0]
        if type(tag) is not str:
            raise Malformed("a value has no tag")
        method = _TAKE.get(tag)
        if method is None:
            raise Malformed("a value has an unknown tag")
        return method(self, data, depth + 1)

    def begin(self, made):
        self.containers.append(made)
        return made

    def items(self, data, depth, start=1):
        return [self.take(item, depth) for item in data[start:]]

    def list(self, data, depth):
        made = self.begin([])
        made.extend(self.items(data, depth))
        return made

    def tuple(self, data, depth):
        return tuple(self.items(data, depth))

    def pairs(self, made, data, depth, start):
        items = self.items(data, depth, start)
        if len(items) % 2:
            raise Malformed("a mapping has a key without a value")
        for at in range(0, len(items), 2):
            made[items[at]] = items[at + 1]
        return made

    def dict(self, data, depth):
        return self.pairs(self.begin({}), data, depth, 1)

    def ordered(self, data, depth):
        return self.pairs(self.begin(collections.OrderedDict()), data, depth, 1)

    def counter(self, data, depth):
        return self.pairs(self.begin(collections.Counter()), data, depth, 1)

    def default(self, data, depth):
        made = self.begin(collections.defaultdict())
        factory = self.take(data[1], depth)
        if factory is not None and not callable(factory):
            raise Malformed("a defaultdict has a factory that cannot be called")
        made.default_factory = factory
        return self.pairs(made, data, depth, 2)

    def set(self, data, depth):
        made = self.begin(set())
        made.update(self.items(data, depth))
        return made

    def frozenset(self, data, depth):
        return frozenset(self.items(data, depth))

    def bytearray(self, data, depth):
        return self.begin(bytearray(_bytes(data[1])))

    def deque(self, data, depth):
        if data[1] is not None and type(data[1]) is not int:
            raise Malformed("a deque has a length that is no number")
        made = self.begin(collections.deque((), data[1]))
        made.extend(self.items(data, depth, 2))
        return made

    def bytes(self, data, depth):
        return _bytes(data[1])

    def integer(self, data, depth):
        return int(_text(data[1]), 16)

    def text(self, data, depth):
        return "".join([chr(_number(code)) for code in data[1]])

    def real(self, data, depth):
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[data[1]]

    def complex(self, data, depth):
        real, imaginary = self.take(data[1], depth), self.take(data[2], depth)
        if type(real) is not float or type(imaginary) is not float:
            raise Malformed("a complex number is made of something else")
        made = complex(real, imaginary)
        return made

    def range(self, data, depth):
        return range(*[_number(item) for item in self.items(data, depth)])

    def slice(self, data, depth):
        start, stop, step = self.items(data, depth)
        return slice(start, stop, step)

    def decimal(self, data, depth):
        return decimal.Decimal(_text(data[1]))

    def fraction(self, data, depth):
        top, bottom = self.items(data, depth)
        return fractions.Fraction(_number(top), _number(bottom))

    def date(self, data, depth):
        if data[1] == "timedelta":
            return datetime.timedelta(*[_number(item) for item in data[2:5]])
        made = _DATES[data[1]].fromisoformat(_text(data[2]))
        return made.replace(fold=1) if data[3] == 1 else made

    def again(self, data, depth):
        return self.containers[_index(data[1])]

    def mine(self, data, depth):
        return self.question[_index(data[1])]

    def named(self, data, depth):
        return _NAMED[data[1]]

    def error_type(self, data, depth):
        return ERRORS[data[1]]

    def error(self, data, depth):
        _, name, args, cause = data
        kind = ERRORS[name]
        args = self.take(args, depth)
        if type(args) is not tuple:
            raise Malformed("an exception has no arguments")
        try:
            made = kind(*args)
        except Exception:
            made = kind.__new__(kind)
            made.args = args
        if cause is not None:
            cause = self.take(cause, depth)
            if isinstance(cause, BaseException):
                made.__cause__ = cause
        return made

    def own(self, data, depth):
        return self.link.own(_index(data[1]))

    def own_method(self, data, depth):
        return self.link.own_method(_index(data[1]), _text(data[2]))

    def foreign(self, data, depth):
        return self.link.foreign(_index(data[1]), _index(data[2]))

    def foreign_value(self, data, depth):
        _, number, kind, value = data
        return self.link.foreign_value(_index(number), _index(kind), self.take(value, depth))

    def foreign_class(self, data, depth):
        return self.link.foreign_class(_index(data[1]))

    def foreign_error(self, data, depth):
        _, number, kind, args, said = data
        args = self.take(args, depth)
        if type(args) is not tuple or type(said) is not str:
            raise Malformed("an exception has no arguments")
        return self.link.foreign_error(_index(number), _index(kind), args, said)

    def uuid(self, data, depth):
        return uuid.UUID(_text(data[1]))

    def path(self, data, depth):
        return _PATHS[data[1]](_text(data[2]))

    def view(self, data, depth):
        items = self.items(data, depth, 2)
        if data[1] == "values":
            return dict(enumerate(items)).values()
        if data[1] == "items":
            if any(type(item) is not tuple or len(item) != 2 for item in items):
                raise Malformed("a pair is none")
            return dict(items).items()
        return {"keys": dict.fromkeys}[data[1]](items).keys()

    def ellipsis(self, data, depth):
        return Ellipsis

    def not_implemented(self, data, depth):
        return NotImplemented


_TAKE = {
    "l": Decoder.list, "t": Decoder.tuple, "d": Decoder.dict, "O": Decoder.ordered, "C": Decoder.counter,
    "A": Decoder.default, "S": Decoder.set, "F": Decoder.frozenset, "b": Decoder.bytes, "B": Decoder.bytearray,
    "Q": Decoder.deque, "i": Decoder.integer, "s": Decoder.text, "f": Decoder.real, "z": Decoder.complex,
    "R": Decoder.range, "L": Decoder.slice, "D": Decoder.decimal, "q": Decoder.fraction, "T": Decoder.date,
    "r": Decoder.again, "m": Decoder.mine, "y": Decoder.named, "Y": Decoder.error_type, "e": Decoder.error,
    "o": Decoder.own, "g": Decoder.own_method, "h": Decoder.foreign, "c": Decoder.foreign_class,
    "w": Decoder.foreign_value, "U": Decoder.uuid, "P": Decoder.path, "V": Decoder.view, "x": Decoder.foreign_error, "E": Decoder.ellipsis, "N": Decoder.not_implemented,
}  # fmt: skip


def _index(value):
    if type(value) is not int or value < 0:
        raise Malformed("a number is none")
    return value


def _number(value):
    if type(value) is not int:
        raise Malformed("a number is none")
    return value


def _text(value):
    if type(value) is not str:
        raise Malformed("a text is none")
    return value


def _bytes(value):
    return base64.b64decode(_text(value), validate=True)


# Changes to containers

def snapshot(containers):
    """What the containers of a question hold before it is answered."""
    return [_held(value) for value in containers]


def _held(value):
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    return bytes(value) if type(value) is bytearray else list(value)


def changed(containers, before):
    """The numbers of those that hold something else now."""
    found = []
    for at, (value, held) in enumerate(zip(containers, before)):
        now = _held(value)
        if type(now) is bytes:
            if now != held:
                found.append(at)
        elif len(now) != len(held) or any(one is not other for one, other in zip(now, held)):
            found.append(at)
    return found


def refill(target, source):
    """Gives a container the content of another one of its type."""
    kind = type(target)
    if kind is not type(source):
        raise Malformed("a container became one of another type")
    if kind is list or kind is bytearray:
        target[:] = source
    elif kind is collections.deque:
        target.clear()
        target.extend(source)
    else:
        target.clear()
        dict.update(target, source) if isinstance(target, dict) else target.update(source)
