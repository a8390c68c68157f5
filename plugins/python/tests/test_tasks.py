"""Programs, functions, checks and tests in one instance, each in a process of its own."""

import io
import json
import os
import sys
import tempfile
import textwrap
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_dumps = json.dumps

from runner import check, collect, function, library, program, submission


def apart(action):
    """What an action gives in a child process: its value, its output and its errors."""
    files = [tempfile.TemporaryFile("w+b") for _ in range(3)]
    if not (pid := os.fork()):
        try:
            os.dup2(files[0].fileno(), 1)
            os.dup2(files[1].fileno(), 2)
            library.begin()
            sys.stdout, sys.stderr = io.TextIOWrapper(io.FileIO(1, "w")), io.TextIOWrapper(io.FileIO(2, "w"))
            try:
                came = ["ok", action()]
            except submission.Senseless as problem:
                came = ["senseless", str(problem)]
            except BaseException as problem:
                came = ["broken", repr(problem)]
            sys.stdout.flush(), sys.stderr.flush()
            files[2].write(_dumps(came).encode())
            files[2].flush()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    texts = []
    for file in files:
        with file:
            file.seek(0)
            texts.append(file.read().decode())
    kind, value = json.loads(texts[2])
    return kind, value, texts[0], texts[1]


def program_of(text, *arguments, files=None):
    return apart(lambda: program.run({"main.py": text, **(files or {})}, "main.py", list(arguments)))


class Programs(unittest.TestCase):
    def test_plain(self):
        _, answer, out, err = program_of("import sys\nprint(__name__, __file__, sys.argv)", "a", "b")
        self.assertEqual((answer, out, err), ([0, None, None, None], "__main__ main.py ['main.py', 'a', 'b']\n", ""))

    def test_traceback(self):
        _, answer, _, err = program_of("def f():\n    1 / 0\nf()\n")
        self.assertEqual(answer[0], 1)
        self.assertEqual(answer[3], "ZeroDivisionError")
        self.assertTrue(err.startswith('Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    f()\n'))
        self.assertNotIn("runner", err)
        self.assertEqual(answer[2], err)

    def test_exit(self):
        for text, status, err in (
            ("raise SystemExit", 0, ""),
            ("raise SystemExit(7)", 7, ""),
            ("raise SystemExit('bye')", 1, "bye\n"),
            ("raise SystemExit(256 + 3)", 3, ""),
            ("import sys; sys.exit(True)", 1, ""),
        ):
            with self.subTest(text):
                _, answer, _, said = program_of(text)
                self.assertEqual((answer, said), ([status, None, None, None], err))

    def test_interrupt(self):
        self.assertEqual(program_of("raise KeyboardInterrupt")[1][0], 130)

    def test_at_exit(self):
        self.assertEqual(program_of("import atexit\natexit.register(print, 'late')\nprint('early')")[2], "early\nlate\n")

    def test_hook(self):
        _, answer, out, err = program_of("import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1/0")
        self.assertEqual((answer[0], out, err), (1, "hook ZeroDivisionError\n", ""))

    def test_syntax_error(self):
        err = program_of("x = (\n")[3]
        self.assertIn('File "main.py", line 1', err)
        self.assertNotIn("runner", err)

    def test_recursion(self):
        self.assertEqual(program_of("def f(): f()\nf()")[1][3], "RecursionError")

    def test_imports(self):
        files = {"helper.py": "import pkg.a\nx = pkg.a.y", "pkg/a.py": "from . import b\ny = b.z", "pkg/b.py": "z = 5"}
        self.assertEqual(program_of("import helper\nprint(helper.x, helper.__file__)", files=files)[2], "5 helper.py\n")

    def test_shadow(self):
        files = {"random.py": "x = 'mine'", "traceback.py": "", "json.py": "raise ValueError", "linecache.py": ""}
        _, answer, out, err = program_of("import random\nprint(random.x)\n1/0", files=files)
        self.assertEqual((answer[3], out), ("ZeroDivisionError", "mine\n"))
        self.assertIn("line 3", err)

    def test_folder(self):
        came = apart(lambda: program.run({"d/m.py": "import n", "d/n.py": "print('n')"}, "d/m.py", []))
        self.assertEqual(came[2], "n\n")

    def test_main(self):
        self.assertEqual(program_of("import __main__\nx = 1\nprint(__main__.x)")[2], "1\n")

    def test_missing(self):
        self.assertEqual(apart(lambda: program.run({}, "x.py", []))[0], "senseless")


