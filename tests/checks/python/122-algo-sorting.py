"""Six sorting algorithms against sorted, with a count of comparisons."""
import random
class N:
    count = 0
    def __init__(self, v): self.v = v
    def __lt__(self, o): N.count += 1; return self.v < o.v
def bubble(a):
    for i in range(len(a)):
        for j in range(len(a) - 1 - i):
            if a[j + 1] < a[j]: a[j], a[j + 1] = a[j + 1], a[j]
    return a
def insertion(a):
    for i in range(1, len(a)):
        x, j = a[i], i
        while j and x < a[j - 1]: a[j] = a[j - 1]; j -= 1
        a[j] = x
    return a
def merge(a):
    if len(a) < 2: return a
    m = len(a) // 2; l, r, out = merge(a[:m]), merge(a[m:]), []
    while l and r: out.append((r if r[0] < l[0] else l).pop(0))
    return out + l + r
def quick(a): return a if len(a) < 2 else quick([x for x in a[1:] if x < a[0]]) + [a[0]] + quick([x for x in a[1:] if not x < a[0]])
def shell(a):
    g = len(a) // 2
    while g:
        for i in range(g, len(a)):
            j = i
            while j >= g and a[j] < a[j - g]: a[j], a[j - g] = a[j - g], a[j]; j -= g
        g //= 2
    return a
def heap(a):
    def down(i, n):
        while (c := 2 * i + 1) < n:
            if c + 1 < n and a[c] < a[c + 1]: c += 1
            if not a[i] < a[c]: return
            a[i], a[c] = a[c], a[i]; i = c
    for i in reversed(range(len(a) // 2)): down(i, len(a))
    for n in reversed(range(1, len(a))): a[0], a[n] = a[n], a[0]; down(0, n)
    return a
data = random.Random(1).choices(range(1000), k=120); want = sorted(data)
for f in (bubble, insertion, merge, quick, shell, heap):
    N.count = 0; print(f.__name__, [n.v for n in f([N(x) for x in data])] == want, N.count)
