"""except* splits groups; nested groups keep their structure."""
def show(g, depth=0):
    print("  " * depth + repr(g) if not isinstance(g, BaseExceptionGroup) else "  " * depth + f"group {g.message} {len(g.exceptions)}")
    for e in getattr(g, "exceptions", ()): show(e, depth + 1)
eg = ExceptionGroup("all", [ValueError(1), TypeError("t"), ExceptionGroup("inner", [ValueError(2), OSError(3)])])
try:
    try:
        raise eg
    except* ValueError as g:
        print("values"); show(g)
    except* TypeError as g:
        print("types"); show(g)
except ExceptionGroup as rest:
    print("rest"); show(rest)
print(eg.subgroup(OSError).exceptions, [type(p).__name__ for p in eg.split(ValueError)], str(eg))
try:
    try: raise ValueError("plain")
    except* ValueError as g: print(repr(g))
except Exception: print("no")
try:
    ExceptionGroup("empty", [])
except ValueError as e: print(e)
try:
    try: raise ExceptionGroup("g", [KeyError(1), KeyError(2)])
    except* KeyError: raise RuntimeError("replaced")
except ExceptionGroup as g: show(g)
except RuntimeError as e: print("bare", e)
