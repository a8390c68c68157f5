// Lazy pipelines with generator helpers.
function* map(it, f) { for (const x of it) yield f(x); }
function* filter(it, f) { for (const x of it) if (f(x)) yield x; }
function* take(it, n) { if (n > 0) for (const x of it) { yield x; if (--n === 0) return; } }
function* count(n = 0) { try { for (;;) yield n++; } finally { console.log('closed at', n); } }
function* zip(...its) { const all = its.map((i) => i[Symbol.iterator]()); for (;;) { const r = all.map((i) => i.next()); if (r.some((x) => x.done)) return; yield r.map((x) => x.value); } }
function* chunk(it, n) { let c = []; for (const x of it) { c.push(x); if (c.length === n) { yield c; c = []; } } if (c.length) yield c; }
console.log([...take(filter(map(count(), (x) => x * x), (x) => x % 3 === 1), 5)]);
console.log([...zip([1, 2, 3], 'ab')], [...chunk(take(count(1), 7), 3)]);
