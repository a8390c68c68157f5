"""A matrix from the input, transposed and summed."""
n, m = map(int, input().split())
rows = [list(map(float, input().split())) for _ in range(n)]
for col in zip(*rows): print(*(f"{x:6.2f}" for x in col))
print([sum(r) for r in rows], max(map(max, rows)), sum(rows[i][i] for i in range(min(n, m))))
