// A least-recently-used cache on a Map's insertion order.
class LRU {
  constructor(size) { this.size = size; this.map = new Map(); this.hits = this.misses = 0; }
  get(k) { if (!this.map.has(k)) { this.misses++; return undefined; } const v = this.map.get(k); this.map.delete(k); this.map.set(k, v); this.hits++; return v; }
  set(k, v) { this.map.delete(k); this.map.set(k, v); if (this.map.size > this.size) this.map.delete(this.map.keys().next().value); return this; }
}
const c = new LRU(3);
c.set('a', 1).set('b', 2).set('c', 3);
console.log(c.get('a'), c.set('d', 4).get('b'), [...c.map.keys()], c);
let s = 1; const load = new LRU(50);
for (let i = 0; i < 5000; i++) { s = (s * 16807) % 2147483647; const k = Math.floor(Math.sqrt(s % 10000)); if (load.get(k) === undefined) load.set(k, i); }
console.log(load.hits, load.misses, load.map.size);
