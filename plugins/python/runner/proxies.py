"""Stand-ins for objects of the other instance.

Each class there has a real class here, with the bases that it has there as far as
they cross, so that `isinstance` and `except` work. A stand-in has the special methods
that its object has, and no others, so that `callable`, `iter` and the like tell the truth.
"""

import collections.abc
import types
import weakref

from runner import values

_BINARY = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor divmod".split()
_COMPARING = "lt le gt ge".split()
_UNARY = "neg pos abs invert trunc floor ceil".split()
_PHANTOM = {kind.__name__: kind for kind in (int, float, complex, str, bytes, list, tuple, dict, set, frozenset)}
_GENERATORS = {"generator": types.GeneratorType, "coroutine": types.CoroutineType, "function": None, "module": None}

OPERATIONS = {f"__{name}__" for name in _BINARY + _COMPARING + _UNARY}
OPERATIONS |= {f"__{kind}{name}__" for name in _BINARY for kind in "ri"}
OPERATIONS |= {
    f"__{name}__"
    for name in "call iter next len contains getitem setitem delitem reversed enter exit int float complex index round "
    "bool hash eq str repr format bytes fspath missing length_hint".split()
}
RESTRICTED = {"__call__", "__iter__", "__next__", "__len__", "__getitem__"}

_building = []


class Held:
    """What a stand-in stands for."""

    __slots__ = "link", "number", "info", "local", "written", "swayed", "said", "value", "__weakref__"

    def __init__(self, link, number, info):
        self.link = link
        self.number = number
        self.info = info
        self.local = None
        self.written = ()
        # Whether it came of a value of the tests, by an operator.
        self.swayed = False
        # What it stood for when it was compared.
        self.said = {}
        # The stand-in itself, where it is a value.
        self.value = None


class Info:
    """What is known of a class of the other instance."""

    __slots__ = "name", "module", "flags", "methods", "builtin", "made", "value", "own", "above"

    def __init__(self, name, module, flags, methods, builtin):
        self.name = name
        self.module = module
        self.flags = flags
        self.methods = methods
        self.builtin = builtin
        self.made = None
        # The built-in type that it refines, what it has of its own beside that, and the classes above it.
        self.value = None
        self.own = frozenset()
        self.above = set()


_held_of = {}


def held(value):
    """The record behind a stand-in, found without asking the stand-in itself."""
    kind = type(value)
    if type(kind) is Meta:
        try:
            if Proxy in type.__dict__["__mro__"].__get__(kind):
                return _GET(value)
            return object.__getattribute__(value, "_infinity_held")
        except AttributeError:
            return None
    if kind is Meta:
        return type.__dict__["__dict__"].__get__(value).get("_infinity_class")
    return None


class Meta(type):
    """Makes a class a stand-in for a class."""

    _foreign = True

    def __new__(mcs, name, bases, namespace, **named):
        if not _building:
            raise TypeError(
                "a class of the code cannot be a base of a class of the tests while they are in two instances: "
                'the tests need `isolation = "shared"`'
            )
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, *_, **__):
        pass

    def __call__(cls, *args, **named):
        me = _class_held(cls)
        return me.link.ask("call", cls, args, named)

    def __instancecheck__(cls, value):
        return type.__instancecheck__(cls, value) or _above(cls, type(value))

    def __subclasscheck__(cls, other):
        return type.__subclasscheck__(cls, other) or _above(cls, other)

    def __getattr__(cls, name):
        return _class_held(cls).link.ask("get", cls, name)

    def __setattr__(cls, name, value):
        _class_held(cls).link.ask("set", cls, name, value)

    def __delattr__(cls, name):
        _class_held(cls).link.ask("del", cls, name)

    def __iter__(cls):
        return _class_held(cls).link.ask("op", "iter", cls)

    def __len__(cls):
        return _class_held(cls).link.ask("op", "len", cls)

    def __contains__(cls, item):
        return _exact(bool, _class_held(cls).link.ask("op", "contains", cls, item))

    def __getitem__(cls, key):
        return _class_held(cls).link.ask("op", "getitem", cls, key)

    def __bool__(cls):
        return True

    def __dir__(cls):
        return [name for name in _class_held(cls).link.ask("op", "dir", cls) if type(name) is str]

    @property
    def __dict__(cls):
        return ClassNames(cls)

    @property
    def __doc__(cls):
        return _class_held(cls).link.ask("get", cls, "__doc__")

    def __repr__(cls):
        return f"<class '{cls.__module__}.{cls.__qualname__}'>"


