// Words on standard input: the shortest ladder between the first two.
const [from, to, ...words] = require('fs').readFileSync(0, 'utf8').trim().split(/\s+/);
const all = new Set([...words, to]); const near = (a, b) => [...a].filter((c, i) => c !== b[i]).length === 1;
const queue = [[from]]; let found = null; const seen = new Set([from]);
while (queue.length && !found) { const p = queue.shift(); for (const w of [...all].sort()) if (!seen.has(w) && near(p.at(-1), w)) { seen.add(w); const n = [...p, w]; if (w === to) { found = n; break; } queue.push(n); } }
console.log(found ? `${found.join(' -> ')} (${found.length - 1})` : 'none', seen.size);
