"""What tests ask for by the names of their arguments."""

import contextlib
import inspect
import logging
import posixpath
import unittest
import unittest.mock

from runner import pytest_api, streams

ORDER = ("function", "class", "module", "package", "session")
_RANK = {"function": 0, "class": 1, "module": 2, "package": 2, "session": 3}
_ABSENT = ("tmp_path", "tmp_path_factory", "tmpdir", "tmpdir_factory", "capfd", "capfdbinary", "capsysbinary", "pytester", "testdir", "mocker", "benchmark", "event_loop", "cache")


class Broken(BaseException):
    """What a test rests on failed."""

    def __init__(self, error, said=None):
        super().__init__(said)
        self.error = error
        self.said = said


class Request:
    """The fixture `request`."""

    def __init__(self, fixtures, item, fixture=None, param=None):
        self._fixtures = fixtures
        self._item = item
        self._fixture = fixture
        self.fixturename = fixture.name if fixture else None
        self.scope = fixture.scope if fixture else "function"
        if param is not None:
            self.param = param[1]
        self.node = _Node(item)
        self.module = item.module
        self.cls = item.owner
        self.function = item.function
        self.instance = item.instance
        self.config = _Config()
        self.path = self.fspath = item.path
        self.keywords = {mark.name: mark for mark in item.marks}

    def addfinalizer(self, function):
        self._fixtures.finalizers[_scope(self.scope)].append(function)

    def getfixturevalue(self, name):
        return self._fixtures.value(name, self._item, {})

    def applymarker(self, marker):
        self._item.marks.append(marker.mark)


class _Node:
    """What fixtures look at of a test."""

    def __init__(self, item):
        self._item = item
        self.nodeid = item.name
        self.name = item.name.rpartition("::")[2]
        self.originalname = self.name.partition("[")[0]
        self.own_markers = item.marks
        self.keywords = {mark.name: mark for mark in item.marks}

    def get_closest_marker(self, name, default=None):
        return next((mark for mark in reversed(self._item.marks) if mark.name == name), default)

    def iter_markers(self, name=None):
        return (mark for mark in reversed(self._item.marks) if name in (None, mark.name))


class _Config:
    def getoption(self, name, default=None, skip=False):
        return default

    def getini(self, name):
        return []