class ClassNames(collections.abc.Mapping):
    """What is in a class: its special methods here, all else there."""

    def __init__(self, cls):
        self._here = type.__dict__["__dict__"].__get__(cls)
        self._cls = cls

    def __getitem__(self, name):
        if name.startswith("_") or "_infinity_class" not in self._here:
            return self._here[name]
        return self._there()[name]

    def _there(self):
        return self._here["_infinity_class"].link.ask("get", self._cls, "__dict__")

    def __iter__(self):
        return iter(self._there() if "_infinity_class" in self._here else self._here)

    def __len__(self):
        return len(list(iter(self)))


def _above(cls, other):
    """Whether a class is below another one there, though no real class can have both as bases here."""
    if type(other) is not Meta:
        return False
    one, other = (type.__dict__["__dict__"].__get__(kind).get("_infinity_class") for kind in (cls, other))
    return one is not None and other is not None and one.info in other.info.above


def _class_held(cls):
    me = type.__dict__["__dict__"].__get__(cls).get("_infinity_class")
    if me is None:
        raise TypeError("this class belongs to the runner")
    return me


def _exact(kind, value):
    if type(value) is not kind:
        raise TypeError(f"the code's object gave a {type(value).__name__} where a {kind.__name__} belongs")
    return value


_building.append(1)


class Proxy(metaclass=Meta):
    """Stands in for an object that is no exception."""

    __slots__ = ("_infinity_held", "__weakref__")

    def __getattr__(self, name):
        me = _GET(self)
        if me.local is not None and name in me.local:
            return me.local[name]
        if name in me.info.methods and name not in me.written:
            return Method(self, name)
        if name == "__all__" and me.info.name == "module":
            return me.link.public_names(self)
        return me.link.ask("get", self, name)

    def __setattr__(self, name, value):
        me = _GET(self)
        if me.local is not None and name in me.local:
            me.local[name] = value
            return
        me.written = {*me.written, name}
        me.link.ask("set", self, name, value)

    def __delattr__(self, name):
        _GET(self).link.ask("del", self, name)

    def __dir__(self):
        return [name for name in _GET(self).link.ask("op", "dir", self) if type(name) is str]

    def __repr__(self):
        me = _GET(self)
        return f"<{me.info.name} of the tests>" if not me.link.trusted else _exact(str, me.link.ask("op", "repr", self))

    def __str__(self):
        me = _GET(self)
        return repr(self) if not me.link.trusted else _exact(str, me.link.ask("op", "str", self))

    def __format__(self, form):
        me = _GET(self)
        return format(repr(self), form) if not me.link.trusted else _exact(str, me.link.ask("op", "format", self, form))

    def __eq__(self, other):
        me = _GET(self)
        if other is self:
            return True
        if "__eq__" not in me.info.flags:
            return NotImplemented
        return me.link.compare(self, "eq", other)

    def __ne__(self, other):
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    def __hash__(self):
        me = _GET(self)
        if "__hash__" not in me.info.flags:
            return object.__hash__(self)
        return _exact(int, me.link.ask("op", "hash", self))

    def __bool__(self):
        me = _GET(self)
        if "__bool__" not in me.info.flags and "__len__" not in me.info.flags:
            return True
        if not me.link.trusted:
            return me.link.ask("op", "len", self) != 0 if "__len__" in me.info.flags else True
        if me.swayed:
            raise me.link.refusal(me, "bool")
        return _exact(bool, me.link.ask("op", "bool", self))

    def __reduce_ex__(self, protocol):
        raise TypeError("an object of the code cannot be copied or pickled by the tests while they are in two instances")

    @property
    def __dict__(self):
        me = _GET(self)
        return Names(self) if me.info.name == "module" else me.link.ask("get", self, "__dict__")


