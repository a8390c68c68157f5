"""SystemExit passes except Exception but not a bare except."""
import sys
try:
    try: sys.exit(4)
    except Exception: print("no")
    finally: print("finally")
except BaseException as e: print("base", type(e).__name__, e.code)
def f():
    for i in range(3):
        try:
            if i == 1: sys.exit(f"stopped at {i}")
            print(i)
        finally: print("cleanup", i)
f()
