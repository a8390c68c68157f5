"""Classes of exceptions with attributes, str, and matching by tuple or base."""
class AppError(Exception):
    code = 1
    def __init__(self, msg, **info): super().__init__(msg); self.info = info
    def __str__(self): return f"[{self.code}] {self.args[0]} {self.info}"
class NotFound(AppError): code = 404
class Denied(AppError, PermissionError): code = 403
for cls in (AppError, NotFound, Denied):
    try:
        raise cls("msg", user="u")
    except (NotFound, OSError) as e:
        print("tuple", type(e).__name__, e, repr(e))
    except AppError as e:
        print("base", e, e.args)
try:
    raise "text"
except TypeError as e: print(e)
try:
    try: raise NotFound("x")
    except "not a class": pass
except TypeError as e: print(e)
print([c.__name__ for c in Denied.__mro__][:5], NotFound("a").args == ("a",), isinstance(Denied("d"), OSError))
assert True, "fine"
try:
    assert 1 > 2, ("tuple", "message")
except AssertionError as e: print(e, e.args)
