// `structuredClone`.
const view = Object.getPrototypeOf(Uint8Array);

function refuse(what) {
  const error = new Error(`${what} could not be cloned.`);
  error.name = 'DataCloneError';
  error.code = 25;
  return error;
}

export function structuredClone(value) {
  return clone(value, new Map());
}

function clone(value, seen) {
  if (typeof value === 'function') throw refuse(Function.prototype.toString.call(value));
  if (typeof value === 'symbol') throw refuse(String(value));
  if (value === null || typeof value !== 'object') return value;
  if (seen.has(value)) return seen.get(value);
  const keep = (copy) => {
    seen.set(value, copy);
    return copy;
  };
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) return keep(Object(value.valueOf()));
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (value instanceof view) {
    const buffer = clone(value.buffer, seen);
    const Type = globalThis[value[Symbol.toStringTag]] ?? Uint8Array;
    return keep(new Type(buffer, value.byteOffset, value.length));
  }
  if (value instanceof DataView) return keep(new DataView(clone(value.buffer, seen), value.byteOffset, value.byteLength));
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, item] of [...value]) copy.set(clone(key, seen), clone(item, seen));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const item of [...value]) copy.add(clone(item, seen));
    return copy;
  }
  if (value instanceof Error) {
    const Type = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }[value.name] ?? Error;
    const copy = keep(new Type(value.message));
    copy.stack = value.stack;
    if ('cause' in value) Object.defineProperty(copy, 'cause', { value: clone(value.cause, seen), writable: true, configurable: true });
    return copy;
  }
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef || value instanceof Promise) throw refuse('#<Object>');
  const copy = keep(Array.isArray(value) ? new Array(value.length) : {});
  for (const key of Object.keys(value)) Object.defineProperty(copy, key, { value: clone(value[key], seen), writable: true, enumerable: true, configurable: true });
  return copy;
}
