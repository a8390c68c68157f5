// `node:assert`.
import { inspect } from '../inspect.js';
import { isDeepEqual } from './equal.js';
import { here, sourceLine } from '../stack.js';
import { Promise, isPromise } from '../promise.js';
import { made } from '../testing/made.js';

const TITLES = {
  deepStrictEqual: 'Expected values to be strictly deep-equal:',
  strictEqual: 'Expected values to be strictly equal:',
  strictEqualObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: 'Expected values to be loosely deep-equal:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notStrictEqualObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: 'Values have same structure but are not reference-equal:',
};

const isObject = (value) => value !== null && typeof value === 'object';

export function show(value) {
  return inspect(value, { compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, sorted: true, getters: true });
}

// The lines of both sides, with those that only one has marked.
export function difference(actual, expected) {
  const a = show(actual).split('\n');
  const b = show(expected).split('\n');
  const bare = (line) => (line.endsWith(',') ? line.slice(0, -1) : line);
  if (a.length * b.length > 250000) return [...a.slice(0, 25).map((line) => `+ ${line}`), '...', ...b.slice(0, 25).map((line) => `- ${line}`), '...'].join('\n');
  // The longest common subsequence, from the ends.
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i][j] = bare(a[i]) === bare(b[j]) ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const out = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && bare(a[i]) === bare(b[j])) {
      out.push(`  ${a[i]}`);
      i++;
      j++;
    } else if (i < a.length && (j >= b.length || table[i + 1][j] >= table[i][j + 1])) {
      out.push(`+ ${a[i++]}`);
    } else {
      out.push(`- ${b[j++]}`);
    }
  }
  return out.length > 60 ? `${out.slice(0, 60).join('\n')}\n...` : out.join('\n');
}

// A message of the caller's stands in the place of the title.
function messageOf({ operator, actual, expected }, own) {
  if (operator === 'deepStrictEqual' || operator === 'strictEqual' || operator === 'deepEqual') {
    const a = show(actual);
    const b = show(expected);
    let title = own ?? TITLES[operator];
    if (operator === 'strictEqual' && ((isObject(actual) && isObject(expected)) || (typeof actual === 'function' && typeof expected === 'function'))) {
      if (a === b) return `${TITLES.notIdentical}\n\n${a}\n`;
      title = own ?? TITLES.strictEqualObject;
    }
    if (operator === 'deepEqual') return `${title}\n\n${a}\n\nshould loosely deep-equal\n\n${b}`;
    if (a === b) return `${TITLES.notIdentical}\n\n${a}\n`;
    if (!a.includes('\n') && !b.includes('\n') && a.length + b.length <= 12 && !isObject(actual) && !isObject(expected) && (actual !== 0 || expected !== 0)) {
      return `${title}\n\n${a} !== ${b}\n`;
    }
    return `${title}\n+ actual - expected\n\n${difference(actual, expected)}${pointer(a, b, operator, title)}`;
  }
  if (operator === 'notDeepStrictEqual' || operator === 'notStrictEqual') {
    const a = show(actual);
    const title = operator === 'notStrictEqual' && (isObject(actual) || typeof actual === 'function') ? TITLES.notStrictEqualObject : TITLES[operator];
    return a.includes('\n') || a.length <= 5 ? `${title}${a.includes('\n') ? '\n\n' : ' '}${a}${a.includes('\n') ? '\n' : ''}` : `${title}\n\n${a}`;
  }
  if (operator === 'notDeepEqual') return `${TITLES.notDeepEqual}\n\n${show(actual)}`;
  return `${inspect(actual)} ${operator} ${inspect(expected)}`;
}

// Where two short lines begin to differ.
function pointer(a, b, operator, title) {
  if (a.includes('\n') || b.includes('\n') || a.length + b.length >= 80 || a.length + b.length <= 12 || title === TITLES.strictEqualObject) return '';
  let at = 0;
  while (a[at] === b[at]) at++;
  return at > 2 ? `\n  ${' '.repeat(at)}^` : '';
}

export class AssertionError extends Error {
  constructor(options) {
    const { message, operator, actual, expected } = options;
    const own = message === undefined || message === null ? undefined : String(message);
    const compared = operator === 'strictEqual' || operator === 'deepStrictEqual';
    super(own === undefined || compared ? messageOf(options, own || undefined) : own);
    this.generatedMessage = own === undefined || (compared && own === '');
    Object.defineProperty(this, 'name', { value: 'AssertionError [ERR_ASSERTION]', enumerable: false, writable: true, configurable: true });
    this.code = 'ERR_ASSERTION';
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    // The stack names the code; the error itself does not.
    const text = this.stack;
    this.stack = typeof text === 'string' && text.startsWith('Error') ? `AssertionError [ERR_ASSERTION]${text.slice(5)}` : text;
    this.name = 'AssertionError';
  }
  toString() {
    return `${this.name} [${this.code}]: ${this.message}`;
  }
}

