"""A glider on an endless board."""
from collections import Counter
cells = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}
def step(c):
    n = Counter((x + dx, y + dy) for x, y in c for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy)
    return {p for p, k in n.items() if k == 3 or k == 2 and p in c}
for t in range(13):
    if t % 4 == 0: print(t, sorted(cells)); print("\n".join("".join(".#"[(x, y) in cells] for x in range(8)) for y in range(7)))
    cells = step(cells)
