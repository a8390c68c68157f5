"""Tests in one process, code in another."""

import os
import sys
import textwrap
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pair

CODE = textwrap.dedent('''
    """Everything that tests may meet."""
    import collections, enum, dataclasses, decimal, datetime, fractions, contextlib, abc

    LIMIT = 10

    class MyError(ValueError):
        def __init__(self, code):
            super().__init__(f"code {code}")
            self.code = code

    class Other(MyError):
        pass

    class Stack:
        """A stack."""
        made = 0
        def __init__(self, items=()):
            self.items = list(items)
            Stack.made += 1
        def push(self, item): self.items.append(item)
        def pop(self):
            if not self.items: raise IndexError("pop from empty stack")
            return self.items.pop()
        def __len__(self): return len(self.items)
        def __iter__(self): return iter(self.items)
        def __contains__(self, item): return item in self.items
        def __getitem__(self, at): return self.items[at]
        def __setitem__(self, at, value): self.items[at] = value
        def __repr__(self): return f"Stack({self.items})"
        @classmethod
        def of(cls, *items): return cls(items)
        @staticmethod
        def empty(): return Stack()
        @property
        def top(self): return self.items[-1]

    class Sub(Stack):
        pass

    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: int = 0
        def __add__(self, other): return Point(self.x + other.x, self.y + other.y)
        def __neg__(self): return Point(-self.x, -self.y)
        def __hash__(self): return hash((self.x, self.y))
        def __bool__(self): return self.x != 0

    class Money:
        def __init__(self, n): self.n = n
        def __eq__(self, other): return self.n == (other.n if isinstance(other, Money) else other)
        __hash__ = None
        def __radd__(self, other): return self.n + other
        def __float__(self): return float(self.n)
        def __index__(self): return self.n

    class Anything:
        def __eq__(self, other): return True
        def __hash__(self): return 1

    class Yes:
        def __bool__(self): return False
        def __eq__(self, other): return "yes"

    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    class Number(int):
        pass

    class Tagged(dict):
        pass

    class Manager:
        def __init__(self, hide=False): self.log = []; self.hide = hide
        def __enter__(self): self.log.append("in"); return self
        def __exit__(self, kind, error, tb): self.log.append(kind.__name__ if kind else None); return self.hide

    Pair = collections.namedtuple("Pair", "a b")

    def add(a, b): return a + b
    def echo(value): return value
    def sort_in_place(xs): xs.sort()
    def fill(d, key, value): d[key] = value
    def nested(x): x[0].append(1); x[1]["a"].add(5)
    def apply(function, *args, **named): return function(*args, **named)
    def apply_all(function, items): return [function(item) for item in items]
    def count(n):
        for i in range(n):
            print("yield", i)
            yield i
    def fail(code): raise MyError(code)
    def fail_other(): raise Other(3)
    def divide(a, b): return a / b
    def chained():
        try: 1 / 0
        except ZeroDivisionError as problem: raise RuntimeError("outer") from problem
    def fetch(): return "real"
    def use(): return fetch() + "!"
    def catch(function):
        try: return function()
        except ValueError as problem: return str(problem)
    def attribute(thing, name): return getattr(thing, name)
    def hold(thing):
        global held
        held = thing
    def held_call(*args): return held(*args)
    def swap(a, b): a[:], b[:] = b[:], a[:]
    def same(xs): return xs
    def ping(n, function): return n if n == 0 else function(n - 1)
    def write(out): out.write("written")
    def leave(): raise SystemExit(3)
    def make_cycle():
        a = [1]; a.append(a); return a
    def counted(words): return collections.Counter(words)
    def lock():
        from unittest import SkipTest
        raise SkipTest("not today")
    def key_sort(xs, key): return sorted(xs, key=key)
    class Node:
        def __init__(self, value, next=None): self.value, self.next = value, next
    def compose(f, g): return lambda x: f(g(x))
''')

