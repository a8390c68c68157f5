// A csv with quotes on standard input becomes a grouped report.
const parse = (t) => { const rows = [[]]; let cell = '', q = false; for (let i = 0; i < t.length; i++) { const c = t[i]; if (q) { if (c === '"' && t[i + 1] === '"') { cell += '"'; i++; } else if (c === '"') q = false; else cell += c; } else if (c === '"') q = true; else if (c === ',') { rows.at(-1).push(cell); cell = ''; } else if (c === '\n') { rows.at(-1).push(cell); cell = ''; rows.push([]); } else cell += c; } if (cell || rows.at(-1).length) rows.at(-1).push(cell); else rows.pop(); return rows; };
const [head, ...rows] = parse(require('fs').readFileSync(0, 'utf8'));
const data = rows.map((r) => Object.fromEntries(head.map((h, i) => [h, h === 'amount' ? Number(r[i]) : r[i]])));
console.log(data);
const by = {}; for (const { team, amount } of data) by[team] = (by[team] ?? 0) + amount;
for (const [t, a] of Object.entries(by).sort((x, y) => y[1] - x[1])) console.log(t.padEnd(8, '.'), a.toFixed(1).padStart(8));
