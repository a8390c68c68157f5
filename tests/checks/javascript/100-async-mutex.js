// A lock made of a promise chain keeps critical sections apart.
class Mutex { #tail = Promise.resolve(); run(f) { const r = this.#tail.then(f); this.#tail = r.catch(() => {}); return r; } }
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
let balance = 0; const log = [];
const unsafe = async (n) => { const b = balance; await null; balance = b + n; };
const m = new Mutex();
(async () => {
  await Promise.all([1, 2, 3].map(unsafe)); console.log('unsafe', balance); balance = 0;
  await Promise.all([1, 2, 3].map((n) => m.run(() => unsafe(n)))); console.log('safe', balance);
  const r = await Promise.allSettled([m.run(async () => { log.push('a'); await sleep(2); log.push('b'); }), m.run(async () => { log.push('c'); throw new Error('x'); }), m.run(() => log.push('d'))]);
  console.log(log, r.map((x) => x.status));
})();