function fail(options) {
  if (options.message instanceof Error) throw options.message;
  throw new AssertionError(options);
}

function invalid(text) {
  return Object.assign(new TypeError(text), { code: 'ERR_INVALID_ARG_TYPE' });
}

function ok(value, message, count, operator = '==') {
  made.count++;
  if (value) return;
  if (count === 0) message = 'No value argument passed to `assert.ok()`';
  const generated = message === undefined || message === null;
  if (generated) message = `The expression evaluated to a falsy value${expressionHere()}`;
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message, actual: value, expected: true, operator });
  error.generatedMessage = generated;
  throw error;
}

// The call itself, where it stands on one line.
function expressionHere() {
  const at = here();
  const line = at === null ? undefined : sourceLine(at.path, at.line);
  const start = line === undefined ? -1 : line.search(/\bassert(\.\w+)*\s*\(/);
  if (start < 0) return '';
  let depth = 0;
  for (let i = line.indexOf('(', start); i < line.length; i++) {
    if (line[i] === '(') depth++;
    else if (line[i] === ')' && --depth === 0) return `:\n\n  ${line.slice(start, i + 1)}\n`;
  }
  return '';
}

export const assert = (...args) => ok(args[0], args[1], args.length);

function compare(name, holds) {
  return {
    [name](actual, expected, message) {
      made.count++;
      if (arguments.length < 2) throw Object.assign(new TypeError('The "actual" and "expected" arguments must be specified'), { code: 'ERR_MISSING_ARGS' });
      if (!holds(actual, expected)) fail({ actual, expected, message, operator: name });
    },
  }[name];
}

// Whether an error is what `throws` was told to expect.
function matches(error, expected, message, operator) {
  if (expected === undefined) return;
  if (typeof expected === 'function') {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Error.isPrototypeOf(expected) || expected === Error) {
      throw new AssertionError({
        message: message ?? `The error is expected to be an instance of "${expected.name}". Received ${isObject(error) ? `"${error.constructor?.name}"` : inspect(error)}\n\nError message:\n\n${error?.message}`,
        actual: error,
        expected,
        operator,
      });
    }
    const result = Reflect.apply(expected, {}, [error]);
    if (result === true) return;
    const name = expected.name ? `"${expected.name}" ` : '';
    throw new AssertionError({
      message: message ?? `The ${name}validation function is expected to return "true". Received ${inspect(result)}\n\nCaught error:\n\n${error}`,
      actual: error,
      expected,
      operator,
    });
  }
  if (expected instanceof RegExp) {
    const text = String(error);
    if (expected.exec(text) !== null) return;
    throw new AssertionError({
      message: message ?? `The input did not match the regular expression ${inspect(expected)}. Input:\n\n${inspect(text)}\n`,
      actual: error,
      expected,
      operator,
    });
  }
  if (!isObject(error)) throw new AssertionError({ message, actual: error, expected, operator });
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push('name', 'message');
  for (const key of keys) {
    const holds = typeof error[key] === 'string' && expected[key] instanceof RegExp ? expected[key].exec(error[key]) !== null : key in error && isDeepEqual(error[key], expected[key]);
    if (holds) continue;
    const pick = (from) => Object.fromEntries(keys.filter((name) => name in from).map((name) => [name, typeof from[name] === 'string' && expected[name] instanceof RegExp && expected[name].exec(from[name]) !== null ? expected[name] : from[name]]));
    const options = { message, actual: pick(error), expected: pick(expected), operator: 'deepStrictEqual' };
    if (message instanceof Error) throw message;
    const failure = new AssertionError(options);
    failure.actual = error;
    failure.expected = expected;
    failure.operator = operator;
    throw failure;
  }
}

function checkThrown(caught, expected, message, operator) {
  if (typeof expected === 'string') {
    message = expected;
    expected = undefined;
  }
  if (caught === null) {
    const name = expected?.name ? ` (${expected.name})` : '';
    const kind = operator === 'rejects' ? 'rejection' : 'exception';
    fail({ message: message instanceof Error ? message : `Missing expected ${kind}${name}${message ? `: ${message}` : '.'}`, actual: undefined, expected, operator });
  }
  matches(caught.error, expected, message, operator);
}

