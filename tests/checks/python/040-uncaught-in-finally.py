"""An error in finally hides the first."""
def f():
    try:
        raise ValueError("first")
    finally:
        print("cleanup")
        raise OSError(5, "second")
f()
