"""Calls one function with JSON."""

import json
import math

from runner import failure, submission

_quoted = json.encoder.encode_basestring_ascii
_finite = math.isfinite
_DEPTH = 200


class NotJson(TypeError):
    """A value that JSON has no form for."""


def dump(value, depth=0):
    """JSON of a value of exactly the built-in types, so that nothing of the value is ever called."""
    kind = type(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if kind is str:
        return _quoted(value)
    if kind is int:
        return int.__repr__(value)
    if kind is float:
        if not _finite(value):
            raise NotJson(f"returned {float.__repr__(value)}, which is no JSON value")
        return float.__repr__(value)
    if depth > _DEPTH:
        raise NotJson(f"returned a value of more than {_DEPTH} levels, which is no JSON value here")
    if kind is list or kind is tuple:
        return "[" + ",".join([dump(item, depth + 1) for item in value]) + "]"
    if kind is dict:
        parts = []
        for key, item in value.items():
            if type(key) is not str:
                raise NotJson(f"returned a dict with a key of type {failure.type_name(key)}, which is no JSON value")
            parts.append(_quoted(key) + ":" + dump(item, depth + 1))
        return "{" + ",".join(parts) + "}"
    raise NotJson(f"returned a {failure.type_name(value)}, which is no JSON value")


def call(texts, path, name, arguments, named):
    """Gives back the parts of an answer."""
    try:
        positional = json.loads(arguments)
        by_name = json.loads(named or "{}")
    except (ValueError, RecursionError) as problem:
        raise submission.Senseless(f"the arguments are no JSON: {problem}") from None
    if type(positional) is not list or type(by_name) is not dict:
        raise submission.Senseless("the arguments must be a JSON array, the named ones a JSON object")
    files = submission.ready(texts, path)
    try:
        target = files.load(path)
        for part in name.split("."):
            target = getattr(target, part)
        returned = target(*positional, **by_name)
    except BaseException as problem:
        return 0, None, failure.text(problem), failure.type_name(problem)
    try:
        return 0, dump(returned), None, None
    except NotJson as problem:
        return 0, None, f"TypeError: `{name}` {problem}", "TypeError"
    except ValueError as problem:
        return 0, None, f"ValueError: `{name}` returned a number that is too long: {problem}", "ValueError"
