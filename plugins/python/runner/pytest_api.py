"""The part of pytest that test files use. The real one takes far longer to start than most tests to run."""

import contextlib
import importlib
import inspect
import math
import os
import re
import sys
import types
import warnings as _warnings
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

__version__ = "9.0.0"


class OutcomeException(BaseException):
    """What ends a test otherwise than by an assertion."""

    def __init__(self, msg=None, pytrace=True):
        super().__init__(msg)
        self.msg = msg or ""

    def __str__(self):
        return str(self.msg)


class Skipped(OutcomeException):
    def __init__(self, msg=None, pytrace=True, allow_module_level=False):
        super().__init__(msg)
        self.allow_module_level = allow_module_level


class Failed(OutcomeException):
    pass


class XFailed(OutcomeException):
    pass


class Exit(OutcomeException):
    pass


for _kind in (OutcomeException, Skipped, Failed, XFailed, Exit):
    _kind.__module__ = "builtins"  # so that tracebacks name them as pytest does


class UsageError(Exception):
    pass


class FixtureLookupError(LookupError):
    pass


class PytestWarning(UserWarning):
    pass


class PytestUnraisableExceptionWarning(PytestWarning):
    pass


def skip(reason="", *, allow_module_level=False):
    raise Skipped(reason, allow_module_level=allow_module_level)


def fail(reason="", pytrace=True):
    raise Failed(reason)


def xfail(reason=""):
    raise XFailed(reason)


def exit(reason="", returncode=None):
    raise Exit(reason)


skip.Exception, fail.Exception, xfail.Exception, exit.Exception = Skipped, Failed, XFailed, Exit


def importorskip(modname, minversion=None, reason=None, *, exc_type=ImportError):
    try:
        return importlib.import_module(modname)
    except exc_type as problem:
        raise Skipped(reason or f"could not import {modname!r}: {problem}", allow_module_level=True) from None


class Mark:
    """A mark with what it was given."""

    def __init__(self, name, args=(), kwargs=None):
        self.name = name
        self.args = args
        self.kwargs = kwargs or {}

    def __repr__(self):
        return f"Mark(name={self.name!r}, args={self.args!r}, kwargs={self.kwargs!r})"


class MarkDecorator:
    """Puts a mark onto functions and classes."""

    def __init__(self, mark):
        self.mark = mark

    name = property(lambda self: self.mark.name)
    args = property(lambda self: self.mark.args)
    kwargs = property(lambda self: self.mark.kwargs)

    def with_args(self, *args, **kwargs):
        return MarkDecorator(Mark(self.mark.name, self.mark.args + args, {**self.mark.kwargs, **kwargs}))

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs:
            target = args[0]
            if isinstance(target, Fixture):
                target = target.function
            if inspect.isclass(target) or inspect.isfunction(target):
                target.pytestmark = [*_marks(vars(target).get("pytestmark", [])), self.mark]
                return args[0]
        return self.with_args(*args, **kwargs)


def _marks(value):
    """Marks as a list, from what `pytestmark` may hold."""
    found = []
    for one in value if isinstance(value, (list, tuple)) else [value]:
        one = getattr(one, "mark", one)
        if isinstance(one, Mark):
            found.append(one)
    return found


class _MarkGenerator:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return MarkDecorator(Mark(name))


mark = _MarkGenerator()


class ParameterSet(tuple):
    """One set of arguments, made by `pytest.param`."""

    values = property(lambda self: self[0])
    marks = property(lambda self: self[1])
    id = property(lambda self: self[2])


def param(*values, marks=(), id=None):
    return ParameterSet((values, _marks(marks), id))


class Fixture:
    """A function that tests ask for by name."""

    def __init__(self, function, scope, params, autouse, ids, name):
        self.function = function
        self.scope = scope if isinstance(scope, str) else "function"
        self.params = None if params is None else list(params)
        self.autouse = autouse
        self.ids = ids
        self.name = name or function.__name__
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __get__(self, instance, owner=None):
        return self

    def __call__(self, *_, **__):
        raise Failed(f'Fixture "{self.name}" called directly: tests ask for it by the name of an argument')