class _Log(logging.Handler):
    """The fixture `caplog`."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.handler = self
        self._levels = []

    def emit(self, record):
        self.records.append(record)

    messages = property(lambda self: [record.getMessage() for record in self.records])
    record_tuples = property(lambda self: [(r.name, r.levelno, r.getMessage()) for r in self.records])
    text = property(lambda self: "".join(f"{r.levelname:8} {r.name}:{r.filename}:{r.lineno} {r.getMessage()}\n" for r in self.records))

    def clear(self):
        self.records.clear()

    def set_level(self, level, logger=None):
        logger = logging.getLogger(logger)
        self._levels.append((logger, logger.level))
        logger.setLevel(level)

    @contextlib.contextmanager
    def at_level(self, level, logger=None):
        logger = logging.getLogger(logger)
        before = logger.level
        logger.setLevel(level)
        try:
            yield
        finally:
            logger.setLevel(before)


def _scope(scope):
    return "module" if scope == "package" else scope


class Fixtures:
    """All fixtures and what has been made of them."""

    def __init__(self, session):
        self.session = session
        self.modules = {}
        self.folders = []
        self.classes = {}
        self.finalizers = {scope: [] for scope in ORDER}
        self.cache = {}
        self.ready = set()

    def add_module(self, module, folder):
        """`folder` is that of a `conftest.py`; other files' fixtures are their own."""
        found = _found(vars(module))
        if folder is None:
            self.modules[module.__name__] = found
        else:
            self.folders.append((folder, found))

    def add_class(self, owner):
        found = {}
        for base in reversed(owner.__mro__):
            found.update(_found(base.__dict__))
        self.classes[owner] = found

    def levels(self, owner, module, path):
        """From the nearest to the farthest."""
        levels = []
        if owner is not None:
            levels.append(self.classes.get(owner, {}))
        levels.append(self.modules.get(module.__name__, {}))
        for folder, found in reversed(self.folders):
            if not folder or path.startswith(folder + "/"):
                levels.append(found)
        return levels

    def find(self, name, levels, below=None):
        """The nearest fixture of a name; the next one after `below`, for one that refers to its own name."""
        passed = below is None
        for level in levels:
            fixture = level.get(name)
            if fixture is not None:
                if passed:
                    return fixture
                passed = fixture is below
        return None

    def closure(self, function, owner, module, path, static, direct):
        """Every fixture that a test leads to."""
        levels = self.levels(owner, module, path)
        pending = [(name, None) for level in levels for name, one in level.items() if one.autouse]
        pending += [(name, None) for name in _arguments(function, owner is not None and not isinstance(static, staticmethod))]
        for mark in [*_module_marks(module), *(self.session.class_marks(owner) if owner else []), *pytest_api._marks(getattr(function, "__dict__", {}).get("pytestmark", []))]:
            if mark.name == "usefixtures":
                pending += [(name, None) for name in mark.args]
        found = []
        while pending:
            name, below = pending.pop(0)
            fixture = None if name in direct else self.find(name, levels, below)
            if fixture is not None and fixture not in found:
                found.append(fixture)
                pending += [(other, fixture if other == name else None) for other in _arguments(fixture.function, _bound(fixture))]
        return found

    def prepare(self, item, unit=False):
        """Values for the arguments of a test."""
        levels = self.levels(item.owner, item.module, item.path)
        self.xunit(item, unit)
        made = {}
        for fixture in sorted(item.closure, key=lambda one: -_RANK[one.scope]):
            if _RANK[fixture.scope]:
                self.value(fixture.name, item, made)
        auto = {name: one for level in reversed(levels) for name, one in level.items() if one.autouse}
        for name in sorted(auto, key=lambda name: -_RANK[auto[name].scope]):
            self.value(name, item, made)
        for mark in item.marks:
            if mark.name == "usefixtures":
                for name in mark.args:
                    self.value(name, item, made)
        if unit:
            return {}
        names = _arguments(item.function, item.owner is not None and not isinstance(item.static, staticmethod))
        known = [name for name in names if name not in item.params]
        for name in sorted(known, key=lambda name: -self.rank(name, levels)):
            self.value(name, item, made)
        if extra := [name for name in item.params if name not in names and self.find(name, levels) is None]:
            raise Broken(None, f"the test uses no argument `{extra[0]}`, which `parametrize` gives")
        return {name: item.params[name] if name in item.params else made[name] for name in names}

    def rank(self, name, levels):
        fixture = self.find(name, levels)
        return _RANK[fixture.scope] if fixture is not None else 0

    def value(self, name, item, made, below=None):
        if below is None and name in item.params:
            return item.params[name]
        if below is None and name in made:
            return made[name]
        fixture = self.find(name, self.levels(item.owner, item.module, item.path), below)
        if fixture is None:
            value = self.builtin(name, item)
        else:
            value = self.make(fixture, item, made)
        if below is None:
            made[name] = value
        return value

    def make(self, fixture, item, made):
        param = item.indirect.get(fixture.name)
        if param is None and fixture.params is not None and fixture.params:
            param = 0, fixture.params[0]
        scope = _scope(fixture.scope)
        key = fixture, item.owner if scope == "class" else None, item.module.__name__ if scope == "module" else None
        cached = self.cache.get(key)
        if cached is not None and (param is None or cached[0] == param[0]):
            if isinstance(cached[1], Broken):
                raise cached[1]
            return cached[1]
        if cached is not None:
            self.undo(cached[2])
        request = Request(self, item, fixture, param)
        arguments = {}
        for name in _arguments(fixture.function, _bound(fixture)):
            if name == "request":
                arguments[name] = request
            else:
                arguments[name] = self.value(name, item, made, fixture if name == fixture.name else None)
        if _bound(fixture):
            function = fixture.function.__get__(item.instance if item.instance is not None else item.owner())
        else:
            function = fixture.function
        finalizers = self.finalizers[scope]
        start = len(finalizers)
        entry = [param[0] if param else None, None, None]
        try:
            if inspect.iscoroutinefunction(fixture.function) or inspect.isasyncgenfunction(fixture.function):
                raise Broken(None, f"the fixture `{fixture.name}` is async, which is not run here")
            if inspect.isgeneratorfunction(fixture.function):
                generator = function(**arguments)
                try:
                    value = next(generator)
                except StopIteration:
                    raise Broken(None, f"the fixture `{fixture.name}` did not yield a value") from None
                finalizers.append(lambda: _exhaust(generator, fixture.name))
            else:
                value = function(**arguments)
        except Broken as problem:
            entry[1] = problem
        except BaseException as problem:
            entry[1] = Broken(problem)
        else:
            entry[1] = value
        entry[2] = finalizers, finalizers[start:]
        self.cache[key] = entry
        finalizers.append(lambda: self.cache.pop(key, None))
        if isinstance(entry[1], Broken):
            raise entry[1]
        return entry[1]

    def undo(self, finalizers):
        scope, own = finalizers
        for one in reversed(own):
            if one in scope:
                scope.remove(one)
                one()

    def builtin(self, name, item):
        if name == "request":
            return Request(self, item)
        if name in ("capsys", "caplog", "monkeypatch", "recwarn", "doctest_namespace", "record_property", "pytestconfig", "subtests"):
            return self.simple(name, item)
        if name in _ABSENT:
            reason = "the sandbox has no files" if "tmp" in name else "the runner does not offer it"
            raise Broken(None, f"there is no fixture `{name}`: {reason}")
        raise Broken(None, f"fixture '{name}' not found")

    def simple(self, name, item):
        done = self.finalizers["function"].append
        if name == "capsys":
            return pytest_api.CaptureFixture(self.session.capture)
        if name == "monkeypatch":
            patch = pytest_api.MonkeyPatch()
            done(patch.undo)
            return patch
        if name == "caplog":
            log = _Log()
            root = logging.getLogger()
            root.addHandler(log)
            done(lambda: root.removeHandler(log))
            done(lambda: [logger.setLevel(level) for logger, level in reversed(log._levels)])
            return log
        if name == "recwarn":
            recorder = pytest_api.WarningsRecorder()
            recorder.__enter__()
            done(lambda: recorder.__exit__(None, None, None))
            return recorder
        if name == "pytestconfig":
            return _Config()
        if name == "record_property":
            return lambda name, value: None
        raise Broken(None, f"there is no fixture `{name}`: the runner does not offer it")

    def xunit(self, item, unit):
        """The functions `setup_*`, `setUpClass` and `setUpModule`."""
        module = item.module
        self.once(module.__name__, "module", _first(module, "setUpModule", "setup_module"), _first(module, "tearDownModule", "teardown_module"), module)
        if item.owner is None:
            setup, teardown = getattr(module, "setup_function", None), getattr(module, "teardown_function", None)
            argument = item.function
        else:
            owner = item.owner
            if unit:
                if getattr(owner, "__unittest_skip__", False):
                    return
                self.once(owner, "class", owner.setUpClass, lambda: _tear_down_class(owner), None)
                return
            self.once(owner, "class", getattr(owner, "setup_class", None), getattr(owner, "teardown_class", None), owner)
            setup, teardown = getattr(item.instance, "setup_method", None), getattr(item.instance, "teardown_method", None)
            argument = item.function
        if teardown is not None:
            self.finalizers["function"].append(lambda: _call(teardown, argument))
        if setup is not None:
            try:
                _call(setup, argument)
            except BaseException as problem:
                if teardown is not None:
                    self.finalizers["function"].pop()
                raise Broken(problem) from None

    def once(self, key, scope, setup, teardown, argument):
        state = self.cache.get(("xunit", key))
        if state is None:
            state = [None]
            self.cache["xunit", key] = state
            self.finalizers[scope].append(lambda: self.cache.pop(("xunit", key), None))
            if setup is not None:
                try:
                    _call(setup, argument)
                except BaseException as problem:
                    state[0] = Broken(problem)
            if state[0] is None and teardown is not None:
                self.finalizers[scope].append(lambda: _call(teardown, argument))
        if state[0] is not None:
            raise state[0]

    def finish(self, scope):
        """Undoes what was set up for a scope; gives back the first exception."""
        first = None
        finalizers = self.finalizers[scope]
        while finalizers:
            try:
                finalizers.pop()()
            except BaseException as problem:
                first = first or problem
        return first


