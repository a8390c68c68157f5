// Producers and consumers over async generators with back-pressure.
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function* source(n) { for (let i = 0; i < n; i++) { console.log('produce', i); yield i; await sleep(1); } }
async function* mapped(it, f) { for await (const x of it) yield f(x); }
async function* batched(it, n) { let b = []; for await (const x of it) { b.push(x); if (b.length === n) { yield b; b = []; } } if (b.length) yield b; }
for await (const b of batched(mapped(source(5), async (x) => { await sleep(1); return x * 10; }), 2)) console.log('batch', b);
class Channel { #q = []; #w = []; send(v) { this.#w.length ? this.#w.shift()({ value: v, done: false }) : this.#q.push(v); } close() { this.closed = true; this.#w.forEach((w) => w({ value: undefined, done: true })); } [Symbol.asyncIterator]() { return { next: () => (this.#q.length ? Promise.resolve({ value: this.#q.shift(), done: false }) : this.closed ? Promise.resolve({ value: undefined, done: true }) : new Promise((r) => this.#w.push(r))) }; } }
const ch = new Channel(); const reader = (async () => { const got = []; for await (const v of ch) got.push(v); return got; })();
ch.send('a'); await sleep(1); ch.send('b'); ch.send('c'); setTimeout(() => ch.close(), 2); console.log(await reader);
