// Whether two values are the same in structure, as `assert.deepStrictEqual` and `deepEqual` say.

const own = Object.prototype.propertyIsEnumerable;
const tag = (value) => Object.prototype.toString.call(value);
const view = Object.getPrototypeOf(Uint8Array);

/// `mode` is `strict`, or `loose` for `==` between primitives.
export function isDeepEqual(a, b, strict = true) {
  return same(a, b, strict, null);
}

function loosely(a, b) {
  // eslint-disable-next-line eqeqeq
  return a == b || (a !== a && b !== b);
}

function same(a, b, strict, seen) {
  if (a === b) return a !== 0 || !strict || Object.is(a, b);
  if (strict) {
    if (typeof a !== 'object') return typeof a === 'number' && Number.isNaN(a) && Number.isNaN(b);
    if (typeof b !== 'object' || a === null || b === null) return false;
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  } else {
    if (a === null || typeof a !== 'object') return b === null || typeof b !== 'object' ? loosely(a, b) : false;
    if (b === null || typeof b !== 'object') return false;
  }
  const tagA = tag(a);
  if (tagA !== tag(b)) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) {
    if (a.length !== b.length) return false;
  } else if (tagA === '[object Date]' && a instanceof Date && b instanceof Date) {
    if (!Object.is(Date.prototype.getTime.call(a), Date.prototype.getTime.call(b))) return false;
  } else if (tagA === '[object RegExp]' && a instanceof RegExp && b instanceof RegExp) {
    if (String(a) !== String(b) || a.lastIndex !== b.lastIndex) return false;
  } else if (a instanceof Error || b instanceof Error) {
    if (!(a instanceof Error && b instanceof Error) || a.message !== b.message || a.name !== b.name) return false;
    if (!same(a.cause, b.cause, strict, seen) || !same(a.errors, b.errors, strict, seen)) return false;
  } else if (a instanceof view || a instanceof DataView) {
    const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
    const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength);
    if (a instanceof Float32Array || a instanceof Float64Array) {
      if (a.length !== b.length) return false;
      for (let i = 0; i < a.length; i++) if (!(strict ? Object.is(a[i], b[i]) : a[i] === b[i])) return false;
    } else {
      if (left.length !== right.length) return false;
      for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
    }
  } else if (a instanceof ArrayBuffer) {
    if (!same(new Uint8Array(a), new Uint8Array(b), strict, seen)) return false;
  } else if (a instanceof Number || a instanceof String || a instanceof Boolean || a instanceof BigInt || a instanceof Symbol) {
    if (!Object.is(a.valueOf(), b.valueOf())) return false;
  }
  // Objects that contain themselves are equal where they do so alike.
  if (seen === null) seen = { left: new Map(), right: new Map(), depth: 0 };
  const before = seen.left.get(a);
  const beforeRight = seen.right.get(b);
  if (before !== undefined || beforeRight !== undefined) return before === beforeRight;
  seen.depth++;
  seen.left.set(a, seen.depth);
  seen.right.set(b, seen.depth);
  const result = sameContents(a, b, strict, seen);
  seen.left.delete(a);
  seen.right.delete(b);
  return result;
}

const sizeOf = { Set: Object.getOwnPropertyDescriptor(Set.prototype, 'size').get, Map: Object.getOwnPropertyDescriptor(Map.prototype, 'size').get };

/// A set or map that really is one: an object that only looks like one is read to its end and asked nothing else.
export function whole(value) {
  const kind = value instanceof Set ? 'Set' : 'Map';
  try {
    sizeOf[kind].call(value);
    return value;
  } catch {
    return kind === 'Set' ? new Set([...value]) : new Map([...value]);
  }
}

function sameContents(a, b, strict, seen) {
  if (a instanceof Set) {
    if (!(b instanceof Set)) return false;
    const [left, right] = [whole(a), whole(b)];
    if (left.size !== right.size || !sameSets(left, right, strict, seen)) return false;
  } else if (a instanceof Map) {
    if (!(b instanceof Map)) return false;
    const [left, right] = [whole(a), whole(b)];
    if (left.size !== right.size || !sameMaps(left, right, strict, seen)) return false;
  }
  const skip = a instanceof view;
  const keysA = skip ? [] : Object.keys(a);
  const keysB = skip ? [] : Object.keys(b);
  if (keysA.length !== keysB.length) return false;
  for (const key of keysA) if (!own.call(b, key)) return false;
  if (strict) {
    const symbols = Object.getOwnPropertySymbols(a).filter((key) => own.call(a, key));
    if (symbols.length !== Object.getOwnPropertySymbols(b).filter((key) => own.call(b, key)).length) return false;
    for (const key of symbols) if (!own.call(b, key) || !same(a[key], b[key], strict, seen)) return false;
  }
  for (const key of keysA) if (!same(a[key], b[key], strict, seen)) return false;
  return true;
}

function sameSets(a, b, strict, seen) {
  const rest = [];
  for (const value of a) if (!b.has(value)) rest.push(value);
  if (rest.length === 0) return true;
  const candidates = [...b].filter((value) => !a.has(value));
  for (const value of rest) {
    if (strict && (typeof value !== 'object' || value === null)) return false;
    const at = candidates.findIndex((other) => same(value, other, strict, seen));
    if (at < 0) return false;
    candidates.splice(at, 1);
  }
  return true;
}

function sameMaps(a, b, strict, seen) {
  const rest = [];
  for (const [key, value] of a) {
    if (b.has(key) && same(value, b.get(key), strict, seen)) continue;
    if (strict && (typeof key !== 'object' || key === null)) return false;
    rest.push([key, value]);
  }
  if (rest.length === 0) return true;
  const candidates = [...b].filter(([key, value]) => !(a.has(key) && same(a.get(key), value, strict, seen)));
  for (const [key, value] of rest) {
    const at = candidates.findIndex((other) => same(key, other[0], strict, seen) && same(value, other[1], strict, seen));
    if (at < 0) return false;
    candidates.splice(at, 1);
  }
  return true;
}
