// next with values, return, throw, delegation and laziness.
function* conversation() {
  const name = yield 'name?';
  try {
    const age = yield `hello ${name}, age?`;
    return `${name} is ${age}`;
  } catch (error) {
    yield `caught ${error.message}`;
  } finally {
    console.log('cleanup');
  }
}
let c = conversation();
console.log(c.next('ignored'), c.next('Zoe'), c.next(30), c.next());
c = conversation();
c.next(); c.next('Yan');
console.log(c.throw(new Error('oops')));
console.log(c.return('early'), c.next());
function* naturals() { let n = 0; while (true) yield n++; }
function* take(n, it) { for (const v of it) { if (n-- <= 0) return; yield v; } }
console.log([...take(5, naturals())]);
function* outer() { const r = yield* inner(); console.log('inner returned', r); yield* [10, 20]; yield* 'ab'; }
function* inner() { yield 1; return 'done'; }
console.log([...outer()]);
const g = naturals();
console.log(g[Symbol.iterator]() === g, Object.prototype.toString.call(g), g);
