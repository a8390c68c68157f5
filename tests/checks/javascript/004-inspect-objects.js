// Nested objects: depth limit, line breaking, keys that need quotes.
console.log({});
console.log({ a: 1, 'b-c': 2, 3: 'x', [Symbol('k')]: 4, 'valid_id': 5, '': 6 });
console.log({ a: { b: { c: { d: 1 } } } });
console.log({ a: { b: { c: {} } } });
console.log({ a: [[[[1]]]], b: [[[]]] });
console.log({ first: 'a fairly long string value', second: 'another fairly long value', third: 3 });
console.log({ name: 'x', list: [1, 2, 3], fn() {}, arrow: () => 1, klass: class {}, named: class Foo extends Array {} });
console.log(Object.create(null), Object.create({ inherited: 1 }));
console.log([{ a: 1, b: { c: 2 } }, { a: 3, b: { c: { d: 4 } } }]);
const circular = { name: 'loop' };
circular.self = circular;
console.log(circular);
