// Multiplication, transposition, determinant and powers.
const mul = (a, b) => a.map((row) => b[0].map((_, j) => row.reduce((s, x, k) => s + x * b[k][j], 0)));
const transpose = (m) => m[0].map((_, j) => m.map((row) => row[j]));
const identity = (n) => Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => +(i === j)));
const det = (m) => (m.length === 1 ? m[0][0] : m[0].reduce((s, x, j) => s + (j % 2 ? -x : x) * det(m.slice(1).map((r) => r.filter((_, k) => k !== j))), 0));
const power = (m, n) => (n === 0 ? identity(m.length) : n % 2 ? mul(m, power(m, n - 1)) : power(mul(m, m), n / 2));
console.log(mul([[1, 2], [3, 4]], [[5, 6], [7, 8]]), transpose([[1, 2, 3], [4, 5, 6]]));
console.log(det([[2, 0, 1], [1, 3, 2], [1, 1, 4]]), power([[1, 1], [1, 0]], 30), identity(3));
const spiral = (n) => { const g = Array.from({ length: n }, () => Array(n).fill(0)); let x = 0, y = 0, dx = 1, dy = 0; for (let i = 1; i <= n * n; i++) { g[y][x] = i; if (g[y + dy]?.[x + dx] !== 0) [dx, dy] = [-dy, dx]; x += dx; y += dy; } return g; };
console.log(spiral(5).map((r) => r.map((v) => String(v).padStart(2)).join(' ')).join('\n'));
