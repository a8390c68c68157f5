// Arrays of objects, maps in objects in arrays, depth markers of each kind.
class Deep { constructor(n) { this.n = n; if (n) this.next = new Deep(n - 1); } }
console.log(new Deep(4));
console.log({ l1: { l2: { l3: { a: [] , m: new Map(), s: new Set(), d: new Date(0), f() {}, e: [] } } } });
console.log([[[[]]], [[[1]]], [[[{}]]], [[[new Map()]]]], [[[new Deep(1)]]]);
console.log(new Map([['k', new Map([['k2', { a: { b: { c: 1 } } }]])]]), new Set([[1, [2, [3, [4]]]]]));
console.log([{ id: 1, tags: ['a', 'b'], meta: { ok: true } }, { id: 2, tags: [], meta: null }, { id: 3 }]);
console.log({ u: undefined, n: null, nested: { u: undefined, list: [undefined, null, NaN] } });
console.log(Object.assign([1, 2, 3], { x: 'y' }), Object.assign(new Map([[1, 2]]), { extra: true }), Object.assign(function f() {}, { a: 1, b: { c: 2 } }));
