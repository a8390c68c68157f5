"""Finds the tests of files as pytest would and runs them."""

import ast
import doctest
import inspect
import itertools
import logging
import posixpath
import sys
import types
import unittest

from runner import asserts, failure, fixtures, pytest_api, streams, submission
from runner.fixtures import Broken

sys.modules["pytest"] = PYTEST = pytest_api.module()

_Skipped = pytest_api.Skipped, unittest.SkipTest


class Result:
    """How a test ended."""

    __slots__ = "name", "outcome", "message", "details", "output", "path", "line"

    def __init__(self, name, outcome, message=None, details=None, output="", path=None, line=None):
        self.name = name
        self.outcome = outcome
        self.message = message
        self.details = details
        self.output = output
        self.path = path
        self.line = line


class Item:
    """One test to run."""

    def __init__(self, name, path, line, function, module, owner=None, params=None, marks=(), indirect=None):
        self.name = name
        self.path = path
        self.line = line
        self.function = function
        self.module = module
        self.owner = owner
        self.params = params or {}
        self.marks = list(marks)
        self.indirect = indirect or {}
        self.instance = None
        self.closure = ()


class UnitItem(Item):
    """A method of a `unittest.TestCase`."""


class DocItem(Item):
    """The examples of one docstring."""


class ScriptItem(Item):
    """A file whose assertions are at its top level."""


def run(texts, tests, begin, end):
    """Runs tests in the interpreter of the code they test; gives back the parts of an answer."""
    files = submission.Files({**texts, **tests})
    Session(files, tests, begin, end).run()
    return 0, None, None, None


def _test_like(path):
    name = posixpath.basename(path)
    return name.startswith("test_") or name.endswith("_test.py")


