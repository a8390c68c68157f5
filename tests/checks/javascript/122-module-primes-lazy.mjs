// An endless stream of primes by a growing table.
function* primes() { const next = new Map(); for (let n = 2; ; n++) { const ds = next.get(n); if (!ds) { yield n; next.set(n * n, [n]); } else { next.delete(n); for (const d of ds) next.set(n + d, [...(next.get(n + d) ?? []), d]); } } }
let i = 0, sum = 0; for (const p of primes()) { if (++i > 1000) break; sum += p; if (i % 250 === 0) console.log(i, p, sum); }
