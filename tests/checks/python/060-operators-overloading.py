"""Arithmetic, reflected and in-place operators, comparison, hashing, indexing, calling."""
import functools
@functools.total_ordering
class V:
    def __init__(self, *c): self.c = c
    def __repr__(self): return f"V{self.c}"
    def __add__(self, o): return V(*(a + b for a, b in zip(self.c, o.c))) if isinstance(o, V) else NotImplemented
    def __radd__(self, o): return self if o == 0 else NotImplemented
    def __mul__(self, k): return sum(a * b for a, b in zip(self.c, k.c)) if isinstance(k, V) else V(*(a * k for a in self.c))
    __rmul__ = __mul__
    def __matmul__(self, o): return ("matmul", o)
    def __neg__(self): return V(*(-a for a in self.c))
    def __iadd__(self, o): print("iadd"); self.c = (self + o).c; return self
    def __eq__(self, o): return isinstance(o, V) and self.c == o.c
    def __lt__(self, o): return self.c < o.c
    def __hash__(self): return hash(self.c)
    def __len__(self): return len(self.c)
    def __getitem__(self, i): return self.c[i]
    def __contains__(self, x): return x in self.c
    def __bool__(self): return any(self.c)
    def __call__(self, *a, **k): return a, k
    def __abs__(self): return sum(a * a for a in self.c)
    def __int__(self): return self.c[0]
    def __index__(self): return self.c[0]
    def __format__(self, spec): return f"<{spec}:{','.join(map(str, self.c))}>"
    def __divmod__(self, o): return "divmod"
    def __invert__(self): return "~"
    def __rshift__(self, o): return f">>{o}"
    def __rpow__(self, o): return f"{o}**V"
a, b = V(1, 2), V(3, 4); c = a; c += b
print(a, c is a, sum([V(1, 1), V(2, 2)]), a * 2, 3 * b, a * b, a @ 1, -b, b < a, b <= V(3, 4), b != a, len({V(1), V(1)}), list(b), 4 in b, bool(V(0)), b(1, k=2), abs(b), int(b), "abcdef"[b:], f"{b:spec}", divmod(b, 1), ~b, b >> 2, 2 ** b, hex(b), [*range(b)])
for f in (lambda: a + 1, lambda: 1 + a, lambda: a - b, lambda: a < 3):
    try: print(f())
    except (TypeError, AttributeError) as e: print(type(e).__name__, e)
