// Throwing, rethrowing, cause, finally, and the built-in error classes.
class ValidationError extends Error {
  constructor(field, options) { super(`invalid ${field}`, options); this.name = 'ValidationError'; this.field = field; }
}
function check(value) {
  try {
    if (value < 0) throw new ValidationError('value', { cause: new RangeError('negative') });
    if (value === 0) throw 'zero';
    return 'ok';
  } catch (error) {
    if (typeof error === 'string') return 'string ' + error;
    throw error;
  } finally {
    console.log('checked', value);
  }
}
console.log(check(1), check(0));
try { check(-1); } catch (error) {
  console.log(`${error}`, error.field, error.cause.message, error instanceof ValidationError, error instanceof Error);
}
for (const action of [() => null.x, () => undefinedName, () => (1).toFixed(101), () => new Array(-1), () => decodeURIComponent('%'), () => JSON.parse('{'), () => new RegExp('('), () => BigInt(1.5), () => Symbol() + '', () => [].reduce((a) => a)]) {
  try { action(); console.log('no error'); } catch (error) { console.log(error.name, error.constructor.name, typeof error.message, typeof error.stack); }
}
console.log(String(new Error('m')), String(new TypeError()), Object.prototype.toString.call(new RangeError('x')));
console.log(new AggregateError([1, 2], 'many').errors, (() => { try { return 'try'; } finally { console.log('before return'); } })());
