"""Shallow and deep copies, cycles and hooks."""
import copy
a = [1, [2, 3], {"k": [4]}]; s, d = copy.copy(a), copy.deepcopy(a); a[1].append(9); a[2]["k"].clear(); print(a, s, d, s[1] is a[1])
c = []; c.append(c); e = copy.deepcopy(c); print(e[0] is e, e is c)
class N:
    def __init__(self, v): self.v = v; self.l = [v]
    def __copy__(self): print("copy hook"); return N(-self.v)
    def __deepcopy__(self, memo): print("deep hook", self.v); return N(copy.deepcopy(self.l, memo)[0] * 2)
n = N(3); print(copy.copy(n).v, copy.deepcopy([n, n])[0].v, copy.deepcopy((1, "x")) == (1, "x"), copy.copy({1, 2}) == {1, 2}); t = (1, [2]); print(copy.copy(t) is t, copy.deepcopy(t) is t)
class P:
    def __init__(self): self.x = [1]; self.me = self
p = copy.deepcopy(P()); print(p.me is p, p.x, copy.copy(p).x is p.x)
