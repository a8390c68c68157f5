// Population count, gray codes, hashing, bit sets, base conversions.
const pop = (n) => { let c = 0; for (n >>>= 0; n; n &= n - 1) c++; return c; };
console.log([0, 1, 255, -1, 2 ** 31].map(pop), Array.from({ length: 8 }, (_, i) => (i ^ (i >> 1)).toString(2).padStart(3, '0')).join(' '));
const fnv = (s) => { let h = 0x811c9dc5; for (const c of Buffer.from(s)) h = Math.imul(h ^ c, 0x01000193) >>> 0; return h.toString(16).padStart(8, '0'); };
console.log(fnv(''), fnv('hello'), fnv('héllo'));
const crc = (s) => { let c = ~0; for (const b of Buffer.from(s)) { c ^= b; for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1; } return (~c >>> 0).toString(16); };
console.log(crc('123456789'), crc('The quick brown fox'));
class Bits { w = new Uint32Array(4); set(i) { this.w[i >> 5] |= 1 << (i & 31); return this; } has(i) { return (this.w[i >> 5] >>> (i & 31) & 1) === 1; } *[Symbol.iterator]() { for (let i = 0; i < 128; i++) if (this.has(i)) yield i; } }
console.log([...new Bits().set(3).set(31).set(32).set(127)], new Bits().set(31).w);
const base = (n, b) => (n < b ? '' : base(Math.floor(n / b), b)) + '0123456789abcdefghijklmnopqrstuvwxyz'[n % b]; console.log(base(255, 16) === (255).toString(16), base(123456789, 36), 0b1010, 0o17, 0xff, 1_000_000, (0xffffffff >>> 1).toString(2).length);