PASSING = textwrap.dedent('''
    import collections, datetime, decimal, fractions, io, math, types
    from unittest import mock
    import pytest
    import solution
    from solution import *
    from solution import Stack, MyError

    @pytest.mark.parametrize("value", [
        None, True, False, 0, -5, 2**63, -2**200, 10**5000, 1.5, -0.0, 1e300, float("inf"), 2 + 3j, "", "text", "\\u00e9\\U0001f600",
        "\\ud800", "\\ud83d\\ude00", b"", b"\\x00\\xff", [], [1, [2, [3]]], (), (1, (2,)), {}, {"a": 1, 2: [3], (1, 2): {}}, {1, 2}, frozenset({1}),
        range(2, 10, 3), slice(1, None, 2), bytearray(b"ab"), decimal.Decimal("1.50"), fractions.Fraction(1, 3),
        datetime.date(2020, 1, 2), datetime.datetime(2020, 1, 2, 3, 4, 5, 6), datetime.timedelta(1, 2, 3),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc), datetime.time(1, 2), Ellipsis, int, ValueError,
        collections.Counter("aab"), collections.OrderedDict(a=1), collections.deque([1, 2], 5), len,
    ])
    def test_round(value):
        back = echo(value)
        assert type(back) is type(value)
        assert back == value

    def test_nan(): assert math.isnan(echo(float("nan")))
    def test_minus_zero(): assert math.copysign(1, echo(-0.0)) == -1
    def test_default():
        d = echo(collections.defaultdict(list, a=[1])); d["b"].append(2)
        assert d == {"a": [1], "b": [2]}
    def test_shared():
        a = [1]; back = echo([a, a])
        assert back[0] is back[1]
    def test_cycle():
        a = make_cycle()
        assert a[1] is a
    def test_same():
        xs = [1]; assert same(xs) is xs
    def test_sort():
        xs = [3, 1, 2]; sort_in_place(xs); assert xs == [1, 2, 3]
    def test_fill():
        d = {}; fill(d, "k", [1]); assert d == {"k": [1]}
        l = [0, 0]; fill(l, 1, "x"); assert l == [0, "x"]
        b = bytearray(b"ab"); fill(b, 0, 99); assert b == b"cb"
    def test_nested():
        inner, s = [], set(); x = [inner, {"a": s}]; nested(x)
        assert inner == [1] and s == {5} and x[0] is inner
    def test_swap():
        a, b = [1], [2, 3]; swap(a, b); assert (a, b) == ([2, 3], [1])
    def test_changed_though_raised():
        d = {}
        with pytest.raises(TypeError): fill(d, [], 1)
        assert d == {}
    def test_constant(): assert solution.LIMIT == 10
    def test_stack():
        s = Stack([1]); s.push(2)
        assert len(s) == 2 and list(s) == [1, 2] and 2 in s and 9 not in s and s[0] == 1 and s[-1] == 2
        s[0] = 7
        assert s.items == [7, 2] and s.top == 2 and s.pop() == 2 and repr(s) == "Stack([7])" and str(s) == "Stack([7])"
        assert isinstance(s, Stack) and not isinstance(s, Sub) and type(s) is Stack
        s.pop()
        with pytest.raises(IndexError, match="empty"): s.pop()
        assert not s
        s.extra = 5
        assert s.extra == 5 and hasattr(s, "extra") and not hasattr(s, "nothing")
        del s.extra
        assert not hasattr(s, "extra")
    def test_sub(): assert isinstance(Sub(), Stack) and issubclass(Sub, Stack) and Sub.__name__ == "Sub" and Stack.__doc__ == "A stack."
    def test_class_methods(): assert Stack.of(1, 2).items == [1, 2] and len(Stack.empty()) == 0 and Stack.made > 0
    def test_point():
        assert Point(1, 2) == Point(1, 2) and Point(1) != Point(2) and Point(1) < Point(2)
        assert Point(1, 2) + Point(3, 4) == Point(4, 6) and -Point(1, 2) == Point(-1, -2)
        assert len({Point(1, 2), Point(1, 2)}) == 1 and bool(Point(1)) and not Point(0)
        assert repr(Point(1, 2)) == "Point(x=1, y=2)" and f"{Point(1, 2)}" == "Point(x=1, y=2)"
        assert sorted([Point(2), Point(1)])[0].x == 1
    def test_money():
        assert Money(5) == 5 and 5 == Money(5) and Money(5) != 6 and 3 + Money(4) == 7 and float(Money(2)) == 2.0
        assert [1, 2, 3][Money(1)] == 2 and Money(5) == pytest.approx(5.0)
        with pytest.raises(TypeError): hash(Money(1))
    def test_anything():
        for value in (5, "x", None, [1], {"a": 1}, (1,), 1.5, True, Money(1)):
            with pytest.raises(AssertionError, match="equal to anything"):
                assert Anything() == value
    def test_not_bool():
        with pytest.raises(TypeError): Yes() == 5
    def test_enum():
        assert Color.RED is Color.RED and Color(1) is Color.RED and Color["BLUE"].value == 2
        assert [c.name for c in Color] == ["RED", "BLUE"] and Color.RED != Color.BLUE and len(Color) == 2
    def test_phantom():
        assert isinstance(Number(5), int) and Number(5) == 5 and Number(5) + 1 == 6 and isinstance(Tagged(a=1), dict)
        assert Tagged(a=1) == {"a": 1} and Tagged(a=1)["a"] == 1
    def test_named_tuple():
        p = Pair(1, 2)
        assert p == (1, 2) and p.a == 1 and p[1] == 2 and tuple(p) == (1, 2)
        a, b = p
        assert (a, b) == (1, 2)
    def test_errors():
        with pytest.raises(solution.MyError) as caught: fail(7)
        assert caught.value.code == 7 and str(caught.value) == "code 7" and isinstance(caught.value, ValueError)
        with pytest.raises(ValueError, match="code 7"): fail(7)
        with pytest.raises(MyError): fail_other()
        try: fail(1)
        except MyError as problem: assert problem.code == 1
        with pytest.raises(ZeroDivisionError): divide(1, 0)
        with pytest.raises(TypeError): add(1)
        with pytest.raises(AttributeError): solution.nothing
        with pytest.raises(RuntimeError) as caught: chained()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        with pytest.raises(SystemExit) as caught: leave()
        assert caught.value.code == 3
    def test_generator(capsys):
        g = count(3)
        assert isinstance(g, types.GeneratorType) and next(g) == 0 and list(g) == [1, 2]
        assert capsys.readouterr().out == "yield 0\\nyield 1\\nyield 2\\n"
        with pytest.raises(StopIteration): next(g)
    def test_callbacks():
        assert apply(lambda a, b=1: a * b, 3, b=4) == 12
        assert apply_all(lambda x: x + 1, [1, 2]) == [2, 3]
        assert apply_all(str, [1]) == ["1"] and apply_all(abs, (-1,)) == [1]
        assert key_sort([3, -1], key=lambda x: -x) == [3, -1]
        assert apply(add, 1, 2) == 3
        assert compose(lambda x: x + 1, lambda x: x * 2)(5) == 11
    def test_callback_raises():
        def bad(): raise ValueError("mine")
        assert catch(bad) == "mine"
        class Own(Exception): pass
        def own(): raise Own("deep")
        with pytest.raises(Own, match="deep"): apply(own)
        class Mine(ValueError): pass
        def mine(): raise Mine("sub")
        assert catch(mine) == "sub"
    def test_callback_changes():
        seen = []
        def change(xs): xs.append(1); seen.append(list(xs))
        assert apply(change, []) is None and seen == [[1]]
    def test_held():
        hold(lambda x: x * 2); assert held_call(4) == 8
    def test_ping():
        def pong(n): return ping(n, pong)
        assert ping(20, pong) == 0
    def test_too_deep():
        def pong(n): return ping(n, pong)
        with pytest.raises(RecursionError): ping(5000, pong)
    def test_object():
        class Thing:
            def __init__(self): self.value = 3
            def method(self, x): return x + self.value
            def __len__(self): return 4
            def __getitem__(self, key): return key * 2
        assert attribute(Thing(), "value") == 3 and apply(attribute(Thing(), "method"), 1) == 4
        assert apply(Thing().method, 2) == 5
        t = Thing(); assert echo(t) is t
    def test_secret():
        def f(): pass
        for name in ("__globals__", "__closure__", "__code__", "_x"):
            with pytest.raises(AttributeError): attribute(f, name)
    def test_write():
        out = io.StringIO(); write(out); assert out.getvalue() == "written"
    def test_patch(monkeypatch):
        with mock.patch("solution.fetch", return_value="fake") as fake:
            assert use() == "fake!"
            fake.assert_called_once_with()
        assert use() == "real!"
        with mock.patch.object(solution, "LIMIT", 3): assert solution.LIMIT == 3
        assert solution.LIMIT == 10
        monkeypatch.setattr(solution, "fetch", lambda: "patched")
        assert use() == "patched!"
        monkeypatch.undo()
        assert use() == "real!"
        monkeypatch.setattr("solution.fetch", lambda: "text"); assert use() == "text!"
    def test_patch_class():
        with mock.patch.object(Stack, "empty", return_value=5): assert Stack.empty() == 5
        assert len(Stack.empty()) == 0 and len(Stack([1]).empty()) == 0
        with mock.patch.object(Stack, "pop", return_value=5): assert Stack().pop() == 5
        assert Stack([1]).pop() == 1
    def test_with():
        m = Manager()
        with m as inner: assert inner is m
        assert m.log == ["in", None]
        with Manager(True): raise KeyError("hidden")
        with pytest.raises(KeyError):
            with Manager(False): raise KeyError("x")
        with pytest.raises(AssertionError):
            with Manager(True): assert False
    def test_subclass():
        with pytest.raises(TypeError, match="isolation"):
            class Mine(Stack): pass
    def test_functions():
        assert add.__name__ == "add" and callable(add) and not callable(Stack()) and solution.__doc__ == "Everything that tests may meet."
        assert isinstance(solution.Node(1, solution.Node(2)).next, Node) and Node(1).next is None
    def test_counted(): assert counted("aab") == {"a": 2, "b": 1}
    def test_sets():
        n = Node(1); assert n in {n} and n in [n] and {n: 1}[n] == 1
    def test_vars(): assert vars(Node(1)) == {"value": 1, "next": None}
    def test_deep():
        x = []
        for _ in range(150): x = [x]
        assert echo(x) == x
        for _ in range(100): x = [x]
        with pytest.raises(RecursionError): echo(x)
    def test_instance_attribute_over_method():
        s = Stack(); s.push = 5; assert s.push == 5
''')


