"""Joins the interface `code` of the world `code-runner` to the runner.

Everything here happens while the component is built; an instance begins with
what this module leaves in memory, so nothing is imported or compiled again.
"""

import linecache
import sys

from runner import library

library.preload()

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import code_types, peer, testing, types

from runner import apart, check, collect, function, image, program, streams, submission

library.keep_the_rest()
library.seal()
STREAMS = streams.standard()
# As often as the interpreter needs to take code for often used, and more.
_ROUNDS = 10


def _outcome(result):
    return code_types.Test(
        result.name,
        code_types.TestOutcome[result.outcome.upper()],
        result.message,
        result.details,
        result.output,
        result.path,
        result.line,
    )


def _finding(found):
    location = None
    if found["path"] is not None:
        location = types.Location(None, found["path"], found["line"], found["column"])
    return types.Finding(
        found["rule"], types.Level[found["level"].upper()], found["message"], location, found["help"]
    )


def _begin(name, begin=testing.begin):
    begin(name)


def _end(result, end=testing.end):
    end(_outcome(result))


def _exchange(message, exchange=peer.exchange):
    return exchange(message)


class Code(exports.Code):
    """The export. The component gives the first two arguments."""

    def run(self, files, task, begin=_begin, end=_end, exchange=_exchange):
        library.begin()
        sys.stdin, sys.stdout, sys.stderr = STREAMS
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = STREAMS
        texts = {file.path: file.text for file in files}
        findings = []
        try:
            if isinstance(task, code_types.Task_RunProgram):
                answer = program.run(texts, task.value.path, task.value.arguments)
            elif isinstance(task, code_types.Task_CallFunction):
                call = task.value
                answer = function.call(texts, call.path, call.name, call.arguments, call.named)
            elif isinstance(task, code_types.Task_RunTests):
                tests = {file.path: file.text for file in task.value}
                answer = collect.run(texts, tests, begin, end)
            elif isinstance(task, code_types.Task_RunTestsApart):
                tests = {file.path: file.text for file in task.value}
                answer = apart.run(list(texts), tests, begin, end, exchange)
            elif isinstance(task, code_types.Task_ServeCode):
                answer = apart.serve(texts, exchange)
            else:
                answer, found = check.run(texts, task.value.path, task.value.text)
                findings = [_finding(one) for one in found]
        except submission.Senseless as problem:
            raise Err(str(problem)) from None
        finally:
            streams.flush(STREAMS)
        return code_types.Answer(*answer), findings


def _rehearse():
    """Does what instances do, until the interpreter has fitted the code to it and filled its caches; in an instance it would write all over the image."""
    modules, path, meta_path = dict(sys.modules), sys.path[:], sys.meta_path[:]
    argv, own = sys.argv, (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    file = code_types.File("main.py", "x = 1\n\ndef f(x):\n    return x\n")
    test = code_types.File("test_main.py", "from main import f\n\ndef test():\n    assert f(1) == 1\n")
    for _ in range(_ROUNDS):
        for task in (
            code_types.Task_RunProgram(code_types.Program("main.py", [])),
            code_types.Task_CallFunction(code_types.FunctionCall("main.py", "f", "[1]", "{}")),
            code_types.Task_RunTests([test]),
            code_types.Task_ServeCode(),
        ):
            Code().run([file], task, str, _outcome, lambda message: None)
            sys.modules.clear()
            sys.modules.update(modules)
            sys.path[:], sys.meta_path[:], sys.argv = path, meta_path, argv
            sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__ = own
            linecache.clearcache()


_rehearse()
library.hide()
image.settle()