def fixture(function=None, *, scope="function", params=None, autouse=False, ids=None, name=None):
    def decorate(function):
        return Fixture(function, scope, params, autouse, ids, name)

    return decorate if function is None else decorate(function)


yield_fixture = fixture


class ExceptionInfo:
    """What `pytest.raises` caught."""

    _error = None

    @property
    def value(self):
        if self._error is None:
            raise AssertionError("nothing was raised so far")
        return self._error

    @property
    def type(self):
        return type(self.value)

    @property
    def typename(self):
        return self.type.__name__

    @property
    def tb(self):
        return self.value.__traceback__

    @property
    def traceback(self):
        return inspect.getinnerframes(self.tb)

    def exconly(self, tryshort=False):
        return f"{self.typename}: {self.value}"

    def errisinstance(self, kind):
        return isinstance(self.value, kind)

    def match(self, regexp):
        if not re.search(regexp, str(self.value)):
            raise AssertionError(f"Regex pattern did not match.\n  Expected regex: {_pattern(regexp)!r}\n  Actual message: {str(self.value)!r}")
        return True

    def group_contains(self, kind, *, match=None, depth=None):
        def search(group, level):
            for inner in group.exceptions:
                if isinstance(inner, BaseExceptionGroup) and search(inner, level + 1):
                    return True
                if depth in (None, level) and isinstance(inner, kind) and (match is None or re.search(match, str(inner))):
                    return True
            return False

        return search(self.value, 1)


def _pattern(regexp):
    return getattr(regexp, "pattern", regexp)


class RaisesContext:
    def __init__(self, expected, match=None, check=None):
        kinds = expected if isinstance(expected, tuple) else (expected,)
        for kind in kinds:
            if not isinstance(kind, type) or not issubclass(kind, BaseException):
                raise TypeError(f"Expected a BaseException type, but got {kind!r}")
        if not kinds:
            raise ValueError("Expected an exception type or a tuple of exception types, but got `()`")
        self.expected = expected
        self.pattern = match
        self.check = check
        self.info = ExceptionInfo()

    def __enter__(self):
        return self.info

    def __exit__(self, kind, error, tb):
        if kind is None:
            raise Failed(f"DID NOT RAISE {_kinds(self.expected)}")
        if not issubclass(kind, self.expected):
            return False
        self.info._error = error
        if self.pattern is not None:
            self.info.match(self.pattern)
        if self.check is not None and not self.check(error):
            raise AssertionError(f"the check of the exception did not hold: {error!r}")
        return True


def _kinds(expected):
    return repr(expected)


def raises(expected_exception=BaseException, *args, match=None, check=None, **kwargs):
    context = RaisesContext(expected_exception, match, check)
    if not args:
        if kwargs:
            raise TypeError(f"Unexpected keyword arguments passed to pytest.raises: {', '.join(kwargs)}")
        return context
    with context as info:
        args[0](*args[1:], **kwargs)
    return info


class WarningsRecorder(_warnings.catch_warnings):
    """Records warnings."""

    def __init__(self):
        super().__init__(record=True)
        self.list = []

    def __enter__(self):
        self.list = super().__enter__()
        _warnings.simplefilter("always")
        return self

    def __iter__(self):
        return iter(self.list)

    def __len__(self):
        return len(self.list)

    def __getitem__(self, at):
        return self.list[at]

    def pop(self, cls=Warning):
        for at, one in enumerate(self.list):
            if issubclass(one.category, cls):
                return self.list.pop(at)
        raise AssertionError(f"{cls!r} not found in warning list")

    def clear(self):
        self.list[:] = []


class WarningsChecker(WarningsRecorder):
    def __init__(self, expected, match):
        super().__init__()
        self.expected = expected
        self.pattern = match

    def __exit__(self, *error):
        super().__exit__(*error)
        if error[0] is None:
            for one in self.list:
                if issubclass(one.category, self.expected) and (not self.pattern or re.search(self.pattern, str(one.message))):
                    return
            raise Failed(f"DID NOT WARN. No warnings of type {self.expected} were emitted.")


