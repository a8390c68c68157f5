// Well-known symbols change built-in behaviour.
class Even { static [Symbol.hasInstance](n) { return n % 2 === 0; } }
console.log(2 instanceof Even, 3 instanceof Even);
const spreadable = { length: 2, 0: 'a', 1: 'b', [Symbol.isConcatSpreadable]: true };
console.log([1].concat(spreadable), [1].concat(Object.assign([2, 3], { [Symbol.isConcatSpreadable]: false })).length);
console.log('a-b'.split({ [Symbol.split]: (s) => s.toUpperCase() }), 'x'.replace({ [Symbol.replace]: (s, r) => s + r }, 'y'), 'x'.search({ [Symbol.search]: () => 99 }), 'x'.match({ [Symbol.match]: () => 'm' }));
console.log(Symbol.for('k') === Symbol.for('k'), Symbol('k') === Symbol('k'), Symbol.keyFor(Symbol.for('k')), Symbol.keyFor(Symbol('k')), Symbol('d').description, Symbol().description, Symbol('t').toString());
const o = { [Symbol.toStringTag]: 'Custom', [Symbol('hidden')]: 1, shown: 2 };
console.log(String(o), Object.keys(o), JSON.stringify(o), Object.prototype.toString.call(null), Object.prototype.toString.call(function () {}), Object.prototype.toString.call(1n));
class MyArray extends Array { static get [Symbol.species]() { return Array; } }
const m = MyArray.from([1, 2, 3]);
console.log(m instanceof MyArray, m.map((x) => x) instanceof MyArray, m.filter(Boolean).constructor.name);
try { `${Symbol('x')}`; } catch (error) { console.log(error.name); }
with_test: { const env = { a: 1, [Symbol.unscopables]: { a: true } }; console.log(Symbol.unscopables in env); }
