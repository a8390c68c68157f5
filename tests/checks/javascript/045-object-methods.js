// Key order, entries, assignment, comparison.
const o = { z: 1, 10: 'ten', a: 2, 2: 'two', [Symbol('s')]: 3, '-1': 'neg' };
console.log(Object.keys(o), Object.values(o), Object.entries(o).flat().length, Object.getOwnPropertySymbols(o), Reflect.ownKeys(o).length);
console.log(Object.fromEntries(Object.entries({ a: 1, b: 2 }).map(([k, v]) => [v, k])), Object.assign({ a: 1 }, null, { b: 2 }, 'xy', [9]));
console.log(Object.is(NaN, NaN), Object.is(0, -0), NaN === NaN, 0 === -0, {} === {}, null == undefined, null == 0, '' == 0, '0' == false, [] == false, [1] == 1, [] == '');
console.log(typeof null, typeof [], typeof (() => 1), typeof Symbol(), typeof undefined, void 0, typeof class {}, typeof new Date());
const p = { toString() { return 'str'; }, valueOf() { return 42; } };
console.log(p + 1, `${p}`, p * 2, p + '', String(p), [p] + '', p == 42, p > 41);
const q = { [Symbol.toPrimitive](hint) { return hint === 'number' ? 7 : hint; } };
console.log(+q, `${q}`, q + '', q * 2, Number(q), new Date(q).getTime());
delete o.a; o.a = 'again'; console.log(Object.keys(o).join());
console.log('toString' in {}, Object.hasOwn({}, 'toString'), {}.constructor === Object, Object.entries('ab'), Object.keys([4, 5]));
