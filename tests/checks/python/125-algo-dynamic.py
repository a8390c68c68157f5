"""Knapsack, edit distance, subsequences, coins, matrix chains, partitions."""
from functools import cache
def edit(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        prev, row[0] = row[0], i
        for j, y in enumerate(b, 1): prev, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, prev + (x != y))
    return row[-1]
@cache
def lcs(a, b): return "" if not a or not b else a[0] + lcs(a[1:], b[1:]) if a[0] == b[0] else max(lcs(a[1:], b), lcs(a, b[1:]), key=len)
@cache
def parts(n, m): return 1 if n == 0 else 0 if n < 0 or m == 0 else parts(n - m, m) + parts(n, m - 1)
def knap(items, cap):
    best = [(0, ())] * (cap + 1)
    for n, w, v in items:
        for c in range(cap, w - 1, -1):
            if best[c - w][0] + v > best[c][0]: best[c] = (best[c - w][0] + v, best[c - w][1] + (n,))
    return best[cap]
def coins(cs, n):
    ways = [1] + [0] * n
    for c in cs:
        for i in range(c, n + 1): ways[i] += ways[i - c]
    return ways[n]
print(edit("kitten", "sitting"), lcs("AGGTABQX", "GXTXAYBX"), parts(60, 60), knap([("a", 12, 4), ("b", 2, 2), ("c", 1, 1), ("d", 1, 2), ("e", 4, 10)], 15), coins([1, 2, 5, 10, 20, 50, 100, 200], 200))
def lis(a):
    import bisect
    t = []
    for x in a: t[(i := bisect.bisect_left(t, x)):i + 1] = [x]
    return len(t)
print(lis([10, 9, 2, 5, 3, 7, 101, 18, 4, 20]), max((sum(a[i:j]), i, j) for a in [[-2, 1, -3, 4, -1, 2, 1, -5, 4]] for i in range(9) for j in range(i + 1, 10)))
