"""Runs a script that looks at what was handed in."""

from runner import failure, submission

_LEVELS = "note", "warning", "error"
_KEYS = {"rule": str, "level": str, "message": str, "path": str, "line": int, "column": int, "help": str}
_MOST = 10_000


def run(texts, path, text):
    """Gives back the parts of an answer and the findings."""
    # What was handed in is material here: nothing of it can be imported in the place of what the script rests on.
    files = submission.Files({path: text})
    files.install()
    rule = path.removesuffix(".py").rpartition("/")[2]
    try:
        module = files.fresh("__check__", path)
        function = getattr(module, "check", None)
        if not callable(function):
            raise submission.Senseless(f"`{path}` defines no function `check`")
        returned = function({"files": dict(texts)})
        if returned is None:
            returned = []
        if isinstance(returned, (str, dict)):
            returned = [returned]
        found = []
        for at, one in enumerate(_iterated(returned, path), 1):
            if at > _MOST:
                raise submission.Senseless(f"`check` of `{path}` found more than {_MOST} things")
            found.append(_finding(one, at, rule, path))
    except submission.Senseless:
        raise
    except BaseException as problem:
        return (0, None, failure.text(problem), failure.type_name(problem)), []
    return (0, None, None, None), found


def _iterated(returned, path):
    try:
        return iter(returned)
    except TypeError:
        name = failure.type_name(returned)
        raise submission.Senseless(f"`check` of `{path}` returned a {name}: it must return None or findings") from None


def _finding(one, at, rule, path):
    """A finding as a mapping with all keys."""
    if type(one) is str:
        one = {"message": one}
    start = f"finding {at} of `check` of `{path}`"
    if type(one) is not dict:
        raise submission.Senseless(f"{start} is a {failure.type_name(one)}: it must be a dict or a text")
    unknown = [key for key in one if key not in _KEYS]
    if unknown:
        raise submission.Senseless(f"{start} has the key {unknown[0]!r}: there are {', '.join(_KEYS)}")
    made = dict.fromkeys(_KEYS)
    for key, kind in _KEYS.items():
        value = one.get(key)
        if value is None:
            continue
        if type(value) is not kind:
            raise submission.Senseless(f"{start}: `{key}` must be a {kind.__name__}, not a {failure.type_name(value)}")
        if kind is int and not 1 <= value < 1 << 32:
            raise submission.Senseless(f"{start}: `{key}` counts from 1")
        made[key] = value
    if not made["message"]:
        raise submission.Senseless(f"{start} has no `message`")
    made["level"] = made["level"] or "error"
    if made["level"] not in _LEVELS:
        raise submission.Senseless(f"{start}: `level` must be one of {', '.join(_LEVELS)}, not {made['level']!r}")
    made["rule"] = made["rule"] or rule
    if made["path"] is None and (made["line"] is not None or made["column"] is not None):
        raise submission.Senseless(f"{start} has a place but no `path`")
    return made
