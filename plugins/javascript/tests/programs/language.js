const { a, ...rest } = { a: 1, b: 2, c: 3 }; console.log(a, rest, [..."héy"], a?.b?.c, null ?? 'd', 2 ** 10, 7 % -3);
label: for (let i = 0; i < 3; i++) { for (let j = 0; j < 3; j++) { if (j === 1) continue label; if (i === 2) break label; console.log(i, j); } }
function* fib() { let [x, y] = [0, 1]; for (;;) { yield x; [x, y] = [y, x + y]; } } for (const f of fib()) { if (f > 20) break; process.stdout.write(f + ' '); } console.log();
console.log([3, 1, 2].toSorted(), [1, 2, 3].at(-1), Object.groupBy ? 1 : 1, [1, [2, [3]]].flat(Infinity), 'a-b'.replaceAll('-', '+'), Object.fromEntries([['x', 1]]), [1, 2, 3].findLast((x) => x < 3), structuredClone({ d: new Date(0), m: new Map([[1, 2]]) }));
console.log((1234567.891).toLocaleString(), (0.5).toFixed(0), (25).toString(2), parseInt('12px'), Number(''), [10, 9, 1].sort(), ['b', 'a', 'C'].sort((x, y) => x.localeCompare(y)), 'ß'.toUpperCase());
console.log(typeof globalThis, typeof global, typeof require, typeof module, typeof exports, this === module.exports, __filename.length > 0);
tag`x${1}y`; function tag(s, ...v) { console.log(s, s.raw, v); } console.log(new Proxy({ a: 1 }, {}), new Proxy([1], {}), Reflect.ownKeys({ b: 1, [Symbol.iterator]: 2 }));
var x = 1; { let x = 2; } console.log(x, (() => { try { return 1; } finally { console.log('f'); } })(), [..."ab"].entries().next(), new (class { static #c = 1; static get c() { return this.#c; } })().constructor.c);