class Crossing(unittest.TestCase):
    maxDiff = None

    def test_everything(self):
        came = pair.run({"solution.py": CODE}, {"test_solution.py": PASSING})
        self.assertIsNone(came["problem"])
        for one in came["results"]:
            with self.subTest(one["name"]):
                self.assertEqual(one["outcome"], "passed", one["details"])
        self.assertGreater(len(came["results"]), 70)

    def outcome(self, test, code=CODE):
        came = pair.run({"solution.py": code}, {"test_a.py": "import pytest\nfrom solution import *\nimport solution\n" + textwrap.dedent(test)})
        self.assertIsNone(came["problem"])
        return came["results"]

    def test_failures_stay_failures(self):
        for body in (
            "lock()",
            "leave()",
            "assert Anything() == 5",
            "with Manager(True):\n        assert False",
            "apply(lambda: pytest.skip('x'))",
            "apply(lambda: __import__('unittest').TestCase().skipTest('x'))",
            "assert add(1, 2) == 4",
            "assert Money(5) == 6",
            "assert add",
        ):
            with self.subTest(body):
                (one,) = self.outcome(f"def test_x():\n    {body}\n")
                self.assertEqual(one["outcome"], "passed" if body == "assert add" else "failed", one)

    def test_values_are_compared_where_the_code_cannot_see(self):
        code = """
            class Learner:
                seen = None
                def __init__(self, stands_for=0): self.stands_for = stands_for
                def __eq__(self, other): return self.stands_for == other
                def __lt__(self, other): return -9 < other
                def __gt__(self, other): return 9 > other
                def __sub__(self, other): Learner.seen = other; return Learner()
                def __abs__(self): return Learner()
                def __float__(self): return 0.0
            class Zero:
                def __sub__(self, other): return 0.0
            class Looks:
                def __eq__(self, other): return str(other) == "5"
            class Nothing(float):
                def __sub__(self, other): return 0.0
                def __eq__(self, other): return True
                __hash__ = float.__hash__
            class Items(list):
                def __eq__(self, other): self[:] = other; return True
                def __contains__(self, item): return True
        """
        refused = {
            "Learner() == 5": "assert",
            "Learner() - 5 == 0": "came of a value",
            "abs(Learner() - 0.25) < 1e-6": "came of a value",
            "float(Learner() - 5) == 0": "came of a value",
            "-1 < Learner() < 1": "is now 9, and was -9|is now -9, and was 9",
            "Zero() - 5 == 0": "could see",
            "Looks() == 5": "could see",
            "Nothing(3) == 5": "by its value as `float`",
            "Nothing(3) - 5 == 0": "could see",
            "Items() == [1]": "by its value as `list`",
            "1 in Items()": "by its value as `list`",
            "unittest.TestCase().assertAlmostEqual(Learner(), 5)": "round|came of",
            "unittest.TestCase().assertSequenceEqual(Items(), [1])": "differ",
        }
        for said, why in refused.items():
            with self.subTest(said):
                (one,) = self.outcome(f"import unittest\ndef test_x():\n    assert {said}\n", textwrap.dedent(code))
                self.assertEqual(one["outcome"], "failed", one)
                self.assertRegex(one["details"], why)

    def test_values_of_classes(self):
        code = """
            import collections, enum, pathlib, typing
            class Number(int):
                def double(self): return Number(self * 2)
                def __add__(self, other): return Number(int(self) + int(other))
            class Name(str):
                def __str__(self): return f"<{str.__str__(self)}>"
            class Level(enum.IntEnum):
                LOW = 1
                HIGH = 2
            class Perm(enum.IntFlag):
                R = 1
                W = 2
            class Vec(typing.NamedTuple):
                count: int
                index: int
                def __mul__(self, k): return Vec(self.count * k, self.index * k)
            class Shape: pass
            class Side(Shape, float): pass
            class Stack(list):
                def push(self, item): self.append(item); return self
            def keys(): return {"a": 1}.keys()
            def path(): return pathlib.Path("a") / "b"
            def same(x): return x
            def kind(x): return type(x).__name__
        """
        test = """
            import json, copy, pathlib
            def test_x():
                n = Number(5)
                assert n == 5 and n < 6 and 1 + n == 6 and n + 1 == 6 and isinstance(n + 1, Number) and n.double() == 10 and [0, 1, 2, 3, 4, 5][n] == 5
                assert isinstance(n, int) and type(n) is Number and {5: 1}[n] == 1 and json.dumps(n) == "5" and copy.deepcopy([n]) == [5] and same(n) is n and kind(n) == "Number"
                assert Name("a") == "a" and str(Name("a")) == "<a>" and Name("ab").upper() == "AB" and "-".join([Name("a"), "b"]) == "a-b" and Name("a") in {"a"}
                assert Level.LOW == 1 and Level.HIGH > 1 and Level(2) is Level.HIGH and isinstance(Level.LOW, Level) and Level.LOW.name == "LOW" and max(Level) == 2
                assert Perm.R | Perm.W == 3 and Perm.R in (Perm.R | Perm.W) and Perm.R | 2 == 3
                assert Vec(1, 2) == (1, 2) and Vec(1, 2).count == 1 and Vec(1, 2).index == 2 and Vec(1, 2) * 3 == Vec(3, 6) and (Vec(1, 2) * 3)[1] == 6
                assert isinstance(Side(1.5), Shape) and issubclass(Side, Shape) and Side(1.5) == 1.5 and abs(Side(0.1) - 0.1) < 1e-9
                s = Stack([1]).push(2)
                assert s == [1, 2] and 2 in s and s + [3] == [1, 2, 3] and s != [2, 1]
                s += [4]
                assert s == [1, 2, 4] and s.push(5) is s and s == [1, 2, 4, 5]
                assert keys() == {"a"} and path() == pathlib.Path("a/b")
                for i in range(300): assert Number(i) == i
        """
        (one,) = self.outcome(textwrap.dedent(test), textwrap.dedent(code))
        self.assertEqual(one["outcome"], "passed", one)

    def test_import_error(self):
        (one,) = self.outcome("def test_x(): pass", "import nothing_here")
        self.assertEqual((one["outcome"], one["name"]), ("errored", "test_a.py"))
        self.assertIn("nothing_here", one["message"])

    def test_syntax_error(self):
        (one,) = self.outcome("def test_x(): pass", "def f(:\n")
        self.assertEqual(one["outcome"], "errored")
        self.assertIn("SyntaxError", one["message"])

    def test_end(self):
        code = "import os\ndef die(): os._exit(0)\ndef f(): return 1\n"
        results = self.outcome("def test_a(): assert f() == 1\ndef test_b(): die()\ndef test_c(): assert f() == 1\ndef test_d(): pass\n", code)
        self.assertEqual([one["outcome"] for one in results], ["passed", "errored", "errored", "errored"])
        self.assertIn("the code's instance ended", results[1]["message"])

    def test_end_is_not_swallowed(self):
        code = "import os\ndef die(): os._exit(0)\n"
        results = self.outcome("def test_b():\n    try: die()\n    except BaseException: pass\n", code)
        self.assertEqual([one["outcome"] for one in results], ["errored"])

    def test_few_messages(self):
        code = "def add(a, b):\n    return a + b\n"
        test = "from solution import add\ndef check(candidate):\n" + "    assert candidate(1, 2) == 3\n" * 10 + "check(add)\n"
        came = pair.run({"solution.py": code}, {"test.py": test})
        self.assertEqual([one["outcome"] for one in came["results"]], ["passed"])
        self.assertLessEqual(came["messages"], 13)

    def test_packages(self):
        files = {"pkg/__init__.py": "from .inner import f\n", "pkg/inner.py": "def f(): return 1\n", "space/m.py": "x = 2\n"}
        test = "import pkg.inner\nfrom pkg import f, inner\nfrom space import m\nimport space.m\ndef test_a():\n    assert f() == 1 and pkg.inner.f() == 1 and inner.f() == 1 and m.x == 2 and space.m.x == 2\n"
        came = pair.run(files, {"tests/test_a.py": test})
        self.assertEqual([one["outcome"] for one in came["results"]], ["passed"], came)

    def test_named_like_a_standard_module(self):
        files = {"solution.py": "def f(): return 2\n", "re.py": "def match(*_): return True\n"}
        came = pair.run(files, {"test_a.py": "import re\nfrom solution import f\ndef test_a(): assert re.match('1', str(f()))\n"})
        self.assertIn("named like that standard module", came["problem"])
        # Where the tests do not name it, it is the code's alone, and what the tests use in passing is the library's.
        came = pair.run(files, {"test_a.py": "import textwrap\nfrom solution import f\ndef test_a(): assert textwrap.dedent(' a') == 'a' and f() == 2\n"})
        self.assertEqual([one["outcome"] for one in came["results"]], ["passed"], came)


