// Values to JSON and back, without calling anything of whoever made the values.
import { ArrayPrototype, ObjectPrototype, getOwnPropertyDescriptor, getPrototypeOf, isArray, isFinite, join, ownKeys, parse, push, stringify, NativeWeakMap, weakSet, weakHas, NativeProxy, construct } from './primordials.js';
import { TransparentProxy } from './inspect.js';
import { className } from './errors.js';

const proxies = new NativeWeakMap();

/// A Proxy class that remembers its proxies: nothing else tells them from other objects.
export const KnownProxy = new NativeProxy(TransparentProxy, {
  construct(target, args) {
    const proxy = construct(TransparentProxy, args);
    weakSet(proxies, proxy, true);
    return proxy;
  },
  get(target, key) {
    if (key !== 'revocable') return target[key];
    return (...args) => {
      const made = target.revocable(...args);
      weakSet(proxies, made.proxy, true);
      return made;
    };
  },
});

export function isProxy(value) {
  return weakHas(proxies, value);
}

export class NotJson extends Error {}

function refuse(value) {
  let what;
  if (value === null || typeof value !== 'object') {
    what = typeof value === 'number' ? `${value}` : typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`;
  } else {
    what = `a ${isProxy(value) ? 'Proxy' : className(value)}`;
  }
  return new NotJson(`returned ${what}, which is no JSON value`);
}

/// The JSON of a value, or `NotJson`.
export function toJson(value, depth = 0, open = []) {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return stringify(value);
  if (typeof value === 'number') {
    if (!isFinite(value)) throw refuse(value);
    return stringify(value);
  }
  if (typeof value !== 'object' || isProxy(value)) throw refuse(value);
  if (depth > 500) throw new NotJson('returned a value that is nested too deeply');
  for (let i = 0; i < open.length; i++) if (open[i] === value) throw new NotJson('returned a value that contains itself, which is no JSON value');
  push(open, value);
  const parts = [];
  if (isArray(value)) {
    if (getPrototypeOf(value) !== ArrayPrototype) throw refuse(value);
    const { length } = value;
    for (let i = 0; i < length; i++) {
      const found = getOwnPropertyDescriptor(value, i);
      if (found === undefined) throw new NotJson('returned an Array with holes, which is no JSON value');
      if (!('value' in found)) throw new NotJson('returned an Array with a getter, which is no JSON value');
      push(parts, toJson(found.value, depth + 1, open));
    }
    open.length -= 1;
    return `[${join(parts, ',')}]`;
  }
  const prototype = getPrototypeOf(value);
  if (prototype !== ObjectPrototype && prototype !== null) throw refuse(value);
  const names = ownKeys(value);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    const found = getOwnPropertyDescriptor(value, name);
    if (typeof name === 'symbol' || !found.enumerable || !('value' in found)) {
      throw new NotJson('returned an Object with more than plain data, which is no JSON value');
    }
    push(parts, `${stringify(name)}:${toJson(found.value, depth + 1, open)}`);
  }
  open.length -= 1;
  return `{${join(parts, ',')}}`;
}

export { parse };