def warns(expected_warning=Warning, *args, match=None, **kwargs):
    context = WarningsChecker(expected_warning, match)
    if not args:
        return context
    with context:
        return args[0](*args[1:], **kwargs)


def deprecated_call(*args, **kwargs):
    return warns((DeprecationWarning, PendingDeprecationWarning, FutureWarning), *args, **kwargs)


class _Approx:
    """A value that equals what is near to it."""

    __hash__ = None
    __array_ufunc__ = None

    def __init__(self, expected, rel, abs, nan_ok):
        self.expected = expected
        self.rel = rel
        self.abs = abs
        self.nan_ok = nan_ok

    def __bool__(self):
        raise AssertionError("approx() is not supported in a boolean context.\nDid you mean: `assert a == approx(b)`?")

    def __ne__(self, actual):
        return not (self == actual)

    def __eq__(self, actual):
        expected = self.expected
        if isinstance(expected, Mapping):
            if not isinstance(actual, Mapping) or set(expected) != set(actual):
                return False
            return all(self._near(actual[key], expected[key]) for key in expected)
        if isinstance(expected, (list, tuple)) or hasattr(expected, "__iter__") and hasattr(expected, "__len__") and not isinstance(expected, (str, bytes)):
            try:
                if len(actual) != len(expected):
                    return False
                if isinstance(expected, (set, frozenset)) or isinstance(actual, (str, Mapping)):
                    return False
                return all(self._near(one, other) for one, other in zip(actual, expected))
            except TypeError:
                return False
        return self._near(actual, expected)

    def _near(self, actual, expected):
        if isinstance(expected, _Approx):
            return expected == actual
        if isinstance(expected, bool) or not isinstance(expected, (int, float, complex, Decimal, Fraction)):
            same = actual == expected
            if not isinstance(same, bool):
                same = bool(same)
            return same
        tolerance = self._tolerance(expected) if expected == expected else None
        if isinstance(actual, bool) or actual == expected:
            return bool(actual == expected)
        try:
            if not issubclass(type(actual), (int, float, complex, Decimal, Fraction)):
                if not hasattr(type(actual), "__float__"):
                    return False
                actual = float(actual)
            if expected != expected:
                return self.nan_ok and actual != actual
            if math.isinf(abs(expected)):
                return False
            if isinstance(actual, Decimal) != isinstance(expected, Decimal):
                number = Decimal if isinstance(expected, Decimal) else float
                actual = number(actual)
            return bool(abs(expected - actual) <= tolerance)
        except (TypeError, OverflowError, ValueError, ArithmeticError):
            return False

    def _tolerance(self, expected):
        number = Decimal if isinstance(expected, Decimal) else float
        absolute = number("1e-12") if self.abs is None else number(self.abs)
        if absolute < 0:
            raise ValueError(f"absolute tolerance can't be negative: {absolute}")
        if self.rel is None and self.abs is not None:
            return absolute
        relative = number("1e-6") if self.rel is None else number(self.rel)
        if relative < 0:
            raise ValueError(f"relative tolerance can't be negative: {relative}")
        return max(relative * abs(expected), absolute)

    def __repr__(self):
        expected = self.expected
        if isinstance(expected, (int, float)) and not isinstance(expected, bool):
            return f"{expected} ± {self._tolerance(expected):.1e}"
        return f"approx({expected!r})"


def approx(expected, rel=None, abs=None, nan_ok=False):
    return _Approx(expected, rel, abs, nan_ok)


