// A linked list with iterator, a ring buffer and a priority queue.
class Node { constructor(value, next = null) { this.value = value; this.next = next; } }
class List {
  head = null; length = 0;
  add(v) { this.head = new Node(v, this.head); this.length++; return this; }
  reverse() { let p = null, c = this.head; while (c) [c.next, p, c] = [p, c, c.next]; this.head = p; return this; }
  *[Symbol.iterator]() { for (let n = this.head; n; n = n.next) yield n.value; }
}
const l = new List().add(1).add(2).add(3);
console.log([...l], [...l.reverse()], l);
class Ring { #b; #i = 0; #n = 0; constructor(c) { this.#b = Array(c); } put(v) { this.#b[(this.#i + this.#n) % this.#b.length] = v; if (this.#n < this.#b.length) this.#n++; else this.#i = (this.#i + 1) % this.#b.length; } get items() { return Array.from({ length: this.#n }, (_, k) => this.#b[(this.#i + k) % this.#b.length]); } }
const r = new Ring(3); for (let i = 0; i < 5; i++) r.put(i); console.log(r.items, r);
const pq = []; for (const [p, v] of [[3, 'c'], [1, 'a'], [2, 'b'], [1, 'a2']]) { let i = pq.findIndex((x) => x[0] > p); pq.splice(i < 0 ? pq.length : i, 0, [p, v]); } console.log(pq);