class ProxyValue(metaclass=Meta):
    """What stand-ins of values have beside the built-in type that they are of here, too.

    What they are worth was told when they came, and is compared and computed with here.
    """

    __slots__ = ()

    def __getattr__(self, name):
        if name == "_infinity_held":
            raise AttributeError(name)
        me = held(self)
        if name in me.info.methods and name not in me.written:
            return Method(self, name)
        return me.link.ask("get", self, name)

    def __setattr__(self, name, value):
        me = held(self)
        me.written = {*me.written, name}
        me.link.ask("set", self, name, value)

    def __delattr__(self, name):
        held(self).link.ask("del", self, name)

    def __dir__(self):
        return [name for name in held(self).link.ask("op", "dir", self) if type(name) is str]

    def __repr__(self):
        return _exact(str, held(self).link.ask("op", "repr", self))

    def __str__(self):
        return _exact(str, held(self).link.ask("op", "str", self))

    def __format__(self, form):
        return _exact(str, held(self).link.ask("op", "format", self, form))

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("an object of the code cannot be pickled by the tests while they are in two instances")

    @property
    def __dict__(self):
        return held(self).link.ask("get", self, "__dict__")


class Names(collections.abc.Mapping):
    """What is in a module, fetched one by one."""

    def __init__(self, module):
        self._module = module

    def __getitem__(self, name):
        try:
            return getattr(self._module, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self):
        return iter(dir(self._module))

    def __len__(self):
        return len(dir(self._module))


_OWN_NAMES = type.__dict__["__dict__"].__get__
_GET = _OWN_NAMES(Proxy)["_infinity_held"].__get__
_SET = _OWN_NAMES(Proxy)["_infinity_held"].__set__


class ProxyError(metaclass=Meta):
    """What stand-ins of exceptions have beside their built-in base."""

    __slots__ = ()

    def __getattr__(self, name):
        me = held(self)
        if me is None or name.startswith("__") or name == "_infinity_held":
            raise AttributeError(name)
        return me.link.ask("get", self, name)

    def __setattr__(self, name, value):
        if name.startswith("__") or name == "_infinity_held":
            BaseException.__setattr__(self, name, value)
        else:
            held(self).link.ask("set", self, name, value)

    def __str__(self):
        try:
            return BaseException.__getattribute__(self, "_infinity_said")
        except AttributeError:
            return BaseException.__str__(self)

    def __reduce_ex__(self, protocol):
        raise TypeError("an exception of the code cannot be copied or pickled by the tests")


_building.pop()


class Method:
    """A method of the other instance, which is looked up there when it is called."""

    __slots__ = "_owner", "_name"
    _foreign = True

    def __init__(self, owner, name):
        self._owner = owner
        self._name = name

    @staticmethod
    def of(name):
        """For a class whose built-in base has something of that name, too."""
        return property(lambda self: Method(self, name))

    __name__ = property(lambda self: self._name)
    __self__ = property(lambda self: self._owner)

    def __call__(self, /, *args, **named):
        return held(self._owner).link.ask("method", self._owner, self._name, args, named)

    def __getattr__(self, name):
        real = held(self._owner).link.ask("get", self._owner, self._name)
        return getattr(real, name)

    def __eq__(self, other):
        if type(other) is not Method:
            return NotImplemented
        return self._owner is other._owner and self._name == other._name

    def __hash__(self):
        return hash((id(self._owner), self._name))

    def __repr__(self):
        return f"<bound method {held(self._owner).info.name}.{self._name}>"


