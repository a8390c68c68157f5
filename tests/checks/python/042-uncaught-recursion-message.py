"""Only the type of a recursion error is shown."""
import sys
def f(n): return f(n + 1)
try:
    f(0)
except RecursionError as e:
    print(type(e).__name__)
sys.exit("too deep")
