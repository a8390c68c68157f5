"""Queens, sudoku, subset sums, word squares."""
def queens(n, rows=()):
    if len(rows) == n: yield rows; return
    for c in range(n):
        if all(c != q and abs(c - q) != len(rows) - i for i, q in enumerate(rows)): yield from queens(n, rows + (c,))
print([sum(1 for _ in queens(n)) for n in range(1, 8)], next(queens(8)))
for c in next(queens(6)): print("." * c + "Q" + "." * (5 - c))
def subset(a, t, i=0): return [[]] if t == 0 else [] if i == len(a) or t < 0 else [[a[i]] + s for s in subset(a, t - a[i], i + 1)] + subset(a, t, i + 1)
print(subset([3, 34, 4, 12, 5, 2], 9))
grid = [int(c) for c in "530070000600195000098000060800060003400803001700020006060000280000419005000080079"]
def solve():
    best = None
    for i in range(81):
        if grid[i] == 0:
            r, c = divmod(i, 9); used = {grid[r * 9 + k] for k in range(9)} | {grid[k * 9 + c] for k in range(9)} | {grid[(r // 3 * 3 + k // 3) * 9 + c // 3 * 3 + k % 3] for k in range(9)}
            o = [v for v in range(1, 10) if v not in used]
            if best is None or len(o) < len(best[1]): best = i, o
    if best is None: return True
    for v in best[1]:
        grid[best[0]] = v
        if solve(): return True
    grid[best[0]] = 0; return False
print(solve()); [print(*grid[r * 9:r * 9 + 9]) for r in range(9)]