class Session:
    """One run of tests."""

    def __init__(self, files, tests, begin, end):
        self.files = files
        self.paths = set(files.texts)
        self.begin = begin
        self.end = end
        self.count = 0
        self.broken = None
        self.seen = {}
        self.fixtures = fixtures.Fixtures(self)
        self.tests = [path for path in tests if path.endswith(".py")]
        self.conftests = sorted((p for p in self.tests if posixpath.basename(p) == "conftest.py"), key=lambda p: p.count("/"))
        named = [p for p in self.tests if posixpath.basename(p) not in ("conftest.py", "__init__.py")]
        self.order = sorted(named, key=lambda path: not _test_like(path))
        files.rewrite = dict.fromkeys(self.tests, asserts.compile_file)
        folders = dict.fromkeys(self._root(path) for path in self.tests)
        files.install(*folders)

    def _root(self, path):
        folder = posixpath.dirname(path)
        while folder and folder + "/__init__.py" in self.files.texts:
            folder = posixpath.dirname(folder)
        return folder

    def run(self):
        logging.getLogger()  # so that its lock and root exist before output is captured
        if not self.tests:
            raise submission.Senseless("the tests define nothing: there is no Python file among them")
        self.capture = streams.Capture()
        problem = None
        with self.capture:
            try:
                for path in self.conftests:
                    module = self.load(path)
                    self.fixtures.add_module(module, posixpath.dirname(path))
            except BaseException as caught:
                problem = path, caught
        if problem:
            self.report_collection(*problem)
            return
        for path in self.order:
            self.run_file(path)
        with streams.Capture() as self.capture:
            self.fixtures.finish("session")
        if not self.count:
            listed = ", ".join(self.order or self.tests)
            raise submission.Senseless(f"the tests define nothing: no test and no top-level assertion in {listed}")

    def load(self, path):
        name = submission.module_name(path)
        root = self._root(path)
        if root:
            name = submission.module_name(path[len(root) + 1 :])
        already = sys.modules.get(name)
        if already is not None:
            if getattr(already, "__file__", None) == path:
                return already
            name = submission.module_name(path)
        spec = self.files.spec(name, path)
        module = types.ModuleType(name)
        module.__spec__ = spec
        module.__loader__ = spec.loader
        module.__file__ = path
        module.__package__ = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        module.__dict__.update(asserts.names())
        parent = module.__package__
        if parent and parent not in sys.modules:
            __import__(parent)
        sys.modules[name] = module
        try:
            exec(self.files.code(path), module.__dict__)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    # Collecting

    def run_file(self, path):
        text = self.files.texts[path]
        shape = _shape(text)
        if shape == "script":
            item = ScriptItem(path, path, 1, None, None)
            self.run_item(item)
            return
        self.capture = streams.Capture()
        problem = None
        items = []
        with self.capture:
            try:
                module = self.load(path)
                self.fixtures.add_module(module, None)
                items = list(self.items(module, path, text))
            except BaseException as caught:
                problem = caught
        if problem is not None:
            self.report_collection(path, problem)
            return
        current = None
        for at, item in enumerate(items):
            if item.owner is not current:
                current = item.owner
            following = items[at + 1].owner if at + 1 < len(items) else None
            self.run_item(item, last_of_class=following is not item.owner, last_of_module=at + 1 == len(items))

    def report_collection(self, path, problem):
        """A file that cannot be imported is one test that could not be run."""
        self.begin(path)
        self.count += 1
        if isinstance(problem, _Skipped) and getattr(problem, "allow_module_level", True):
            self.end(Result(path, "skipped", str(problem) or "skipped", None, self.capture.text(), path, None))
            return
        place = failure.place(problem, self.paths) or (path, None)
        self.end(Result(path, "errored", failure.line(problem), failure.text(problem), self.capture.text(), *place))

    def unique(self, name):
        number = self.seen.get(name, 0)
        self.seen[name] = number + 1
        return name if not number else self.unique(f"{name}#{number}")

    def items(self, module, path, text):
        marks = pytest_api._marks(getattr(module, "pytestmark", []))
        for name, value in list(module.__dict__.items()):
            if name.startswith("@") or isinstance(value, pytest_api.Fixture):
                continue
            if getattr(type(value), "_foreign", False):
                continue
            if isinstance(value, type):
                if value is unittest.TestCase or value is unittest.IsolatedAsyncioTestCase:
                    continue
                if issubclass(value, unittest.TestCase):
                    yield from self.unit_items(module, path, f"{path}::{name}", value, marks)
                elif name.startswith("Test"):
                    yield from self.class_items(module, path, f"{path}::{name}", value, marks)
            elif name.startswith("test") and _callable(value):
                if getattr(value, "__test__", True) is False:
                    continue
                yield from self.function_items(module, path, f"{path}::{name}", value, None, marks)
        if ">>>" in text:
            yield from self.doc_items(module, path)

    def class_items(self, module, path, prefix, owner, marks):
        if owner.__init__ is not object.__init__ or owner.__new__ is not object.__new__:
            return
        if getattr(owner, "__test__", True) is False:
            return
        self.fixtures.add_class(owner)
        marks = [*marks, *self.class_marks(owner)]
        names = {}
        for base in reversed(owner.__mro__):
            names.update(dict.fromkeys(base.__dict__))
        for name in names:
            value = inspect.getattr_static(owner, name, None)
            if isinstance(value, type) and name.startswith("Test"):
                yield from self.class_items(module, path, f"{prefix}::{name}", value, marks)
            elif name.startswith("test") and not isinstance(value, pytest_api.Fixture):
                plain = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                if _callable(plain):
                    yield from self.function_items(module, path, f"{prefix}::{name}", plain, owner, marks, value, name)

    def class_marks(self, owner):
        found = []
        for base in reversed(owner.__mro__):
            found.extend(pytest_api._marks(base.__dict__.get("pytestmark", [])))
        return found

    def function_items(self, module, path, name, function, owner, marks, static=None, attribute=None):
        line = _line(function)
        own = [*pytest_api._marks(getattr(function, "__dict__", {}).get("pytestmark", []))]
        marks = [*marks, *own]
        sets = [({}, {}, [], [])]
        # The mark that stands nearest to the function counts first, then those of its class and file.
        nearest = [*own, *[m for m in marks if m not in own]]
        for mark in nearest:
            if mark.name == "parametrize":
                sets = [_joined(one, more) for one in sets for more in _parametrized(mark)]
        wanted = self.fixtures.closure(function, owner, module, path, static, {k for s in sets for k in s[0]})
        for fixture in wanted:
            if fixture.params is not None and not any(fixture.name in one[1] for one in sets):
                found = []
                for one in sets:
                    for at, value in enumerate(fixture.params):
                        more = ()
                        given = fixture.ids[at] if isinstance(fixture.ids, (list, tuple)) else None
                        if callable(fixture.ids):
                            given = fixture.ids(value)
                        if isinstance(value, pytest_api.ParameterSet):
                            more, given = value.marks, value.id if value.id is not None else given
                            value = value.values[0]
                        label = _label(value, fixture.name, at) if given is None else str(given)
                        found.append((one[0], {**one[1], fixture.name: (at, value)}, [*one[2], label], [*one[3], *more]))
                sets = found
        for direct, indirect, labels, extra in sets:
            title = f"{name}[{'-'.join(labels)}]" if labels else name
            item = Item(self.unique(title), path, line, function, module, owner, direct, [*marks, *extra], indirect)
            item.attribute = attribute
            item.static = static
            item.closure = wanted
            yield item

    def unit_items(self, module, path, prefix, owner, marks):
        self.fixtures.add_class(owner)
        marks = [*marks, *self.class_marks(owner)]
        for name in unittest.defaultTestLoader.getTestCaseNames(owner):
            function = getattr(owner, name)
            own = pytest_api._marks(getattr(function, "__dict__", {}).get("pytestmark", []))
            item = UnitItem(self.unique(f"{prefix}::{name}"), path, _line(function), function, module, owner, marks=[*marks, *own])
            item.attribute = name
            yield item

    def doc_items(self, module, path):
        finder = doctest.DocTestFinder(exclude_empty=True)
        for test in finder.find(module, module.__name__, module=module, extraglobs=None):
            if test.examples:
                item = DocItem(self.unique(f"{path}::{test.name}"), path, (test.lineno or 0) + 1, None, module)
                item.doctest = test
                yield item

    # Running

    def run_item(self, item, last_of_class=True, last_of_module=True):
        self.begin(item.name)
        self.count += 1
        self.capture = streams.Capture()
        outcome, problem, message = "passed", None, None
        with self.capture:
            try:
                outcome, problem, message = self.outcome(item)
            except BaseException as caught:
                outcome, problem = "errored", caught
            for scope, due in (("function", True), ("class", last_of_class), ("module", last_of_module)):
                if due:
                    caught = self.fixtures.finish(scope)
                    if caught is not None and outcome in ("passed", "skipped"):
                        outcome, problem, message = "errored", caught, None
            self.capture.resume()
        if self.broken is not None:
            outcome, message, problem = "errored", self.broken, None
        details = None
        place = item.path, item.line
        if problem is not None:
            with self.capture:
                if outcome != "skipped":
                    details = failure.text(problem)
                    message = message or failure.line(problem)
                elif message is None:
                    message = failure.line(problem)
                place = failure.place(problem, self.paths) or place
        self.end(Result(item.name, outcome, message, details, self.capture.text(), *place))

    def outcome(self, item):
        """The outcome, the exception behind it and what is to be said of it."""
        if self.broken is not None:
            return "errored", None, self.broken
        expected = None
        for mark in item.marks:
            if mark.name == "skip":
                return "skipped", None, str(mark.kwargs.get("reason") or (mark.args[0] if mark.args else "unconditional skip"))
            if mark.name == "skipif" and _holds(mark, item):
                return "skipped", None, str(mark.kwargs.get("reason") or "the condition of skipif holds")
            if mark.name == "xfail" and _holds(mark, item):
                expected = mark
        if expected is not None and expected.kwargs.get("run") is False:
            return "skipped", None, "not run: " + str(expected.kwargs.get("reason") or "expected to fail")
        try:
            self.call(item)
        except Broken as problem:
            return ("skipped", problem.error, str(problem.error)) if isinstance(problem.error, _Skipped) else ("errored", problem.error, problem.said)
        except _Skipped as problem:
            return "skipped", problem, str(problem) or "skipped"
        except pytest_api.XFailed as problem:
            return "skipped", problem, f"expected to fail: {problem}"
        except _Expected as problem:
            return "skipped", None, "failed as expected"
        except BaseException as problem:
            if expected is not None:
                kinds = expected.kwargs.get("raises")
                if kinds is None or isinstance(problem, kinds):
                    return "skipped", None, "failed as expected" + _reason(expected)
            return "failed", problem, None
        if expected is not None and expected.kwargs.get("strict"):
            return "failed", None, "was expected to fail but passed" + _reason(expected)
        return "passed", None, None

    def call(self, item):
        if isinstance(item, ScriptItem):
            self.load(item.path)
        elif isinstance(item, DocItem):
            _run_doctest(item.doctest)
        elif isinstance(item, UnitItem):
            self.call_unit(item)
        else:
            if inspect.iscoroutinefunction(item.function) or inspect.isasyncgenfunction(item.function):
                raise Broken(None, "async test functions are not run here: call `asyncio.run` in the test")
            if inspect.isgeneratorfunction(item.function):
                raise Broken(None, "a test function with `yield` is not run")
            instance = item.owner() if item.owner is not None and not isinstance(item.static, staticmethod) else None
            if isinstance(item.static, classmethod):
                instance = item.owner
            item.instance = instance
            values = self.fixtures.prepare(item)
            if instance is not None:
                item.function(instance, **values)
            else:
                item.function(**values)

    def call_unit(self, item):
        case = item.owner(item.attribute)
        item.instance = case
        self.fixtures.prepare(item, unit=True)
        if getattr(item.owner, "__unittest_skip__", False):
            raise unittest.SkipTest(getattr(item.owner, "__unittest_skip_why__", ""))
        result = _UnitResult()
        case.run(result)
        result.judge()


