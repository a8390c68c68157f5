"""Joins the interface `code` of the world `code-runner` to the runner.

Everything here happens while the component is built; an instance begins with
what this module leaves in memory, so nothing is imported or compiled again.
"""

import gc
import sys

from runner import library

library.preload()

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import code_types, peer, testing, types

from runner import apart, check, collect, function, program, streams, submission

library.keep_the_rest()
library.seal()
STREAMS = streams.standard()


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
    """The export."""

    def run(self, files, task):
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
                answer = collect.run(texts, tests, _begin, _end)
            elif isinstance(task, code_types.Task_RunTestsApart):
                tests = {file.path: file.text for file in task.value}
                answer = apart.run(list(texts), tests, _begin, _end, _exchange)
            elif isinstance(task, code_types.Task_ServeCode):
                answer = apart.serve(texts, _exchange)
            else:
                answer, found = check.run(texts, task.value.path, task.value.text)
                findings = [_finding(one) for one in found]
        except submission.Senseless as problem:
            raise Err(str(problem)) from None
        finally:
            streams.flush(STREAMS)
        return code_types.Answer(*answer), findings


gc.collect()
gc.freeze()
