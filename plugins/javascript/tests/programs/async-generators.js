async function* count(n) { for (let i = 0; i < n; i++) { await new Promise((r) => setTimeout(r, 1)); const sent = yield i; if (sent) console.log('sent', sent); } return 'end'; }
(async () => {
const g = count(3); console.log(await g.next(), await g.next('hi'), await g.return('r'), await g.next());
async function* d() { const r = yield* count(2); console.log('r', r); yield 'last'; }
const out = []; for await (const x of d()) out.push(x); console.log(out);
async function* t() { try { yield 1; } catch (e) { yield 'caught ' + e; } } const h = t(); await h.next(); console.log(await h.throw('x'));
async function* q() { yield Promise.resolve('unwrapped'); } for await (const x of q()) console.log(x);
const it = { [Symbol.asyncIterator]() { let n = 0; return { next: async () => ({ value: n, done: n++ > 1 }), return: async () => { console.log('ret'); return {}; } }; } };
for await (const x of it) { console.log(x); if (x === 1) break; }
console.log(Object.prototype.toString.call(g), typeof g[Symbol.asyncIterator]);
const all = await Promise.all([...Array(3).keys()].map(async (i) => { await null; return i * i; })); console.log(all);
})();
