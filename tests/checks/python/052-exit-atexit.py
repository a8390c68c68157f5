"""Functions of atexit run in reverse order, also after an error."""
import atexit
atexit.register(print, "registered first")
@atexit.register
def last(): print("registered second")
print("main")
raise RuntimeError("boom")