# Forgeries

START = r'''
def dump(message): return json.dumps(message).encode()
def load(data): return json.loads(data)
CLASS = [[1, "function", "builtins", [], ["__call__"], [], "function"], [2, "module", "builtins", [], [], [], "module"],
         [3, "Foo", "solution", [], ["__eq__", "__len__", "__bool__", "__iter__", "__next__", "__hash__", "__str__", "__repr__", "__contains__", "__call__"], [], ""]]
calls = 0
def answer(message):
    """Plays the code; `FORGED` comes for a call of `f`."""
    global calls
    op = message["q"]
    if op == "import": return {"v": ["h", 10, 2], "k": CLASS}
    if op == "get": return {"v": ["h", 11, 1]} if message["a"][1] == "f" else {"r": ["e", "AttributeError", ["t", "x"], None]}
    if op == "call":
        calls += 1
        return FORGED
    return eval(ODD)
said = exchange(None)
while said is not None:
    message = load(said)
    if "q" in message: reply = answer(message)
    else: reply = after(message)
    said = exchange(reply if isinstance(reply, bytes) else dump(reply))
'''

EXPECT_FALSE = "from solution import f\ndef test_x():\n    assert f() == 42\ndef test_y():\n    assert f() == 42\n"


class Forgeries(unittest.TestCase):
    def forge(self, forged, odd="{'v': True}", test=EXPECT_FALSE, after="{'v': None}", setup=""):
        script = f"{setup}\nFORGED = {forged}\nODD = {odd!r}\ndef after(message): return {after}\n" + START
        return pair.run({"solution.py": ""}, {"test_x.py": test}, script)

    def test_forged(self):
        forged = {
            "equal object": "{'v': ['h', 12, 3]}",
            "wrong handle": "{'v': ['o', 999]}",
            "negative handle": "{'v': ['o', -1]}",
            "handle of a text": "{'v': ['o', 'x']}",
            "unknown class": "{'v': ['h', 12, 77]}",
            "a bool as handle": "{'v': ['o', True]}",
            "no JSON": "b'nonsense'",
            "not UTF-8": "b'\\xff\\xfe'",
            "empty": "b''",
            "a list": "[1]",
            "a number": "5",
            "nothing said": "{}",
            "question and answer": "{'v': 42, 'q': 'call', 'a': []}",
            "answer and error": "{'v': 42, 'r': ['e', 'ValueError', ['t'], None]}",
            "unknown tag": "{'v': ['?', 1]}",
            "empty value": "{'v': []}",
            "an object as value": "{'v': {'a': 1}}",
            "too deep": "b'{\"v\":' + b'[\"l\",' * 100000 + b'1' + b']' * 100000 + b'}'",
            "too deep for values": "b'{\"v\":' + b'[\"l\",' * 400 + b'1' + b']' * 400 + b'}'",
            "too long": "b'{\"v\":\"' + b'x' * (17 << 20) + b'\"}'",
            "raises no exception": "{'r': 5}",
            "raises a class": "{'r': ['Y', 'ValueError']}",
            "raises an object": "{'r': ['h', 12, 3]}",
            "unknown exception": "{'r': ['e', 'Skipped', ['t'], None]}",
            "exception with no arguments": "{'r': ['e', 'ValueError', 5, None]}",
            "exit": "{'r': ['e', 'SystemExit', ['t', 0], None]}",
            "interrupt": "{'r': ['e', 'KeyboardInterrupt', ['t'], None]}",
            "a class named Skipped": "{'k': [[50, 'Skipped', 'builtins', ['BaseException'], [], [], '']], 'r': ['x', 51, 50, ['t'], 'skip']}",
            "a class named SkipTest": "{'k': [[50, 'SkipTest', 'unittest.case', ['Exception'], [], [], '']], 'r': ['x', 51, 50, ['t'], 'skip']}",
            "a class told of twice": "{'k': [[3, 'Foo', 'solution', [], [], [], '']], 'v': 42}",
            "a class with an odd name": "{'k': [[60, 5, 'solution', [], [], [], '']], 'v': 42}",
            "a class with a zero": "{'k': [[60, 'a\\x00', 'solution', [], [], [], '']], 'v': 42}",
            "a class with an unknown base": "{'k': [[60, 'A', 'solution', ['Skipped'], [], [], '']], 'v': 42}",
            "a class that is its own base": "{'k': [[60, 'A', 'solution', [60], [], [], '']], 'v': 42}",
            "a class told of badly": "{'k': [[60]], 'v': 42}",
            "changes what is not there": "{'v': 42, 'c': [[0, ['l']]]}",
            "changes badly": "{'v': 42, 'c': 7}",
            "a reference to nothing": "{'v': ['r', 5]}",
            "a reference to no question": "{'v': ['m', 0]}",
            "prints no text": "{'v': 42, 'p': [[1, 5]]}",
            "prints nowhere": "{'v': 42, 'p': [[3, 'x']]}",
            "frees what is no number": "{'v': 42, 'f': ['x']}",
            "odd named": "{'v': ['y', 'eval']}",
            "method of the tests": "{'v': ['g', 1, '__class__']}",
            "unhashable key": "{'v': ['d', ['l'], 1]}",
            "half a pair": "{'v': ['d', 1]}",
            "odd date": "{'v': ['T', 'datetime', 'x', 0]}",
            "odd base64": "{'v': ['b', '???']}",
            "odd character": "{'v': ['s', [99999999]]}",
            "asks for nothing": "{'q': 'call', 'a': []}",
            "asks for a value": "{'q': 'call', 'a': [5, ['t'], ['d']]}",
            "asks to evaluate": "{'q': 'get', 'a': [['y', 'int'], '__subclasses__']}",
            "asks to import": "{'q': 'import', 'a': ['os', 'os.py']}",
            "asks oddly": "{'q': 5, 'a': []}",
            "asks what is unknown": "{'q': 'exec', 'a': ['1']}",
            "a value of another type": "{'k': [[60, 'N', 's', [], [], [], 'int', 'int', []]], 'v': ['w', 61, 60, 'x']}",
            "a value that is nearly a number": "{'k': [[60, 'N', 's', [], [], [], 'int', 'int', []]], 'v': ['w', 61, 60, True]}",
            "a value of an unknown type": "{'k': [[60, 'N', 's', [], [], [], 'int', 'Skipped', []]], 'v': ['w', 61, 60, 42]}",
            "a value of a class without values": "{'v': ['w', 61, 3, 42]}",
            "a value as an object": "{'k': [[60, 'N', 's', [], [], [], 'int', 'int', []]], 'v': ['h', 61, 60]}",
            "a value with the names of the runner": "{'k': [[60, 'N', 's', [], [], [], 'int', 'int', ['_infinity_held']]], 'v': ['w', 61, 60, 42]}",
            "an exception as an object": "{'k': [[50, 'E', 's', ['Exception'], [], [], '']], 'v': ['h', 51, 50]}",
            "an object as an exception": "{'r': ['x', 51, 3, ['t'], 'x']}",
        }
        for name, message in forged.items():
            with self.subTest(name):
                came = self.forge(message)
                self.assertIsNone(came["problem"])
                self.assertEqual(len(came["results"]), 2, came)
                for one in came["results"]:
                    self.assertIn(one["outcome"], ("failed", "errored"), (name, one))

    def test_equal_to_all(self):
        for said in ("'anything', None", "'value', 41", "'value', ['h', 13, 3]", "'value', ['l']", "'nothing', None", "'unknown', None", "'looks', None", "5, 5", "'value'"):
            with self.subTest(said):
                came = self.forge("{'v': ['h', 12, 3]}", f"{{'v': ['t', {said}]}}")
                self.assertTrue(all(one["outcome"] != "passed" for one in came["results"]), came)

    def expect(self, outcome, test, forged, odd="{'v': True}"):
        came = self.forge(forged, odd, test)
        self.assertEqual([one["outcome"] for one in came["results"]], [outcome], came)

    def test_results_of_other_types(self):
        for odd in ("{'v': 5}", "{'v': 'x'}", "{'v': ['h', 13, 3]}", "{'v': None}"):
            for use in ("bool(f())", "assert 3 in f()", "hash(f()) + 'x'", "str(f())[99999]"):
                with self.subTest(f"{odd} {use}"):
                    self.expect("failed", f"from solution import f\ndef test_x():\n    {use}\n", "{'v': ['h', 12, 3]}", odd)

    def test_looks_behind_a_callback(self):
        """What was handed over may be called, but nothing behind it may be reached."""
        for name in ("__globals__", "__closure__", "__code__", "__class__", "_secret"):
            test = "from solution import f\nsecret = []\ndef callback(): pass\ndef test_x():\n    assert f(callback) == 42\n"
            setup = f"NAME = {name!r}\n"
            script = (
                setup + "ODD = FORGED = None\nseen = []\ndef after(message):\n    seen.append(message)\n    assert 'r' in message, message\n    return {'v': 42}\n"
                + START.replace("return FORGED", "return {'q': 'get', 'a': [['o', message['a'][1][1][1]], NAME]}")
            )
            came = pair.run({"solution.py": ""}, {"test_x.py": test}, script)
            self.assertEqual([one["outcome"] for one in came["results"]], ["passed"], (name, came))

    def test_classes_behind_a_callback_are_out_of_reach(self):
        test = "from solution import f\ndef callback(): pass\ndef test_x():\n    assert f(callback) == 42\n"
        script = "ODD = FORGED = None\ndef after(message): return {'v': 42}\n" + START.replace("return FORGED", "return {'q': 'call', 'a': [['o', message['a'][1][1][2]], ['t'], ['d']]}")
        came = pair.run({"solution.py": ""}, {"test_x.py": test}, script)
        self.assertEqual([one["outcome"] for one in came["results"]], ["errored"], came)


if __name__ == "__main__":
    unittest.main()
