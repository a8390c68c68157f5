"""The last line of the traceback names the error."""
print("before")
def a(n): return b(n - 1)
def b(n): return 10 // n if n else [][n]
print(a(3))
a(1)
print("never")
