// Caching by WeakMap, by closure and by decorator function.
const cached = (f) => { const c = new Map(); return Object.assign((...a) => { const k = JSON.stringify(a); if (!c.has(k)) c.set(k, f(...a)); return c.get(k); }, { cache: c }); };
const paths = cached((r, c) => (r === 0 || c === 0 ? 1 : paths(r - 1, c) + paths(r, c - 1)));
console.log(paths(16, 16), paths.cache.size);
const binom = cached((n, k) => (k === 0 || k === n ? 1n : binom(n - 1, k - 1) + binom(n - 1, k))); console.log(binom(60, 30));
const meta = new WeakMap(); const tag = (o, t) => (meta.set(o, [...(meta.get(o) ?? []), t]), o); const o = tag(tag({}, 'a'), 'b'); console.log(meta.get(o), o, meta.get({}));
const collatz = cached((n) => (n === 1 ? 0 : 1 + collatz(n % 2 ? 3 * n + 1 : n / 2))); let best = 1; for (let n = 1; n < 1000; n++) if (collatz(n) > collatz(best)) best = n; console.log(best, collatz(best));