def _tear_down_class(owner):
    try:
        owner.tearDownClass()
    finally:
        owner.doClassCleanups()


def _first(module, *names):
    return next((getattr(module, name) for name in names if hasattr(module, name)), None)


def _call(function, argument):
    """Calls a set-up function, which may or may not take an argument."""
    try:
        wants = len(inspect.signature(function).parameters) > 0
    except (TypeError, ValueError):
        wants = False
    function(argument) if wants and argument is not None else function()


def _exhaust(generator, name):
    try:
        next(generator)
    except StopIteration:
        return
    raise AssertionError(f"the fixture `{name}` yielded more than once")


def _found(namespace):
    return {one.name: one for one in namespace.values() if isinstance(one, pytest_api.Fixture)}


def _bound(fixture):
    """Whether a fixture is a method."""
    return "." in fixture.function.__qualname__ and "<locals>" not in fixture.function.__qualname__.rpartition(".")[0].rpartition(".")[2] and "<locals>" != fixture.function.__qualname__.split(".")[-2]


def _module_marks(module):
    return pytest_api._marks(getattr(module, "pytestmark", []))


def _arguments(function, method):
    """The names of the arguments that are filled by fixtures."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    if method:
        parameters = parameters[1:]
    patched = getattr(function, "patchings", None)
    names = [
        one.name
        for one in parameters
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.default is one.empty
    ]
    if patched:
        skipped = sum(1 for patch in patched if not patch.attribute_name and patch.new is unittest.mock.DEFAULT)
        names = names[skipped:]
    return names
