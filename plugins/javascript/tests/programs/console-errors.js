const e = new Error('boom'); console.log(e.message, String(e), e instanceof Error, Object.prototype.toString.call(e));
class MyError extends Error { constructor(m) { super(m); this.name = 'MyError'; this.code = 5; } }
const m = new MyError('mine'); console.log(m.name, m.message, `${m}`, m.code, m instanceof MyError, m.stack.split('\n')[0]);
console.log({ e: new RangeError('r').name });
try { throw new TypeError('t', { cause: 'c' }); } catch (x) { console.log(x.cause, x.constructor.name); }
console.log(e.stack.split('\n')[0], new AggregateError([1], 'ag').errors);