class MonkeyPatch:
    """Changes what is undone when the test has ended."""

    _missing = object()

    def __init__(self):
        self._undo = []

    @classmethod
    @contextlib.contextmanager
    def context(cls):
        patch = cls()
        try:
            yield patch
        finally:
            patch.undo()

    def _resolve(self, path):
        if "." not in path:
            raise TypeError(f"must be absolute import path string, not {path!r}")
        parts = path.split(".")
        target = importlib.import_module(parts[0])
        used = parts[0]
        for part in parts[1:-1]:
            used += "." + part
            try:
                target = getattr(target, part)
            except AttributeError:
                target = importlib.import_module(used)
        return target, parts[-1]

    def setattr(self, target, name, value=_missing, raising=True):
        if value is self._missing:
            if not isinstance(target, str):
                raise TypeError("use setattr(target, name, value) or setattr(target, value) with target being a dotted import string")
            value = name
            target, name = self._resolve(target)
        before = getattr(target, name, self._missing)
        if raising and before is self._missing:
            raise AttributeError(f"{target!r} has no attribute {name!r}")
        if inspect.isclass(target):
            before = vars(target).get(name, self._missing)
        self._undo.append((_restore_attribute, target, name, before))
        setattr(target, name, value)

    def delattr(self, target, name=_missing, raising=True):
        if name is self._missing:
            target, name = self._resolve(target)
        if not hasattr(target, name):
            if raising:
                raise AttributeError(name)
            return
        before = vars(target).get(name, self._missing) if inspect.isclass(target) else getattr(target, name)
        self._undo.append((_restore_attribute, target, name, before))
        delattr(target, name)

    def setitem(self, dic, name, value):
        self._undo.append((_restore_item, dic, name, dic[name] if name in dic else self._missing))
        dic[name] = value

    def delitem(self, dic, name, raising=True):
        if name not in dic:
            if raising:
                raise KeyError(name)
            return
        self._undo.append((_restore_item, dic, name, dic[name]))
        del dic[name]

    def setenv(self, name, value, prepend=None):
        value = str(value)
        if prepend and name in os.environ:
            value = value + prepend + os.environ[name]
        self.setitem(os.environ, name, value)

    def delenv(self, name, raising=True):
        self.delitem(os.environ, name, raising)

    def syspath_prepend(self, path):
        self._undo.append((_restore_path, list(sys.path), None, None))
        sys.path.insert(0, str(path))

    def chdir(self, path):
        raise OSError("there are no folders in the sandbox")

    def undo(self):
        while self._undo:
            restore, target, name, before = self._undo.pop()
            restore(target, name, before)


def _restore_attribute(target, name, before):
    if before is MonkeyPatch._missing:
        try:
            delattr(target, name)
        except AttributeError:
            pass
    else:
        setattr(target, name, before)


def _restore_item(target, name, before):
    if before is MonkeyPatch._missing:
        target.pop(name, None)
    else:
        target[name] = before


def _restore_path(before, *_):
    sys.path[:] = before


class CaptureResult(tuple):
    """What was printed since the last time."""

    __slots__ = ()
    out = property(lambda self: self[0])
    err = property(lambda self: self[1])


class CaptureFixture:
    def __init__(self, capture):
        self._capture = capture

    def readouterr(self):
        return CaptureResult(self._capture.taken())

    @contextlib.contextmanager
    def disabled(self):
        yield


def main(*_, **__):
    """Files that end in `pytest.main()` are run already."""
    return 0


def register_assert_rewrite(*names):
    """Only test files are rewritten."""


def module():
    """The module `pytest` for test files."""
    made = types.ModuleType("pytest", __doc__)
    for name in (
        "skip fail xfail exit importorskip mark param fixture yield_fixture raises warns deprecated_call approx "
        "MonkeyPatch ExceptionInfo UsageError FixtureLookupError PytestWarning PytestUnraisableExceptionWarning "
        "WarningsRecorder CaptureFixture Mark MarkDecorator main register_assert_rewrite __version__"
    ).split():
        setattr(made, name, globals()[name])
    for name in ("FixtureRequest", "Config", "Item", "Function", "Module", "Session", "LogCaptureFixture", "Metafunc", "Parser"):
        setattr(made, name, type(name, (), {}))
    return made
