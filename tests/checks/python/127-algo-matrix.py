"""Matrices as a class: products, powers, determinant, inverse in fractions."""
from fractions import Fraction
class M:
    def __init__(self, *rows): self.rows = [list(map(Fraction, r)) for r in rows]
    def __matmul__(self, o): return M(*[[sum(a * b for a, b in zip(r, c)) for c in zip(*o.rows)] for r in self.rows])
    def __pow__(self, n):
        out, base = M(*[[int(i == j) for j in range(len(self.rows))] for i in range(len(self.rows))]), self
        while n:
            if n & 1: out = out @ base
            base = base @ base; n >>= 1
        return out
    @property
    def T(self): return M(*zip(*self.rows))
    def det(self): return self.rows[0][0] if len(self.rows) == 1 else sum((-1) ** j * x * M(*[r[:j] + r[j + 1:] for r in self.rows[1:]]).det() for j, x in enumerate(self.rows[0]))
    def inv(self):
        n = len(self.rows); a = [r[:] + [Fraction(int(i == j)) for j in range(n)] for i, r in enumerate(self.rows)]
        for i in range(n):
            p = next((k for k in range(i, n) if a[k][i]), None)
            if p is None: raise ValueError("singular")
            a[i], a[p] = a[p], a[i]; a[i] = [x / a[i][i] for x in a[i]]
            for k in range(n):
                if k != i: a[k] = [x - a[k][i] * y for x, y in zip(a[k], a[i])]
        return M(*[r[n:] for r in a])
    def __repr__(self): return "[" + "; ".join(" ".join(map(str, r)) for r in self.rows) + "]"
a = M((2, 1), (5, 3)); print(a, a.T, a @ a, a.det(), a.inv(), a @ a.inv(), M((1, 1), (1, 0)) ** 90)
try: M((1, 2), (2, 4)).inv()
except ValueError as e: print(e)
print(M((2, -1, 0), (1, 3, 2), (0, 5, -4)).inv())
