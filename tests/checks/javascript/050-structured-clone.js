// Deep copies keep cycles, dates, maps, sets and typed arrays.
const source = { d: new Date(0), m: new Map([['k', { v: [1] }]]), s: new Set([1]), r: /x/g, u: undefined, n: null, b: 5n, t: new Uint8Array([1, 2]) };
source.self = source;
const copy = structuredClone(source);
copy.m.get('k').v.push(2); copy.t[0] = 9;
console.log(copy.self === copy, source.m.get('k').v, source.t[0], copy.d instanceof Date, copy.m, 'u' in copy, copy.r.flags, copy.b);
class P { constructor() { this.x = 1; } get y() { return 2; } }
console.log(structuredClone(new P()), structuredClone(new P()) instanceof P, structuredClone([1, , 3]), structuredClone('s'));
const e = structuredClone(new RangeError('boom'));
console.log(e instanceof RangeError, e.message);
for (const bad of [() => 1, Symbol('x'), { f() {} }]) { try { structuredClone(bad); } catch (error) { console.log(error.name); } }
