// What stands for the objects of the other instance: a local Proxy that asks there.
import { NativeMap, NativeProxy, NativeWeakMap, is, isArray, mapGet, mapHas, mapSet, ownData, weakGet, weakSet, ObjectPrototype } from '../primordials.js';
import { inspectCustom } from '../inspect.js';
import { isErrorPrototype } from './intrinsics.js';
import { Malformed } from './codec.js';

export class Remotes {
  constructor() {
    this.byId = new NativeMap();
    this.ids = new NativeWeakMap();
    this.origins = new NativeWeakMap();
    this.byOriginId = new NativeMap();
    this.prototypes = new NativeMap();
    // Those that are prototypes of others.
    this.parents = new NativeMap();
    /// Asks the other instance; set by the link.
    this.ask = null;
    /// Whether this is the tests' side.
    this.trusted = false;
    /// How often something was done with the code that can change it.
    this.moves = 0;
    // What objects were when they were last needed as primitives.
    this.said = new NativeMap();
  }

  idOf(value) {
    return weakGet(this.ids, value);
  }

  // Errors and promises are real ones here, and remember where they come from.
  originOf(value) {
    return weakGet(this.origins, value);
  }
  setOrigin(value, id) {
    weakSet(this.origins, value, id);
    mapSet(this.byOriginId, id, value);
  }
  byOrigin(id) {
    return mapGet(this.byOriginId, id);
  }

  proxy(id, callable) {
    const known = mapGet(this.byId, id);
    if (known !== undefined) return known;
    // A bound function can be called and constructed, and has no property that a Proxy could not hide.
    const target = callable ? function () {}.bind() : {};
    if (callable) {
      delete target.name;
      delete target.length;
    }
    const proxy = new NativeProxy(target, this.handler(id, callable));
    mapSet(this.byId, id, proxy);
    weakSet(this.ids, proxy, id);
    return proxy;
  }

  // Whether an object is what a class of the other side gives its instances as their prototype.
  isOfClass(id, ask) {
    const found = ask('desc', { k: 'constructor' });
    const constructor = isArray(found) ? ownData(found, 2) : undefined;
    return this.idOf(constructor) !== undefined && this.ask({ q: 'get', h: this.idOf(constructor), k: 'prototype' }) === mapGet(this.byId, id);
  }

  // What an object of the code is as a primitive. It stays that until something is done with the code: the tests
  // may compare it with one value after another.
  primitive(id, hint) {
    let said = mapGet(this.said, id);
    if (said === undefined || said.moves !== this.moves) {
      said = { moves: this.moves, byHint: new NativeMap(), number: undefined };
      mapSet(this.said, id, said);
    }
    if (mapHas(said.byHint, hint)) return mapGet(said.byHint, hint);
    const value = this.ask({ q: 'prim', h: id, a: [hint] });
    if (value !== null && (typeof value === 'object' || typeof value === 'function')) throw new TypeError('Cannot convert object to primitive value');
    if (typeof value === 'number') {
      if (said.number !== undefined && !is(said.number, value)) throw new TypeError(`an object of the code is ${value} in one place and ${said.number} in another`);
      said.number = value;
    }
    mapSet(said.byHint, hint, value);
    return value;
  }

  handler(id, callable) {
    const ask = (q, fields) => this.ask({ q, h: id, ...fields });
    return {
      __proto__: null,
      get: (target, key) => {
        if (key === inspectCustom) return () => ask('show', {});
        // Without it, `instanceof` follows the prototypes, which the code cannot forge.
        if (key === Symbol.hasInstance) return undefined;
        if (key === Symbol.toPrimitive && this.trusted) return (hint) => this.primitive(id, hint);
        return ask('get', { k: key });
      },
      set: (target, key, value) => {
        ask('set', { k: key, a: [value] });
        return true;
      },
      has: (target, key) => ask('has', { k: key }) === true,
      deleteProperty: (target, key) => ask('del', { k: key }) === true,
      ownKeys: () => {
        const keys = ask('keys', {});
        if (!isArray(keys)) throw new Malformed('the other instance sent no keys');
        const out = [];
        const known = new NativeMap();
        for (let i = 0; i < keys.length; i++) {
          const key = ownData(keys, i);
          // One that is there twice would make up for one that is missing.
          if ((typeof key !== 'string' && typeof key !== 'symbol') || mapHas(known, key)) continue;
          mapSet(known, key, true);
          out.push(key);
        }
        return out;
      },
      getOwnPropertyDescriptor: (target, key) => {
        const found = ask('desc', { k: key });
        if (!isArray(found)) return undefined;
        const enumerable = ownData(found, 0) === true;
        if (ownData(found, 1) === true) return { get: () => ask('get', { k: key }), set: undefined, enumerable, configurable: true };
        return { value: ownData(found, 2), writable: true, enumerable, configurable: true };
      },
      defineProperty: (target, key, descriptor) => {
        if (!('value' in descriptor)) return false;
        return ask('def', { k: key, a: [descriptor.value, descriptor.enumerable === true] }) === true;
      },
      getPrototypeOf: () => {
        let found = mapGet(this.prototypes, id);
        if (found === undefined) {
          const value = ask('proto', {});
          found = { value: value !== null && (typeof value === 'object' || typeof value === 'function') ? value : null };
          mapSet(this.prototypes, id, found);
          const of = this.idOf(found.value);
          if (of !== undefined) mapSet(this.parents, of, true);
        }
        // Errors of the language cross by value: what is left under their prototypes are those of classes.
        if (!callable && isErrorPrototype(found.value) && !mapGet(this.parents, id) && !this.isOfClass(id, ask)) return ObjectPrototype;
        return found.value;
      },
      setPrototypeOf: () => false,
      apply: (target, self, args) => ask('call', { self, a: args }),
      construct: (target, args) => {
        const made = ask('new', { a: args });
        if (made === null || (typeof made !== 'object' && typeof made !== 'function')) throw new Malformed('the other instance constructed nothing');
        return made;
      },
    };
  }
}
