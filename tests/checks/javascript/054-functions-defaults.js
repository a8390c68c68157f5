// Default values are evaluated per call, in order; currying, memo, recursion.
let calls = 0;
const next = () => ++calls;
const f = (a = next(), b = a * 10) => [a, b];
console.log(f(), f(undefined, 5), f(null), f(), calls);
const curry = (fn) => function c(...args) { return args.length >= fn.length ? fn(...args) : (...more) => c(...args, ...more); };
console.log(curry((a, b, c) => a + b + c)(1)(2, 3), curry((a, b) => a * b)(6, 7));
const memo = (fn, cache = new Map()) => (n) => cache.get(n) ?? (cache.set(n, fn(n)), cache.get(n));
const fib = memo((n) => (n < 2 ? n : fib(n - 1) + fib(n - 2)));
console.log(fib(80));
const isEven = (n) => (n === 0 ? true : isOdd(n - 1)), isOdd = (n) => (n === 0 ? false : isEven(n - 1));
console.log(isEven(500), isOdd(501));
let depth = 0;
try { (function down() { depth++; down(); })(); } catch (error) { console.log(error instanceof RangeError, depth > 500); }
const pipe = (...fs) => (x) => fs.reduce((v, g) => g(v), x);
console.log(pipe((s) => s.trim(), (s) => s.split(/\s+/), (w) => w.length)('  a b  c '));
console.log((function () { return typeof arguments; })(), ((...r) => r.length)(...Array(3)), f.toString().length > 5, (() => ({}))(), (() => {})());