class Functions(unittest.TestCase):
    def call(self, text, name, arguments="[]", named="{}"):
        kind, answer, _, _ = apart(lambda: function.call({"s.py": text}, "s.py", name, arguments, named))
        return answer if kind == "ok" else kind

    def test_values(self):
        text = "def f(x): return x"
        for value in (None, True, 1, 1.5, "é\ud800", [1, [2]], {"a": {"b": []}}, 10**100):
            with self.subTest(value):
                self.assertEqual(json.loads(self.call(text, "f", json.dumps([value]))[1]), value)

    def test_tuple(self):
        self.assertEqual(self.call("def f(): return (1, (2,))", "f")[1], "[1,[2]]")

    def test_named(self):
        self.assertEqual(self.call("class A:\n  @staticmethod\n  def f(x, y): return x - y", "A.f", "[5]", '{"y": 2}')[1], "3")

    def test_no_json(self):
        for expression in ("object()", "{1: 2}", "{1}", "b''", "float('nan')", "float('inf')", "type('I', (int,), {})(5)", "type('S', (str,), {'__str__': lambda s: 'x'})('y')", "type('D', (dict,), {})()", "[lambda: 0]", "type"):
            with self.subTest(expression):
                answer = self.call(f"def f(): return {expression}", "f")
                self.assertEqual((answer[1], answer[3]), (None, "TypeError"))
                self.assertIn("no JSON value", answer[2])

    def test_nothing_of_the_value_is_called(self):
        text = "import json\njson.dumps = json.JSONEncoder = None\nclass A(list):\n  def __iter__(s): raise SystemExit\ndef f(): return A()"
        self.assertEqual(self.call(text, "f")[3], "TypeError")

    def test_cycle(self):
        self.assertEqual(self.call("def f():\n  a = []\n  a.append(a)\n  return a", "f")[3], "TypeError")

    def test_raises(self):
        answer = self.call("class E(Exception): pass\ndef f(): raise E('x')", "f")
        self.assertEqual(answer[3], "E")
        self.assertTrue(answer[2].rstrip().endswith("E: x"))
        self.assertNotIn("runner", answer[2])

    def test_missing(self):
        self.assertEqual(self.call("", "f")[3], "AttributeError")

    def test_bad_arguments(self):
        for arguments, named in (("{", "{}"), ("5", "{}"), ("[]", "[]")):
            self.assertEqual(self.call("def f(): pass", "f", arguments, named), "senseless")


class Checks(unittest.TestCase):
    def check(self, body):
        kind, value, _, _ = apart(lambda: check.run({"a.py": "x"}, "rules/mine.py", f"def check(submission):\n    {body}"))
        return value if kind == "ok" else (kind, value)

    def test_findings(self):
        answer, found = self.check("yield {'message': 'm', 'path': 'a.py', 'line': 1, 'level': 'note'}; yield submission['files']['a.py']")
        self.assertEqual(answer, [0, None, None, None])
        self.assertEqual([(one["rule"], one["level"], one["message"]) for one in found], [("mine", "note", "m"), ("mine", "error", "x")])

    def test_none(self):
        self.assertEqual(self.check("return None")[1], [])

    def test_one_text(self):
        self.assertEqual(len(self.check("return 'one'")[1]), 1)

    def test_shapes(self):
        for body in ("return 5", "return [5]", "return [{'message': 5}]", "return [{}]", "return [{'message': 'm', 'level': 'bad'}]", "return [{'message': 'm', 'odd': 1}]", "return [{'message': 'm', 'path': 'a', 'line': 0}]", "return [{'message': 'm', 'line': 1}]", "return [{'message': 'm', 'path': 'a', 'line': True}]"):
            with self.subTest(body):
                self.assertEqual(self.check(body)[0], "senseless")

    def test_raises(self):
        self.assertEqual(self.check("1 / 0")[0][3], "ZeroDivisionError")

    def test_no_check(self):
        self.assertEqual(apart(lambda: check.run({}, "c.py", "x = 1"))[0], "senseless")

    def test_material_is_not_imported(self):
        script = "import re\ndef check(submission): return [] if re.match('x', 'y') is None else 'forged'\n"
        kind, value, _, _ = apart(lambda: check.run({"re.py": "def match(*_): return True\n", "other.py": "x = 1\n"}, "c.py", script))
        self.assertEqual((kind, value[1]), ("ok", []), value)
        kind, value, _, _ = apart(lambda: check.run({"other.py": "x = 1\n"}, "c.py", "import other\ndef check(submission): return None\n"))
        self.assertIn("No module named 'other'", value[0][2], value)


