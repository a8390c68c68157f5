// A grid on standard input: the cheapest way down and right.
const [size, ...rows] = require('fs').readFileSync(0, 'utf8').trim().split(/\r?\n/).map((l) => l.split(' ').map(Number));
const [h, w] = size; const best = rows.map((r) => [...r]);
for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) if (x || y) best[y][x] += Math.min(best[y - 1]?.[x] ?? Infinity, best[y][x - 1] ?? Infinity);
console.log(best); console.log(best[h - 1][w - 1]);