function checkNotThrown(caught, expected, message, operator) {
  if (caught === null) return;
  if (typeof expected === 'string') {
    message = expected;
    expected = undefined;
  }
  if (expected === undefined || (typeof expected === 'function' && caught.error instanceof expected) || (expected instanceof RegExp && expected.test(String(caught.error)))) {
    const kind = operator === 'doesNotReject' ? 'rejection' : 'exception';
    fail({ message: `Got unwanted ${kind}${message ? `: ${message}` : '.'}\nActual message: "${caught.error?.message}"`, actual: caught.error, expected, operator });
  }
  throw caught.error;
}

function thrownBy(fn) {
  made.count++;
  if (typeof fn !== 'function') throw invalid(`The "fn" argument must be of type function. Received ${inspect(fn)}`);
  try {
    fn();
  } catch (error) {
    return { error };
  }
  return null;
}

function rejectionOf(source) {
  made.count++;
  return new Promise((resolve, reject) => {
    const promise = typeof source === 'function' ? source() : source;
    if (!isPromise(promise) && typeof promise?.then !== 'function') {
      reject(invalid(`The "promiseFn" argument must be of type function or an instance of Promise. Received ${inspect(promise)}`));
      return;
    }
    promise.then(
      () => resolve(null),
      (error) => resolve({ error }),
    );
  });
}

// eslint-disable-next-line eqeqeq
const loosely = (a, b) => a == b || (a !== a && b !== b);

Object.assign(assert, {
  ok: (...args) => ok(args[0], args[1], args.length),
  equal: compare('==', loosely),
  notEqual: compare('!=', (a, b) => !loosely(a, b)),
  strictEqual: compare('strictEqual', Object.is),
  notStrictEqual: compare('notStrictEqual', (a, b) => !Object.is(a, b)),
  deepEqual: compare('deepEqual', (a, b) => isDeepEqual(a, b, false)),
  notDeepEqual: compare('notDeepEqual', (a, b) => !isDeepEqual(a, b, false)),
  deepStrictEqual: compare('deepStrictEqual', (a, b) => isDeepEqual(a, b)),
  notDeepStrictEqual: compare('notDeepStrictEqual', (a, b) => !isDeepEqual(a, b)),
  partialDeepStrictEqual: compare('partialDeepStrictEqual', function partial(a, b) {
    if (!isObject(a) || !isObject(b)) return Object.is(a, b);
    return Object.keys(b).every((key) => key in a && partial(a[key], b[key]));
  }),
  fail(message = 'Failed') {
    made.count++;
    if (message instanceof Error) throw message;
    throw new AssertionError({ message, operator: 'fail' });
  },
  throws(fn, expected, message) {
    checkThrown(thrownBy(fn), expected, message, 'throws');
  },
  doesNotThrow(fn, expected, message) {
    checkNotThrown(thrownBy(fn), expected, message, 'doesNotThrow');
  },
  rejects: (source, expected, message) => rejectionOf(source).then((caught) => checkThrown(caught, expected, message, 'rejects')),
  doesNotReject: (source, expected, message) => rejectionOf(source).then((caught) => checkNotThrown(caught, expected, message, 'doesNotReject')),
  ifError(value) {
    made.count++;
    if (value === null || value === undefined) return;
    throw new AssertionError({ message: `ifError got unwanted exception: ${value?.message ?? inspect(value)}`, actual: value, expected: null, operator: 'ifError' });
  },
  match(text, pattern, message) {
    made.count++;
    if (typeof text === 'string' && pattern.exec(text) !== null) return;
    fail({ message: message ?? (typeof text === 'string' ? `The input did not match the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n` : `The "string" argument must be of type string. Received ${inspect(text)}`), actual: text, expected: pattern, operator: 'match' });
  },
  doesNotMatch(text, pattern, message) {
    made.count++;
    if (typeof text === 'string' && pattern.exec(text) === null) return;
    fail({ message: message ?? `The input was expected to not match the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`, actual: text, expected: pattern, operator: 'doesNotMatch' });
  },
  AssertionError,
});

const strict = (...args) => ok(args[0], args[1], args.length);
Object.assign(strict, assert, {
  equal: assert.strictEqual,
  notEqual: assert.notStrictEqual,
  deepEqual: assert.deepStrictEqual,
  notDeepEqual: assert.notDeepStrictEqual,
});
strict.strict = strict;
assert.strict = strict;
