// Column layout, word wrap and number grouping without locale functions.
const rows = [['Item', 'Qty', 'Price'], ['Apple', 3, 1.25], ['Pineapple', 12, 0.5], ['Fig', 100, 1234.5]];
const group = (n) => n.toFixed(2).replace(/\B(?=(\d{3})+\.)/g, ',');
const width = [0, 1, 2].map((c) => Math.max(...rows.map((r) => String(typeof r[c] === 'number' && c === 2 ? group(r[c]) : r[c]).length)));
for (const [i, r] of rows.entries()) { console.log(r.map((v, c) => (c ? String(c === 2 && i ? group(v) : v).padStart(width[c]) : v.padEnd(width[c]))).join(' | ')); if (!i) console.log(width.map((w) => '-'.repeat(w)).join('-+-')); }
const wrap = (t, n) => t.split(' ').reduce((ls, w) => ((ls.at(-1) + ' ' + w).trim().length <= n ? [...ls.slice(0, -1), (ls.at(-1) + ' ' + w).trim()] : [...ls, w]), ['']);
console.log(wrap('The quick brown fox jumps over the lazy dog and runs away from everything', 20).map((l) => `|${l.padEnd(20)}|`).join('\n'));
console.log(group(1234567.891), group(0), group(999), group(-1234.5));