def _operations(flags):
    """The special methods that a class has there."""
    made = {}

    def add(name, method):
        if name in flags:
            method.__name__ = name
            made[name] = method

    for name in _BINARY:
        add(f"__{name}__", lambda self, other, *rest, name=name: held(self).link.operate(self, name, self, other, *rest))
        add(f"__r{name}__", lambda self, other, name=name: held(self).link.operate(self, name, other, self))
        add(f"__i{name}__", lambda self, other, name=name: held(self).link.operate(self, "i" + name, self, other))
    for name in _COMPARING:
        add(f"__{name}__", lambda self, other, name=name: held(self).link.compare(self, name, other))
    for name in _UNARY:
        add(f"__{name}__", lambda self, name=name: _number(self, name))
    add("__call__", lambda self, /, *args, **named: held(self).link.ask("call", self, args, named))
    for name in ("iter", "next", "reversed", "bytes", "fspath", "length_hint"):
        add(f"__{name}__", lambda self, name=name: _ask(self, name, self))
    add("__len__", _length)
    for name, kind in (("int", int), ("index", int), ("float", float), ("complex", complex)):
        add(f"__{name}__", lambda self, name=name, kind=kind: _exact(kind, _number(self, name)))
    add("__contains__", lambda self, item: _exact(bool, held(self).link.contains(self, item)))
    add("__getitem__", lambda self, key: _ask(self, "getitem", self, key))
    add("__setitem__", lambda self, key, value: _ask(self, "setitem", self, key, value))
    add("__delitem__", lambda self, key: _ask(self, "delitem", self, key))
    add("__round__", lambda self, *digits: _number(self, "round", *digits))
    add("__enter__", lambda self: held(self).link.ask("method", self, "__enter__", (), {}))
    add("__exit__", _exit)
    return made


def _ask(self, name, *operands):
    return held(self).link.ask("op", name, *operands)


def _length(self):
    me = held(self)
    length = _exact(int, _ask(self, "len", self))
    if me.swayed and length == 0:
        raise me.link.refusal(me, "len")
    return length


def _number(self, name, *rest):
    """What an object is as a number. One that came of a value of the tests is not asked: it can have been made to fit."""
    me = held(self)
    result = me.link.ask("op", name, self, *rest)
    came = held(result)
    if me.swayed and came is None:
        raise me.link.refusal(me, name)
    if came is not None:
        came.swayed = came.swayed or me.swayed
    return result


def bare(value, me):
    """The value of a stand-in, of exactly the built-in type."""
    return values.value_of(value, me.info.value)


def _value_operations(info):
    """What a class that refines a built-in type does otherwise."""
    own, base = info.own, info.value
    asked = OPERATIONS - {f"__{name}__" for name in _COMPARING} - {"__eq__", "__len__", "__iter__", "__contains__", "__bool__", "__hash__", "__str__", "__repr__", "__format__"}
    made = _operations({name for name in own if name in asked or name in OPERATIONS and not hasattr(base, name)})
    adapts = any(f"__{name}__" in own or f"__r{name}__" in own for name in _BINARY)
    for name in ("eq", "ne", *_COMPARING):
        special = f"__{name}__"
        if adapts or special in own or name == "ne" and "__eq__" in own:
            made[special] = lambda self, other, name=name: _compared(self, name, other, base)
    for name in (*_UNARY, "int", "float", "complex", "index", "round", "bool"):
        special = f"__{name}__"
        if adapts and special not in made and hasattr(base, special):
            made[special] = lambda self, *rest, special=special: _unswayed(self, special, rest, base)
    for name in own:
        if not name.startswith("__"):
            made[name] = Method.of(name) if name in info.methods else property(lambda self, name=name: held(self).link.ask("get", self, name))
    made["__hash__"] = None if "__nohash__" in info.flags else base.__hash__
    return made


def _compared(self, name, other, base):
    me, them = held(self), held(other)
    if them is not None and them.link is me.link:
        # Both are the code's own, and so is the answer.
        same = me.link.same(self, other) if name in ("eq", "ne") else _ask(self, name, self, other)
        return not same if name == "ne" else same
    if me.swayed and me.link.reduced(other):
        raise me.link.refusal(me, name, other)
    return getattr(base, f"__{name}__")(self, other)


