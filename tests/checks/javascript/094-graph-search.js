// Breadth-first distances in a maze, topological order, cycles, components.
const maze = ['S.#....', '..#.##.', '.##..#.', '....#..', '##.##.#', '......E'];
const q = [[0, 0]], dist = { '0,0': 0 };
while (q.length) { const [x, y] = q.shift(); for (const [dx, dy] of [[0, 1], [1, 0], [0, -1], [-1, 0]]) { const k = `${x + dx},${y + dy}`; if ('.E'.includes(maze[y + dy]?.[x + dx] ?? '#') && !(k in dist)) { dist[k] = dist[`${x},${y}`] + 1; q.push([x + dx, y + dy]); } } }
console.log(dist['6,5'], Object.keys(dist).length, dist['6,0'] ?? 'unreachable');
const deps = { shirt: ['tie', 'belt'], tie: ['jacket'], trousers: ['shoes', 'belt'], belt: ['jacket'], socks: ['shoes'] };
const topo = (g) => { const done = new Set(), doing = new Set(), out = []; const visit = (n) => { if (done.has(n)) return; if (doing.has(n)) throw new Error(`cycle at ${n}`); doing.add(n); (g[n] ?? []).forEach(visit); done.add(n); out.unshift(n); }; Object.keys(g).forEach(visit); return out; };
console.log(topo(deps).join(' '));
try { topo({ a: ['b'], b: ['c'], c: ['a'] }); } catch (error) { console.log(error.message); }
const parent = [...Array(10).keys()], find = (x) => (parent[x] === x ? x : (parent[x] = find(parent[x])));
for (const [a, b] of [[0, 1], [2, 3], [1, 3], [5, 6], [8, 9], [6, 5]]) parent[find(a)] = find(b);
console.log(new Set(parent.map((_, i) => find(i))).size);
