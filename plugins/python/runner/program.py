"""Runs a file as the main program, as the interpreter's command line would."""

import atexit
import sys
import types

from runner import failure, submission

_HOOK = sys.excepthook
_EXITS = atexit._run_exitfuncs


def run(texts, path, arguments):
    """Gives back the parts of an answer."""
    files = submission.ready(texts, path)
    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = sys.modules["builtins"]
    main.__loader__ = submission.Loader(files, path)
    sys.modules["__main__"] = main
    sys.argv = [path, *arguments]
    status, error = 0, None
    try:
        exec(files.code(path), main.__dict__)
    except BaseException as problem:
        status, error = _ended(problem)
    try:
        _EXITS()
    except BaseException as problem:
        _report(problem)
    try:
        sys.stdout.flush()
    except BaseException as problem:
        if sys.stdout is not None and not getattr(sys.stdout, "closed", False):
            _report(problem)
            status = status or 120
    if error is None:
        return status, None, None, None
    return status, None, failure.text(error), failure.type_name(error)


def _ended(problem):
    if isinstance(problem, SystemExit):
        code = problem.code
        if code is None:
            return 0, None
        if isinstance(code, int):
            return int(code) & 0xFF, None
        try:
            sys.stdout.flush()
            sys.stderr.write(f"{code}\n")
        except BaseException:
            pass
        return 1, None
    try:
        sys.stdout.flush()
    except BaseException:
        pass
    _report(problem)
    return (130 if isinstance(problem, KeyboardInterrupt) else 1), problem


def _report(problem):
    try:
        hook = sys.excepthook
        if hook is _HOOK:
            sys.stderr.write(failure.text(problem))
            return
        failure.trim(problem)
        hook(type(problem), problem, problem.__traceback__)
    except BaseException:
        pass
