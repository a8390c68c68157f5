// A sudoku solved by backtracking with candidate sets.
const grid = '53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79'.split('').map((c) => (c === '.' ? 0 : +c));
const peers = grid.map((_, i) => { const s = new Set(), r = Math.floor(i / 9), c = i % 9; for (let k = 0; k < 9; k++) { s.add(r * 9 + k); s.add(k * 9 + c); s.add((Math.floor(r / 3) * 3 + Math.floor(k / 3)) * 9 + Math.floor(c / 3) * 3 + k % 3); } s.delete(i); return [...s]; });
let steps = 0;
function solve(g) { let best = -1, options = null; for (let i = 0; i < 81; i++) if (!g[i]) { const used = new Set(peers[i].map((p) => g[p])); const o = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((v) => !used.has(v)); if (!options || o.length < options.length) [best, options] = [i, o]; } if (best < 0) return true; for (const v of options) { steps++; g[best] = v; if (solve(g)) return true; } g[best] = 0; return false; }
console.log(solve(grid), steps); for (let r = 0; r < 9; r++) console.log(grid.slice(r * 9, r * 9 + 9).join(' '));
