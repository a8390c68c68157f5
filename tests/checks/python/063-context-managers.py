"""Classes, generators, ExitStack, suppress, redirect and nesting."""
import contextlib, io
class CM:
    def __init__(self, n, eat=False): self.n, self.eat = n, eat
    def __enter__(self): print("in", self.n); return self.n
    def __exit__(self, t, v, tb): print("out", self.n, t.__name__ if t else None); return self.eat
@contextlib.contextmanager
def gen(n):
    print("before", n)
    try: yield n * 2
    except ValueError as e: print("saw", e)
    finally: print("after", n)
with CM(1) as a, gen(2) as b: print(a, b)
with gen(3): raise ValueError("eaten")
with CM(4, eat=True):
    with CM(5): raise KeyError("k")
try:
    with gen(6): raise TypeError("passes")
except TypeError as e: print(e)
with contextlib.ExitStack() as st:
    for i in range(3): st.enter_context(CM(f"s{i}"))
    st.callback(print, "callback"); st.push(lambda *a: print("pushed", a[0]))
with contextlib.suppress(ZeroDivisionError, KeyError): 1 / 0
buf = io.StringIO()
with contextlib.redirect_stdout(buf): print("hidden")
print(repr(buf.getvalue()))
@gen(7)
def deco(): print("decorated")
deco()
with contextlib.closing(io.StringIO("x")) as f: print(f.read())
print(f.closed)
with contextlib.nullcontext(5) as n: print(n)
try:
    with 5: pass
except (TypeError, AttributeError) as e: print(type(e).__name__)
@contextlib.contextmanager
def never(): return; yield
try:
    with never(): pass
except RuntimeError as e: print(e)
