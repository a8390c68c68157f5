"""cause, context, suppression, notes and reraising."""
import traceback
def low(): raise KeyError("low")
def mid(how):
    try:
        low()
    except KeyError as e:
        if how == "from": raise ValueError("mid") from e
        if how == "none": raise ValueError("mid") from None
        if how == "bare": raise
        raise ValueError("mid")
for how in ("from", "none", "bare", "plain"):
    try:
        mid(how)
    except Exception as e:
        print(how, repr(e), repr(e.__cause__), repr(e.__context__), e.__suppress_context__)
e = ValueError("noted"); e.add_note("first note"); e.add_note("second")
print(e.__notes__, traceback.format_exception_only(e), str(e), e.args)
try:
    try: 1 / 0
    finally: {}["k"]
except KeyError as e:
    print(type(e.__context__).__name__)
try:
    raise ValueError
except ValueError as e:
    saved = e
try:
    e
except NameError:
    print("name is gone", repr(saved), saved.__traceback__.tb_lineno)
print(issubclass(FileNotFoundError, OSError), KeyError.__mro__[1:3], str(KeyError("k")), str(KeyError()), repr(OSError(2, "msg", "file")), OSError(2, "msg", "file"))