class Tests(unittest.TestCase):
    def run_tests(self, test, code="", name="test_a.py", **more):
        def action():
            results, begun = [], []

            def end(one):
                assert begun[-1] == one.name
                results.append([one.name, one.outcome, one.message, one.details, one.output, one.line])

            tests = {name: textwrap.dedent(test), **{key.replace("__", "/") + ".py": text for key, text in more.items()}}
            collect.run({"solution.py": textwrap.dedent(code)}, tests, begun.append, end)
            return results

        kind, value, _, err = apart(action)
        self.assertEqual(err, "")
        return value if kind == "ok" else kind

    def outcomes(self, test, code="", **more):
        return {one[0].partition("::")[2]: one[1] for one in self.run_tests(test, code, **more)}

    def test_human_eval(self):
        code = "def f(xs, t):\n    return any(abs(a - b) < t for i, a in enumerate(xs) for b in xs[:i])"
        test = "from solution import f\nMETADATA = {{}}\ndef check(candidate):\n    assert candidate([1.0, 2.0], 0.5) == False\n    assert candidate([1.0, 1.1], 0.5) == {}\ncheck(f)\n"
        self.assertEqual(self.run_tests(test.format(True), code)[0][:3], ["test_a.py", "passed", None])
        (one,) = self.run_tests(test.format(False), code)
        self.assertEqual(one[:3], ["test_a.py", "failed", "AssertionError: assert True == False"])
        self.assertEqual(one[5], 5)

    def test_nothing(self):
        self.assertEqual(self.run_tests("x = 1"), "senseless")
        self.assertEqual(self.run_tests("x = 1", name="notes.txt"), "senseless")

    def test_operands_once(self):
        self.assertEqual(self.outcomes("""
            n = []
            def f(x): n.append(x); return x
            def test_a():
                assert f(1) < f(2) < f(3)
                assert n == [1, 2, 3]
                assert not (f(5) == f(6) == f(7))
                assert n == [1, 2, 3, 5, 6]
                assert f(0) or f(8)
                assert n == [1, 2, 3, 5, 6, 0, 8]
                assert [x for x in [1] if (lambda: x)() == 1] == [1]
        """), {"test_a": "passed"})  # fmt: skip

    def test_messages(self):
        said = {one[0]: one[3] for one in self.run_tests("""
            def f(x): return x
            def test_a(): assert f(1) == f(2)
            def test_b(): assert not f([1])
            def test_c(): assert f(0), "reason"
            def test_d(): assert 5 in f([1, 2])
            def test_e(): assert {"a": 1, "b": 2} == {"a": 1, "b": 3}
            async def helper(): return 3
            def test_f():
                async def inner(): assert (await helper()) == 4
                import asyncio; asyncio.run(inner())
            class TestX:
                value = 1
                def test_g(self): assert self.value is None
        """)}  # fmt: skip
        for name, text in (
            ("test_a", "assert 1 == 2\n +  where 1 = f(1)\n +  where 2 = f(2)"), ("test_b", "assert not [1]"),
            ("test_c", "reason\nassert 0"), ("test_d", "assert 5 in [1, 2]"), ("test_e", "At 'b' diff: 2 != 3"),
            ("test_f", "assert 3 == 4"), ("TestX::test_g", "assert 1 is None"),
        ):  # fmt: skip
            with self.subTest(name):
                self.assertIn(text, said["test_a.py::" + name])
                self.assertNotIn("runner/", said["test_a.py::" + name])

    def test_names(self):
        self.assertEqual(list(self.outcomes("""
            import pytest
            @pytest.mark.parametrize("a, b", [(1, "x"), (None, [1]), pytest.param(2.5, True, id="named")])
            def test_p(a, b): pass
            @pytest.mark.parametrize("x", [1, 2])
            @pytest.mark.parametrize("y", ["a", "b"], ids=str.upper)
            def test_q(x, y): pass
            @pytest.mark.parametrize("z", [1, 1])
            class TestC:
                def test_r(self, z): pass
        """)), ["test_p[1-x]", "test_p[None-b1]", "test_p[named]", "test_q[A-1]", "test_q[A-2]", "test_q[B-1]", "test_q[B-2]", "TestC::test_r[10]", "TestC::test_r[11]"])  # fmt: skip

    def test_fixtures(self):
        self.assertEqual(self.outcomes("""
            import pytest
            log = []
            @pytest.fixture(scope="module")
            def one(): log.append("one"); yield 1; log.append("one down")
            @pytest.fixture
            def two(one): log.append("two"); yield one + 1; log.append("two down")
            @pytest.fixture(params=[10, 20])
            def many(request): return request.param
            @pytest.fixture(autouse=True)
            def always(): log.append("auto")
            @pytest.fixture
            def shared(shared): return shared + 1
            @pytest.fixture
            def broken(): raise ValueError("b")
            @pytest.fixture
            def bad_end(): yield; raise ValueError("e")
            @pytest.fixture
            def final(request): request.addfinalizer(lambda: log.append("final"))
            def test_a(two, one): assert two == 2 and log == ["one", "auto", "two"]
            def test_b(one): assert log[3:] == ["two down", "auto"]
            def test_c(many): assert many in (10, 20)
            def test_d(shared): assert shared == 101
            def test_e(broken): pass
            def test_f(bad_end): pass
            def test_g(final): pass
            def test_h(): assert "final" in log
            @pytest.mark.usefixtures("broken")
            def test_i(): pass
            @pytest.mark.parametrize("many", [5], indirect=True)
            def test_j(many): assert many == 5
            def test_k(request): assert request.getfixturevalue("one") == 1 and request.node.name == "test_k"
            class TestX:
                @pytest.fixture
                def own(self, one): return one + 5
                def test_l(self, own): assert own == 6
            def test_m(tmp_path): pass
            def test_n(nothing): pass
        """, conftest="import pytest\n@pytest.fixture(scope='session')\ndef shared(): return 100"), {
            "test_a": "passed", "test_b": "passed", "test_c[10]": "passed", "test_c[20]": "passed", "test_d": "passed",
            "test_e": "errored", "test_f": "errored", "test_g": "passed", "test_h": "passed", "test_i": "errored",
            "test_j[5]": "passed", "test_k": "passed", "TestX::test_l": "passed", "test_m": "errored", "test_n": "errored",
        })  # fmt: skip

    def test_outcomes(self):
        self.assertEqual(self.outcomes("""
            import pytest, sys, unittest
            def test_a(): pytest.skip("x")
            def test_b(): pytest.fail("x")
            @pytest.mark.skip
            def test_c(): 1 / 0
            @pytest.mark.skipif(sys.version_info > (3,), reason="r")
            def test_d(): 1 / 0
            @pytest.mark.xfail
            def test_e(): 1 / 0
            @pytest.mark.xfail(strict=True)
            def test_f(): pass
            @pytest.mark.xfail(raises=KeyError)
            def test_g(): 1 / 0
            def test_h(): sys.exit(0)
            def test_i(): raise KeyboardInterrupt
            def test_j(): raise GeneratorExit
            async def test_k(): pass
            def test_l(): pytest.importorskip("nothing_there")
            def test_m(): raise unittest.SkipTest("x")
            def test_n(): pytest.xfail("x")
            def test_o(): pytest.exit("x")
            class TestInit:
                def __init__(self): pass
                def test_p(self): pass
        """), {
            "test_a": "skipped", "test_b": "failed", "test_c": "skipped", "test_d": "skipped", "test_e": "skipped",
            "test_f": "failed", "test_g": "failed", "test_h": "failed", "test_i": "failed", "test_j": "failed",
            "test_k": "errored", "test_l": "skipped", "test_m": "skipped", "test_n": "skipped", "test_o": "failed",
        })  # fmt: skip

    def test_unittest(self):
        self.assertEqual(self.outcomes("""
            import unittest
            log = []
            def setUpModule(): log.append("module")
            class A(unittest.TestCase):
                @classmethod
                def setUpClass(cls): log.append("class")
                @classmethod
                def tearDownClass(cls): log.append("class down")
                def setUp(self): self.addCleanup(log.append, "clean")
                def test_a(self): self.assertEqual(log, ["module", "class"])
                def test_b(self): self.assertEqual(log[2:], ["clean"])
                def test_c(self):
                    for i in range(3):
                        with self.subTest(i=i): self.assertLess(i, 2)
                @unittest.skip("no")
                def test_d(self): pass
                @unittest.expectedFailure
                def test_e(self): self.fail()
                @unittest.expectedFailure
                def test_f(self): pass
            class B(unittest.TestCase):
                def test_g(self): self.assertIn("class down", log)
            class C(unittest.TestCase):
                @classmethod
                def setUpClass(cls): 1 / 0
                def test_h(self): pass
            @unittest.skip("all")
            class D(unittest.TestCase):
                def test_i(self): 1 / 0
            class E(unittest.IsolatedAsyncioTestCase):
                async def test_j(self): self.assertTrue(True)
        """), {
            "A::test_a": "passed", "A::test_b": "passed", "A::test_c": "failed", "A::test_d": "skipped",
            "A::test_e": "skipped", "A::test_f": "failed", "B::test_g": "passed", "C::test_h": "errored",
            "D::test_i": "skipped", "E::test_j": "passed",
        })  # fmt: skip

    def test_output(self):
        results = self.run_tests("""
            import sys, logging
            def test_a(capsys):
                print("one"); print("two", file=sys.stderr)
                assert capsys.readouterr() == ("one\\n", "two\\n")
                print("three")
            def test_b(): print("x" * 100000)
            def test_c(): sys.stdout.buffer.write(b"\\xff\\n"); sys.stdout.close(); print
            def test_d(caplog): logging.warning("w"); assert caplog.messages == ["w"] and "WARNING" in caplog.text
            def test_e(monkeypatch):
                import os
                monkeypatch.setenv("A", "1"); monkeypatch.setitem(sys.modules, "odd", sys); import odd
                assert os.environ["A"] == "1" and odd is sys
            def test_f(recwarn): import warnings; warnings.warn("x"); assert len(recwarn) == 1
        """)  # fmt: skip
        self.assertEqual([one[1] for one in results], ["passed"] * 6, results)
        self.assertEqual(results[0][4], "one\ntwo\nthree\n")
        self.assertTrue(65536 <= len(results[1][4]) < 65600 and results[1][4].endswith("is cut)"))

    def test_collection(self):
        for text, error in (("import nothing_there", "ModuleNotFoundError"), ("def test_a(:", "SyntaxError"), ("def test_a(): pass\nexit()", "SystemExit"), ("def test_b(): pass\n1/0", "ZeroDivisionError")):
            with self.subTest(text):
                (one,) = self.run_tests(text)
                self.assertEqual(one[:2], ["test_a.py", "errored"])
                self.assertTrue(one[2].startswith(error))
        (one,) = self.run_tests("import pytest\npytest.skip('all', allow_module_level=True)")
        self.assertEqual(one[1], "skipped")

    def test_doctest(self):
        self.assertEqual(self.outcomes('def good():\n    """\n    >>> 1 + 1\n    2\n    """\ndef bad():\n    """\n    >>> 1 + 1\n    3\n    """\n'), {"test_a.bad": "failed", "test_a.good": "passed"})

    def test_approx(self):
        self.assertEqual(self.outcomes("""
            from pytest import approx, raises
            from decimal import Decimal
            def test_a():
                assert 0.1 + 0.2 == approx(0.3) and approx(0.3) == 0.1 + 0.2 and 1.1 != approx(1)
                assert [0.1 + 0.2, 1] == approx([0.3, 1]) and (1, 2) != approx((1, 3)) and {"a": 1.0000001} == approx({"a": 1})
                assert 10 == approx(11, abs=1) and 10 == approx(11, rel=0.1) and 10 != approx(12, rel=0.1)
                assert float("inf") == approx(float("inf")) and float("nan") != approx(float("nan"))
                assert float("nan") == approx(float("nan"), nan_ok=True) and Decimal("1.0000001") == approx(Decimal(1))
                assert None == approx(None) and "a" == approx("a") and "a" != approx(1) and 2 + 1e-9j == approx(2 + 0j)
                with raises(ValueError): 1 == approx(1.1, rel=-1)
        """), {"test_a": "passed"})  # fmt: skip

    def test_helpers_and_order(self):
        self.assertEqual([one[0] for one in self.run_tests("import helper\ndef test_a(): assert helper.x == 1", helper="x = 1", test_b="def test_c(): pass")], ["test_a.py::test_a", "test_b.py::test_c"])

    def test_the_tests_win(self):
        self.assertEqual([one[1] for one in self.run_tests("import solution\ndef test_a(): assert solution.x == 2", "x = 1", solution="x = 2")], ["passed"])


if __name__ == "__main__":
    unittest.main()
