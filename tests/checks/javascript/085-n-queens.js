// Backtracking with bit masks; the first board is drawn.
function count(n) { const all = (1 << n) - 1; const go = (c, l, r) => { if (c === all) return 1; let k = 0; for (let free = all & ~(c | l | r); free;) { const bit = free & -free; free ^= bit; k += go(c | bit, (l | bit) << 1, (r | bit) >> 1); } return k; }; return go(0, 0, 0); }
console.log([1, 2, 3, 4, 5, 6, 7, 8].map(count));
function first(n, rows = []) { if (rows.length === n) return rows; for (let c = 0; c < n; c++) if (rows.every((q, i) => q !== c && Math.abs(q - c) !== rows.length - i)) { const found = first(n, [...rows, c]); if (found) return found; } return null; }
console.log(first(6).map((q) => '.'.repeat(q) + 'Q' + '.'.repeat(5 - q)).join('\n'), first(3));
