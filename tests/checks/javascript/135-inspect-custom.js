// util.inspect options and the custom inspection symbol.
const util = require('util');
class Money { constructor(a) { this.a = a; } [util.inspect.custom](depth, options) { return `Money<${this.a}>`; } }
console.log(new Money(5), [new Money(6)], { m: new Money(7) });
console.log(util.inspect({ a: { b: { c: { d: 1 } } } }, { depth: null }), util.inspect({ a: 1, b: [1, 2] }, { compact: false }), util.inspect('x'), util.inspect(new Map([['a', 1]])));
console.log(util.inspect({ b: 1, a: 2 }, { sorted: true }), util.inspect([1, 2, 3, 4], { maxArrayLength: 2 }), util.inspect('abcdef', { maxStringLength: 3 }), util.inspect({ a: 1 }, { breakLength: Infinity }));
console.log(util.format('%s %O', 'x', { a: { b: { c: { d: 1 } } } }), util.format(1, 2, '3'), util.format('%s', () => 1), util.format('%s', class A {}), util.format('%s', { toString() { return 'own'; } }));
console.log(util.inspect({ get a() { return 5; } }, { getters: true }), util.inspect(Object.defineProperty({}, 'h', { value: 1 }), { showHidden: true }));
console.log(util.promisify && typeof util.promisify(setTimeout), util.types.isDate(new Date()), util.isDeepStrictEqual(new Set([1]), new Set([1])), util.inspect(Symbol('x')), util.inspect(null));