class _Expected(Exception):
    """A `unittest` test that was expected to fail did."""


class _UnitResult(unittest.TestResult):
    """Keeps the exceptions themselves."""

    def __init__(self):
        super().__init__()
        self.caught = []
        self.skip = None
        self.expected = self.unexpected = False

    def startTest(self, test):
        self.testsRun += 1

    def stopTest(self, test):
        pass

    def addError(self, test, error):
        self.caught.append((None, error[1]))

    addFailure = addError

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.caught.append((subtest, error[1]))

    def addSkip(self, test, reason):
        self.skip = reason

    def addExpectedFailure(self, test, error):
        self.expected = True

    def addUnexpectedSuccess(self, test):
        self.unexpected = True

    def judge(self):
        if self.caught:
            subtest, error = self.caught[0]
            for other, more in self.caught[1:]:
                error.add_note(f"Also {other._subDescription() if other is not None else 'afterwards'}: {failure.line(more)}")
            if subtest is not None:
                error.add_note(f"Subtest: {subtest._subDescription()}")
            raise error
        if self.unexpected:
            raise AssertionError("was expected to fail but passed")
        if self.expected:
            raise _Expected()
        if self.skip is not None:
            raise unittest.SkipTest(self.skip)


def _run_doctest(test):
    out = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    failed = runner.run(test, out=out.append, clear_globs=False).failed
    if failed:
        raise AssertionError("an example of a docstring did not give what it shows\n" + "".join(out))


