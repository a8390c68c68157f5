// A small publish-subscribe class with wildcard and once.
class Bus { #h = new Map(); on(n, f) { (this.#h.get(n) ?? this.#h.set(n, []).get(n)).push(f); return () => this.off(n, f); } off(n, f) { this.#h.set(n, (this.#h.get(n) ?? []).filter((x) => x !== f)); } once(n, f) { const off = this.on(n, (...a) => { off(); f(...a); }); } emit(n, ...a) { const fs = [...(this.#h.get(n) ?? []), ...(this.#h.get('*') ?? [])]; for (const f of fs) f(...a); return fs.length; } }
const b = new Bus(); const off = b.on('x', (v) => console.log('x', v)); b.once('x', (v) => console.log('once', v)); b.on('*', (...a) => console.log('any', a));
console.log(b.emit('x', 1)); console.log(b.emit('x', 2)); off(); console.log(b.emit('x', 3), b.emit('y'), b);
