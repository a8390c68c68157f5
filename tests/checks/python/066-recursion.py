"""Recursion within limits, and an overflow that is caught."""
import sys, functools
def fact(n): return 1 if n < 2 else n * fact(n - 1)
print(fact(100), sys.getrecursionlimit() >= 1000)
def down(n): return 0 if n == 0 else 1 + down(n - 1)
print(down(800))
def forever(n): return forever(n + 1)
try: forever(0)
except RecursionError as e: print(type(e).__name__, isinstance(e, RuntimeError))
class R:
    def __repr__(self): return repr([self])
try: print(R())
except RecursionError: print("repr too deep")
a = []; a.append(a); d = {}; d["d"] = d; print(a, d, [a] == [a])
@functools.cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(90), fib.cache_info().hits)
def ack(m, n): return n + 1 if m == 0 else ack(m - 1, 1) if n == 0 else ack(m - 1, ack(m, n - 1))
print(ack(2, 5))
def flat(x): return [z for y in x for z in flat(y)] if isinstance(x, list) else [x]
print(flat([1, [2, [3, [4, []]], 5]]))
def hanoi(n, a="A", b="B", c="C"): return hanoi(n - 1, a, c, b) + [a + c] + hanoi(n - 1, b, a, c) if n else []
print(len(hanoi(8)), hanoi(3)); depth = 0
def count():
    global depth
    depth += 1; count()
try: count()
except RecursionError: print(depth > 500)
