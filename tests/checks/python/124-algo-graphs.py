"""Shortest paths, topological order, components, spanning tree."""
import collections, heapq
g = {"A": {"B": 7, "C": 9, "F": 14}, "B": {"C": 10, "D": 15}, "C": {"D": 11, "F": 2}, "D": {"E": 6}, "F": {"E": 9}, "E": {}, "Z": {}}
def dijkstra(s):
    dist, prev, q = {s: 0}, {}, [(0, s)]
    while q:
        d, u = heapq.heappop(q)
        if d > dist[u]: continue
        for v, w in g[u].items():
            if d + w < dist.get(v, 1e9): dist[v] = d + w; prev[v] = u; heapq.heappush(q, (d + w, v))
    return dist, prev
dist, prev = dijkstra("A"); path = ["E"]
while path[-1] in prev: path.append(prev[path[-1]])
print(dist, "->".join(reversed(path)), "Z" in dist)
def topo(deps):
    done, active, out = set(), [], []
    def visit(n):
        if n in active: raise ValueError("cycle " + "-".join(active[active.index(n):] + [n]))
        if n in done: return
        active.append(n)
        for m in deps.get(n, ()): visit(m)
        active.pop(); done.add(n); out.append(n)
    for n in deps: visit(n)
    return out
print(topo({"app": ["lib", "log"], "lib": ["core"], "log": ["core"]}))
try: topo({"a": "b", "b": "c", "c": "a"})
except ValueError as e: print(e)
import graphlib; print(list(graphlib.TopologicalSorter({"D": {"B"}, "B": {"A"}}).static_order()))
par = list(range(8))
def find(x):
    while par[x] != x: par[x] = par[par[x]]; x = par[x]
    return x
edges = sorted([(4, 0, 1), (8, 1, 2), (7, 2, 3), (9, 3, 4), (10, 4, 5), (2, 5, 6), (1, 6, 7), (11, 1, 7), (7, 7, 0)]); tree = []
for w, a, b in edges:
    if find(a) != find(b): par[find(a)] = find(b); tree.append((a, b, w))
print(tree, sum(t[2] for t in tree), len({find(i) for i in range(8)}))
maze = ["S.#", "..#", "#.E"]; q, seen = collections.deque([(0, 0, 0)]), {(0, 0)}
while q:
    x, y, d = q.popleft()
    if maze[y][x] == "E": print("exit after", d); break
    for dx, dy in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        n = (x + dx, y + dy)
        if 0 <= n[0] < 3 and 0 <= n[1] < 3 and maze[n[1]][n[0]] != "#" and n not in seen: seen.add(n); q.append((*n, d + 1))
