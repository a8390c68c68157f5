// `expect` in the manner of jest.
import { inspect } from '../inspect.js';
import { isDeepEqual, whole } from '../node/equal.js';
import { AssertionError, difference } from '../node/assert.js';
import { Promise } from '../promise.js';
import { made } from './made.js';

const isObject = (value) => value !== null && typeof value === 'object';

class Matcher {
  constructor(text, holds) {
    this.text = text;
    this.asymmetricMatch = holds;
  }
}

// Equality that ignores undefined properties and classes, unless `strict`, and knows asymmetric matchers.
function equals(a, b, strict = false, seen = []) {
  if (b instanceof Matcher) return Boolean(b.asymmetricMatch(a));
  if (Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (seen.some(([x, y]) => x === a && y === b)) return true;
  const open = [...seen, [a, b]];
  const tagA = Object.prototype.toString.call(a);
  if (tagA !== Object.prototype.toString.call(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (a instanceof Error && b instanceof Error) return a.message === b.message && (!strict || a.name === b.name);
  if (a instanceof Map && b instanceof Map) {
    [a, b] = [whole(a), whole(b)];
    return a.size === b.size && [...a].every(([key, value]) => (b.has(key) ? equals(value, b.get(key), strict, open) : [...b].some(([other, item]) => equals(key, other, strict, open) && equals(value, item, strict, open))));
  }
  if (a instanceof Set && b instanceof Set) {
    [a, b] = [whole(a), whole(b)];
    return a.size === b.size && [...a].every((value) => b.has(value) || [...b].some((other) => equals(value, other, strict, open)));
  }
  if (!Array.isArray(a) && !['[object Object]', '[object Arguments]'].includes(tagA)) return isDeepEqual(a, b, false);
  if (Array.isArray(a) && a.length !== b.length) return false;
  const keysOf = (value) => Object.keys(value).filter((key) => strict || Array.isArray(value) || value[key] !== undefined);
  const keys = keysOf(a);
  const others = keysOf(b);
  if (!Array.isArray(a) || strict) if (keys.length !== others.length) return false;
  // Before any is read: reading tells which are expected.
  if (!Array.isArray(a) && !others.every((key) => keys.includes(key))) return false;
  return [...new Set([...keys, ...others])].every((key) => (!strict || Object.hasOwn(a, key) === Object.hasOwn(b, key)) && equals(a[key], b[key], strict, open));
}

function contains(actual, expected) {
  if (expected instanceof Matcher) return Boolean(expected.asymmetricMatch(actual));
  if (!isObject(actual) || !isObject(expected) || Array.isArray(expected)) {
    if (Array.isArray(expected) && Array.isArray(actual)) return actual.length === expected.length && expected.every((item, i) => contains(actual[i], item));
    return equals(actual, expected);
  }
  if (expected instanceof Date || expected instanceof Map || expected instanceof Set) return equals(actual, expected);
  return Object.keys(expected).every((key) => key in actual && contains(actual[key], expected[key]));
}

function thrown(actual, expected) {
  if (expected === undefined) return true;
  const message = isObject(actual) && 'message' in actual ? String(actual.message) : String(actual);
  if (typeof expected === 'string') return message.includes(expected);
  if (expected instanceof RegExp) return expected.test(message);
  if (typeof expected === 'function') return actual instanceof expected;
  if (expected instanceof Matcher) return Boolean(expected.asymmetricMatch(actual));
  return message === expected.message;
}

function path(object, keys) {
  let at = object;
  for (const key of Array.isArray(keys) ? keys : String(keys).replace(/\[(\w+)\]/g, '.$1').split('.')) {
    if (at === null || at === undefined || !(key in Object(at))) return { found: false };
    at = at[key];
  }
  return { found: true, value: at };
}

const calls = (mock) => mock.mock.calls.map((call) => call.arguments ?? call);

// What only a number can be asked, and no object that can be made one.
function numeric(value) {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw new AssertionError({ message: `received value must be a number or bigint\nReceived: ${inspect(value)}`, actual: value, operator: 'expect' });
  return value;
}

// Each gives whether it holds and what was expected.
const matchers = {
  toBe: (a, b) => [Object.is(a, b), 'toBe', b],
  toEqual: (a, b) => [equals(a, b), 'toEqual', b],
  toStrictEqual: (a, b) => [equals(a, b, true), 'toStrictEqual', b],
  toBeNull: (a) => [a === null, 'toBeNull'],
  toBeUndefined: (a) => [a === undefined, 'toBeUndefined'],
  toBeDefined: (a) => [a !== undefined, 'toBeDefined'],
  toBeNaN: (a) => [Number.isNaN(a), 'toBeNaN'],
  toBeTruthy: (a) => [Boolean(a), 'toBeTruthy'],
  toBeFalsy: (a) => [!a, 'toBeFalsy'],
  toBeGreaterThan: (a, b) => [numeric(a) > b, 'toBeGreaterThan', b],
  toBeGreaterThanOrEqual: (a, b) => [numeric(a) >= b, 'toBeGreaterThanOrEqual', b],
  toBeLessThan: (a, b) => [numeric(a) < b, 'toBeLessThan', b],
  toBeLessThanOrEqual: (a, b) => [numeric(a) <= b, 'toBeLessThanOrEqual', b],
  toBeCloseTo: (a, b, digits = 2) => [numeric(a) === b || Math.abs(a - b) < 10 ** -digits / 2, 'toBeCloseTo', b],
  toBeInstanceOf: (a, b) => [a instanceof b, 'toBeInstanceOf', b],
  toBeTypeOf: (a, b) => [typeof a === b, 'toBeTypeOf', b],
  toContain: (a, b) => [typeof a === 'string' ? a.includes(b) : [...a].includes(b), 'toContain', b],
  toContainEqual: (a, b) => [[...a].some((item) => equals(item, b)), 'toContainEqual', b],
  toHaveLength: (a, b) => [a?.length === b, 'toHaveLength', b],
  toMatch: (a, b) => [typeof b === 'string' ? String(a).includes(b) : b.test(String(a)), 'toMatch', b],
  toMatchObject: (a, b) => [contains(a, b), 'toMatchObject', b],
  toHaveProperty(a, keys, ...value) {
    const { found, value: actual } = path(a, keys);
    return [found && (value.length === 0 || equals(actual, value[0])), 'toHaveProperty', value.length === 0 ? keys : value[0]];
  },
  toHaveBeenCalled: (a) => [calls(a).length > 0, 'toHaveBeenCalled'],
  toHaveBeenCalledTimes: (a, b) => [calls(a).length === b, 'toHaveBeenCalledTimes', b],
  toHaveBeenCalledWith: (a, ...b) => [calls(a).some((call) => equals(call, b)), 'toHaveBeenCalledWith', b],
  toHaveBeenLastCalledWith: (a, ...b) => [equals(calls(a).at(-1), b), 'toHaveBeenLastCalledWith', b],
  toHaveBeenNthCalledWith: (a, n, ...b) => [equals(calls(a)[n - 1], b), 'toHaveBeenNthCalledWith', b],
  toHaveReturnedWith: (a, b) => [a.mock.results.some((result) => result.type === 'return' && equals(result.value, b)), 'toHaveReturnedWith', b],
  toSatisfy: (a, b) => [Boolean(b(a)), 'toSatisfy', b],
};
matchers.toBeCalled = matchers.toHaveBeenCalled;
matchers.toBeCalledTimes = matchers.toHaveBeenCalledTimes;
matchers.toBeCalledWith = matchers.toHaveBeenCalledWith;

function judge([holds, name, expected], actual, negated, takesValue, label) {
  if (Boolean(holds) !== negated) return;
  let text = `expect(received).${negated ? 'not.' : ''}${name}(${takesValue ? 'expected' : ''})`;
  if (label) text = `${label}\n${text}`;
  if (!negated && takesValue && isObject(actual) && isObject(expected) && !(expected instanceof Matcher)) {
    text += `:\n+ actual - expected\n\n${difference(actual, expected)}`;
  } else {
    text += `:${takesValue ? `\nExpected: ${negated ? 'not ' : ''}${inspect(expected)}` : ''}\nReceived: ${inspect(actual)}`;
  }
  throw new AssertionError({ message: text, actual, expected, operator: name });
}

function bind(actual, negated, label) {
  const out = {};
  for (const [name, matcher] of Object.entries({ ...matchers, ...custom })) {
    out[name] = (...args) => {
      made.count++;
      judge(matcher(actual, ...args), actual, negated, args.length > 0, label);
    };
  }
  out.toThrow = (expected) => {
    made.count++;
    let caught = null;
    // What `rejects` hands over is the error itself.
    if (typeof actual !== 'function') caught = { error: actual };
    else {
      try {
        actual();
      } catch (error) {
        caught = { error };
      }
    }
    const holds = caught !== null && thrown(caught.error, expected);
    judge([holds, 'toThrow', expected], caught === null ? undefined : caught.error, negated, expected !== undefined, label);
  };
  out.toThrowError = out.toThrow;
  return out;
}

const custom = {};

function settled(promise, negated, wanted, label) {
  const names = [...Object.keys(matchers), ...Object.keys(custom), 'toThrow', 'toThrowError'];
  const out = {};
  for (const name of names) {
    out[name] = (...args) => {
      made.count++;
      return Promise.resolve(typeof promise === 'function' ? promise() : promise).then(
        (value) => {
          if (wanted === 'rejects') throw new AssertionError({ message: `Received promise resolved instead of rejected\nResolved to value: ${inspect(value)}`, actual: value, operator: name });
          bind(value, negated, label)[name](...args);
        },
        (error) => {
          if (wanted === 'resolves') throw new AssertionError({ message: `Received promise rejected instead of resolved\nRejected to value: ${inspect(error)}`, actual: error, operator: name });
          bind(error, negated, label)[name](...args);
        },
      );
    };
  }
  return out;
}

export function expect(actual, label) {
  const out = bind(actual, false, label);
  out.not = bind(actual, true, label);
  for (const wanted of ['resolves', 'rejects']) {
    Object.defineProperty(out, wanted, {
      get: () => Object.assign(settled(actual, false, wanted, label), { not: settled(actual, true, wanted, label) }),
    });
  }
  return out;
}

const TYPES = new Map([[Number, 'number'], [String, 'string'], [Boolean, 'boolean'], [Function, 'function'], [BigInt, 'bigint'], [Symbol, 'symbol']]);

Object.assign(expect, {
  any: (type) => new Matcher(`Any<${type.name}>`, (value) => (TYPES.has(type) ? typeof value === TYPES.get(type) : type === Object ? isObject(value) : value instanceof type)),
  anything: () => new Matcher('Anything', (value) => value !== null && value !== undefined),
  objectContaining: (shape) => new Matcher('ObjectContaining', (value) => contains(value, shape)),
  arrayContaining: (items) => new Matcher('ArrayContaining', (value) => Array.isArray(value) && items.every((item) => value.some((other) => equals(other, item)))),
  stringContaining: (part) => new Matcher(`StringContaining ${part}`, (value) => typeof value === 'string' && value.includes(part)),
  stringMatching: (pattern) => new Matcher(`StringMatching ${pattern}`, (value) => typeof value === 'string' && new RegExp(pattern).test(value)),
  closeTo: (number, digits = 2) => new Matcher(`CloseTo ${number}`, (value) => typeof value === 'number' && Math.abs(value - number) < 10 ** -digits / 2),
  extend(more) {
    for (const [name, matcher] of Object.entries(more)) {
      custom[name] = (actual, ...args) => {
        const result = matcher.call({ equals, isNot: false, utils: { stringify: inspect } }, actual, ...args);
        return [result.pass, name, args[0]];
      };
    }
  },
  fail(message) {
    made.count++;
    throw new AssertionError({ message: message ?? 'expect.fail()', operator: 'fail' });
  },
  assertions() {},
  hasAssertions() {},
});