def _callable(value):
    return inspect.isroutine(value) or callable(value) and hasattr(value, "__code__") or hasattr(value, "__wrapped__")


def _line(function):
    function = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if code is not None else None


def _reason(mark):
    reason = mark.kwargs.get("reason")
    return f": {reason}" if reason else ""


def _holds(mark, item):
    conditions = mark.args or ([mark.kwargs["condition"]] if "condition" in mark.kwargs else [])
    if not conditions:
        return True
    for condition in conditions:
        if isinstance(condition, str):
            import os
            import platform

            condition = eval(condition, {"os": os, "sys": sys, "platform": platform, **item.module.__dict__})
        if condition:
            return True
    return False


def _joined(one, more):
    return {**one[0], **more[0]}, {**one[1], **more[1]}, [*one[2], *more[2]], [*one[3], *more[3]]


def _parametrized(mark):
    """What a mark `parametrize` gives: direct and indirect arguments, labels and marks."""
    names, values, *rest = [*mark.args, *([mark.kwargs["argnames"]] if "argnames" in mark.kwargs else []), *([mark.kwargs["argvalues"]] if "argvalues" in mark.kwargs else [])]
    indirect = rest[0] if rest else mark.kwargs.get("indirect", False)
    ids = rest[1] if len(rest) > 1 else mark.kwargs.get("ids")
    single = False
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
        single = len(names) == 1
    if ids is not None and not callable(ids):
        ids = list(ids)
    found = []
    for at, value in enumerate(values):
        marks, given = (), None
        if isinstance(value, pytest_api.ParameterSet):
            value, marks, given = value
            if given is not None:
                given = str(given)
        elif single:
            value = (value,)
        value = tuple(value)
        if len(value) != len(names):
            raise AssertionError(f"parametrize: {len(names)} names ({', '.join(names)}) but {len(value)} values: {value!r}")
        if given is None and ids is not None and not callable(ids) and at < len(ids) and ids[at] is not None:
            given = str(ids[at])
        if given is None:
            labels = []
            for name, one in zip(names, value):
                label = ids(one) if callable(ids) else None
                labels.append(_label(one, name, at) if label is None else str(label))
            given = "-".join(labels)
        direct, routed = {}, {}
        for name, one in zip(names, value):
            if indirect is True or indirect and name in indirect:
                routed[name] = at, one
            else:
                direct[name] = one
        found.append((direct, routed, [given], list(marks)))
    if not found:
        found.append((dict.fromkeys(names), {}, ["NOTSET"], [pytest_api.Mark("skip", (), {"reason": "got empty parameter set"})]))
    labels = [one[2][0] for one in found]
    for label in {label for label in labels if labels.count(label) > 1} if len(set(labels)) < len(labels) else ():
        number = itertools.count()
        for one in found:
            if one[2][0] == label:
                taken = f"{label}{next(number)}" if label else str(next(number))
                while taken in labels:
                    taken = f"{label}_{next(number)}"
                one[2][0] = taken
    return found


