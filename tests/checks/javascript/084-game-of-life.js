// A glider on a torus, printed at intervals.
const W = 12, H = 8;
let grid = Array.from({ length: H }, () => Array(W).fill(0));
for (const [x, y] of [[1, 0], [2, 1], [0, 2], [1, 2], [2, 2], [8, 4], [9, 4], [10, 4]]) grid[y][x] = 1;
const step = (g) => g.map((row, y) => row.map((c, x) => { let n = 0; for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) if (dx || dy) n += g[(y + dy + H) % H][(x + dx + W) % W]; return +(n === 3 || (c && n === 2)); }));
for (let t = 0; t <= 40; t++) {
  if (t % 20 === 0) console.log(`t=${t}\n` + grid.map((r) => r.map((c) => '.#'[c]).join('')).join('\n'));
  grid = step(grid);
}
console.log(grid.flat().reduce((a, b) => a + b));
