"""A cache with statistics and a filter with hash functions of its own."""
import zlib
from collections import OrderedDict
class LRU:
    def __init__(self, n): self.n, self.d, self.hits, self.miss = n, OrderedDict(), 0, 0
    def __call__(self, f):
        def w(x):
            if x in self.d: self.hits += 1; self.d.move_to_end(x); return self.d[x]
            self.miss += 1; v = self.d[x] = f(x)
            if len(self.d) > self.n: self.d.popitem(last=False)
            return v
        w.cache = self; return w
@LRU(3)
def sq(x): return x * x
print([sq(x) for x in (1, 2, 3, 1, 4, 2, 1, 5, 1)], list(sq.cache.d.items()), sq.cache.hits, sq.cache.miss)
class Bloom:
    def __init__(self, m, k): self.m, self.k, self.bits = m, k, 0
    def _at(self, s): return (zlib.crc32(f"{i}{s}".encode()) % self.m for i in range(self.k))
    def add(self, s):
        for i in self._at(s): self.bits |= 1 << i
    def __contains__(self, s): return all(self.bits >> i & 1 for i in self._at(s))
b = Bloom(500, 3); [b.add(f"w{i}") for i in range(60)]; print(all(f"w{i}" in b for i in range(60)), sum(f"x{i}" in b for i in range(500)), b.bits.bit_count())
