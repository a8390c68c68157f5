"""Exceptions as text, without the frames of the runner."""

import os
import sys
import traceback

_HERE = os.path.dirname(__file__) + "/"
_NAME = type.__dict__["__name__"]
_LIMIT = 64 * 1024


def type_name(value):
    """The name of a value's type, without asking the type."""
    return _NAME.__get__(type(value))


def own(frame):
    """Whether a frame is the runner's or of what drives it."""
    name = frame.f_code.co_filename
    return name.startswith((_HERE, "<frozen importlib")) or "__unittest" in frame.f_globals


def trim(error, seen=None):
    """Takes the runner's frames out of the tracebacks of an exception and of those behind it."""
    seen = set() if seen is None else seen
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        links = []
        tb = BaseException.__traceback__.__get__(error)
        while tb is not None:
            if not own(tb.tb_frame):
                links.append(tb)
            tb = tb.tb_next
        for link, following in zip(links, [*links[1:], None]):
            link.tb_next = following
        BaseException.__traceback__.__set__(error, links[0] if links else None)
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                trim(inner, seen)
        trim(error.__cause__, seen)
        error = error.__context__
    return error


def text(error, limit=None):
    """The traceback as CPython prints it."""
    try:
        trim(error)
        lines = list(traceback.TracebackException.from_exception(error, limit=limit).format())
        whole = "".join(lines)
    except BaseException as problem:
        whole = f"{type_name(error)}: <the traceback could not be written: {type_name(problem)}>\n"
    if len(whole) > _LIMIT:
        whole = whole[: _LIMIT // 2] + "\n… (cut)\n" + whole[-_LIMIT // 2 :]
    return whole


def line(error):
    """What went wrong in one line."""
    try:
        said = str(error)
    except BaseException:
        said = "<its text could not be made>"
    said = said.strip()
    first = said.split("\n", 1)[0] if said else ""
    if len(first) > 500:
        first = first[:500] + "…"
    name = type_name(error)
    return f"{name}: {first}" if first else name


def place(error, paths):
    """The innermost line of any of `paths` that an exception came through."""
    found = None
    tb = error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename in paths:
            found = tb.tb_frame.f_code.co_filename, tb.tb_lineno
        tb = tb.tb_next
    if found is None and isinstance(error, SyntaxError) and error.filename in paths:
        found = error.filename, error.lineno
    return found