def _label(value, name, at):
    kind = type(value)
    if kind is str:
        return value.encode("unicode_escape").decode("ascii") if not value.isprintable() or not value.isascii() else value
    if value is None or kind in (int, float, bool, complex):
        try:
            return str(value)
        except ValueError:  # too many digits
            return f"{name}{at}"
    if kind is bytes:
        return value.decode("ascii", "backslashreplace")
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return value.__name__
    import enum

    return str(value) if isinstance(value, enum.Enum) else f"{name}{at}"


def _shape(text):
    """`script` for a file whose assertions are only reached by running it."""
    try:
        tree = ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError):
        return "broken"
    checking = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name.startswith("test"):
                return "tests"
            if any(isinstance(inner, ast.Assert) for inner in ast.walk(node)):
                checking.add(node.name)
        elif isinstance(node, ast.ClassDef):
            if node.name.startswith("Test") or node.bases and any("TestCase" in ast.unparse(base) for base in node.bases):
                return "tests"
        elif isinstance(node, (ast.Import, ast.ImportFrom)) and any(
            (name.asname or name.name).startswith("test_") for name in node.names if isinstance(node, ast.ImportFrom)
        ):
            return "tests"
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Assert):
            return "script"
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in checking:
            return "script"
        pending.extend(ast.iter_child_nodes(node))
    return "tests"