def _unswayed(self, special, rest, base):
    me = held(self)
    if me.swayed:
        raise me.link.refusal(me, special)
    return getattr(base, special)(self, *rest)


def _exit(self, kind, error, tb):
    me = _GET(self)
    said = me.link.ask("method", self, "__exit__", (kind, error, None), {})
    if said is not None and type(said) is not bool:
        said = bool(said)
    if said and me.link.never_hidden(error):
        return False
    return said


def build(link, number, info, bases):
    """The class that stands in for one of the other instance."""
    errors = [base for base in bases if issubclass(base, BaseException)]
    named = {"__module__": info.module, "__qualname__": info.name, "_infinity_class": Held(link, number, info)}
    if errors:
        own = [base for base in bases if issubclass(base, ProxyError)]
        tries = [(*bases, *(() if own else (ProxyError,))), (errors[0], *(() if own else (ProxyError,))), (ProxyError, Exception)]
        tries = [tuple(base for base in one if base is ProxyError) + tuple(base for base in one if base is not ProxyError) for one in tries]
    elif info.value in values.FIXED:
        named.update(_value_operations(info))
        own = tuple(base for base in bases if issubclass(base, ProxyValue))
        tries = [own, (ProxyValue, info.value)] if own else [(ProxyValue, info.value)]
    else:
        named["__slots__"] = ()
        named["__doc__"] = property(lambda self: _GET(self).link.ask("get", self, "__doc__"))
        named.update(_operations(info.flags))
        if "__nohash__" in info.flags:
            named["__hash__"] = None
        if info.builtin in _PHANTOM:
            try:
                phantom = type(info.name, (_PHANTOM[info.builtin],), {"__module__": info.module})
                named["__class__"] = property(lambda self: phantom)
            except TypeError:
                pass
        elif _GENERATORS.get(info.builtin) is not None:
            kind = _GENERATORS[info.builtin]
            named["__class__"] = property(lambda self: kind)
        bases = [base for base in bases if not issubclass(base, ProxyValue)]
        tries = [tuple(bases) or (Proxy,), (Proxy,)]
    _building.append(1)
    try:
        for one in tries:
            try:
                return Meta(info.name, one, dict(named))
            except TypeError:
                continue
        raise values.Malformed("a class has bases that do not fit together")
    finally:
        _building.pop()


def make(link, number, cls):
    """A stand-in for an object."""
    me = Held(link, number, _class_held(cls).info)
    made = object.__new__(cls)
    _SET(made, me)
    return made


def make_value(link, number, cls, value):
    """A stand-in for a value, which is one."""
    info = _class_held(cls).info
    base = info.value
    if base is complex:
        parts = (value.real, value.imag)
    elif base is values.fractions.Fraction:
        parts = (value.numerator, value.denominator)
    elif base in values.FIELDS:
        names, more = values.FIELDS[base]
        parts = [getattr(value, name) for name in names.split()]
        made = base.__new__(cls, *parts, **{name: getattr(value, name) for name in more})
        parts = None
    else:
        parts = (value,)
    if parts is not None:
        made = base.__new__(cls, *parts)
    me = Held(link, number, info)
    me.value = made
    object.__setattr__(made, "_infinity_held", me)
    return made


def make_error(link, number, cls, args, said):
    """A stand-in for an exception, which carries its arguments and its text."""
    made = cls.__new__(cls, *args) if not issubclass(cls, BaseExceptionGroup) else None
    if made is None:
        made = cls.__new__(cls, "exceptions", [Exception(said)])
    BaseException.__setattr__(made, "_infinity_held", Held(link, number, _class_held(cls).info))
    BaseException.__setattr__(made, "_infinity_said", said)
    made.__dict__.update({})
    BaseException.args.__set__(made, args)
    return made


def remember(made, table, number, forget):
    """Keeps a stand-in findable by its number as long as it lives."""
    table[number] = weakref.ref(made, lambda _: forget(number))
