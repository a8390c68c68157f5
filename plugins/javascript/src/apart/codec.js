// Values on their way between two instances. Plain data crosses by value and keeps its identity:
// each side knows what it sent and got, and brings its own copy up to date when a value comes by
// again. What does something (functions, classes and their instances) stays and crosses as a handle.
import {
  ArrayPrototype, NativeDate, NativeMap, NativeWeakMap, ObjectPrototype, apply, construct, create, defineProperty, deleteProperty, getOwnPropertyDescriptor,
  getPrototypeOf, is, isArray, isFinite, isInteger, mapGet, mapSet, ownData, ownKeys, put, setPrototypeOf, toStringTag, uncurry, weakGet, weakSet,
} from '../primordials.js';
import { isPromise, newPromise, promiseDetails, rejectPromise, resolvePromise, whenSettled } from '../promise.js';
import { isProxy } from '../json.js';
import { ERRORS, TYPED, intrinsic, intrinsicName, wellKnown, wellKnownName } from './intrinsics.js';

const DEPTH = 400;
const MOST_HOLES = 100000;

const dateTime = uncurry(NativeDate.prototype.getTime);
const mapEntries = uncurry(Map.prototype.entries);
const setValues = uncurry(Set.prototype.values);
const mapClear = uncurry(Map.prototype.clear);
const setClear = uncurry(Set.prototype.clear);
const setAdd = uncurry(Set.prototype.add);
const nextOfMap = uncurry(getPrototypeOf(new Map().entries()).next);
const nextOfSet = uncurry(getPrototypeOf(new Set().values()).next);
const regExpSource = uncurry(getOwnPropertyDescriptor(RegExp.prototype, 'source').get);
const regExpFlags = uncurry(getOwnPropertyDescriptor(RegExp.prototype, 'flags').get);
const mapSize = uncurry(getOwnPropertyDescriptor(Map.prototype, 'size').get);
const setSize = uncurry(getOwnPropertyDescriptor(Set.prototype, 'size').get);
const typedPrototype = getPrototypeOf(Uint8Array).prototype;
const typedName = uncurry(getOwnPropertyDescriptor(typedPrototype, Symbol.toStringTag).get);
const typedBuffer = uncurry(getOwnPropertyDescriptor(typedPrototype, 'buffer').get);
const typedOffset = uncurry(getOwnPropertyDescriptor(typedPrototype, 'byteOffset').get);
const typedBytes = uncurry(getOwnPropertyDescriptor(typedPrototype, 'byteLength').get);
const bufferLength = uncurry(getOwnPropertyDescriptor(ArrayBuffer.prototype, 'byteLength').get);
const description = uncurry(getOwnPropertyDescriptor(Symbol.prototype, 'description').get);
const bigIntText = uncurry(BigInt.prototype.toString);
const stringOf = String;
const { keyFor } = Symbol;
const symbolFor = Symbol.for;
const Bytes = Uint8Array;
const makeBigInt = BigInt;
const makeSymbol = Symbol;
const makeRegExp = RegExp;
const { freeze, isFrozen } = Object;
const deref = uncurry(WeakRef.prototype.deref);
const Weak = WeakRef;

// What only has the prototype of an error is none.
const { isError = (value) => toStringTag(value) === '[object Error]' && getOwnPropertyDescriptor(value, 'stack') !== undefined } = Error;

export class Malformed extends Error {}
const malformed = (what) => new Malformed(`the other instance sent what makes no sense: ${what}`);

// Whether a method that only the real thing has accepts a value.
function accepts(probe, value) {
  try {
    probe(value);
    return true;
  } catch {
    return false;
  }
}

function hex(bytes) {
  let out = '';
  for (let i = 0; i < bytes.length; i++) out += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
  return out;
}

function unhex(text) {
  if (typeof text !== 'string' || text.length % 2 || !/^[0-9a-f]*$/.test(text)) throw malformed('bytes');
  const out = new Bytes(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export class Codec {
  /// `side` tells the ids of the two instances apart.
  constructor(side, remotes) {
    this.side = side;
    this.remotes = remotes;
    this.count = 0;
    // What stays here and was handed out.
    this.handles = new NativeMap();
    this.handleIds = new NativeWeakMap();
    this.symbolIds = new NativeMap();
    this.symbols = new NativeMap();
    // What crosses by value and has a copy on the other side.
    this.shared = new NativeMap();
    this.sharedIds = new NativeWeakMap();
    this.promises = new NativeMap();
    this.settled = [];
  }

  nextId() {
    return `${this.side}${++this.count}`;
  }

  handleOf(value) {
    let id = weakGet(this.handleIds, value);
    if (id === undefined) {
      id = this.nextId();
      weakSet(this.handleIds, value, id);
      mapSet(this.handles, id, value);
    }
    return id;
  }

  /// The object behind a handle that was given out here.
  own(id) {
    const found = typeof id === 'string' ? mapGet(this.handles, id) : undefined;
    if (found === undefined) throw malformed('a handle that was never given out');
    return found;
  }

  sharedId(value) {
    let id = weakGet(this.sharedIds, value);
    if (id === undefined) {
      id = this.nextId();
      this.share(id, value);
    }
    return id;
  }

  share(id, value) {
    weakSet(this.sharedIds, value, id);
    mapSet(this.shared, id, new Weak(value));
  }

  sharedBy(id) {
    const found = mapGet(this.shared, id);
    return found === undefined ? undefined : deref(found);
  }

  /// Encodes values of one message; `pass` collects what crossed by value in it.
  encoder() {
    return new Encoder(this);
  }

  decoder() {
    return new Decoder(this);
  }
}

class Encoder {
  constructor(codec) {
    this.codec = codec;
    this.seen = new NativeMap();
    /// The ids of what crossed by value.
    this.passed = [];
  }

  encode(value, depth = 0) {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value;
      case 'number':
        return isFinite(value) && !is(value, -0) ? value : { t: 'n', v: is(value, -0) ? '-0' : stringOf(value) };
      case 'undefined':
        return { t: 'u' };
      case 'bigint':
        return { t: 'b', v: bigIntText(value) };
      case 'symbol':
        return this.symbol(value);
      case 'function':
        return this.handle(value, 'f');
      default:
        return value === null ? null : this.object(value, depth);
    }
  }

  symbol(value) {
    const known = wellKnownName(value);
    if (known !== undefined) return { t: 'w', v: known };
    const key = keyFor(value);
    if (key !== undefined) return { t: 'k', v: key };
    const { codec } = this;
    let id = mapGet(codec.symbolIds, value);
    if (id === undefined) {
      id = codec.nextId();
      mapSet(codec.symbolIds, value, id);
      mapSet(codec.symbols, id, value);
    }
    return { t: 'y', i: id, v: description(value) ?? null };
  }

  handle(value, kind) {
    const foreign = this.codec.remotes.idOf(value);
    if (foreign !== undefined) return { t: 'g', i: foreign };
    const known = intrinsicName(value);
    if (known !== undefined) return { t: 'i', v: known };
    return { t: kind, i: this.codec.handleOf(value) };
  }

  object(value, depth) {
    if (this.codec.remotes.idOf(value) !== undefined || intrinsicName(value) !== undefined || isProxy(value)) return this.handle(value, 'x');
    if (isPromise(value)) return this.promise(value);
    if (depth > DEPTH) return this.handle(value, 'x');
    if (mapGet(this.seen, value)) return { t: 'r', i: this.codec.sharedId(value) };
    const prototype = getPrototypeOf(value);
    if (isArray(value)) return prototype === ArrayPrototype && this.plainArray(value) ? this.array(value, depth) : this.handle(value, 'x');
    if (prototype === ObjectPrototype || prototype === null) return this.plainObject(value) ? this.record(value, prototype, depth) : this.handle(value, 'x');
    const name = intrinsicName(prototype);
    if (name === undefined) return this.handle(value, 'x');
    if (name === 'Date.prototype' && accepts(dateTime, value)) return { t: 'd', v: isFinite(dateTime(value)) ? dateTime(value) : null };
    if (name === 'RegExp.prototype' && accepts(regExpSource, value)) return { t: 'p', v: regExpSource(value), f: regExpFlags(value), l: value.lastIndex };
    if (name === 'Map.prototype' && accepts(mapSize, value)) return this.map(value, depth);
    if (name === 'Set.prototype' && accepts(setSize, value)) return this.set(value, depth);
    if (name === 'ArrayBuffer.prototype' && accepts(bufferLength, value)) return this.mark(value, { t: 'ab', v: hex(new Bytes(value)) });
    const typed = typedName(value);
    if (typed !== undefined && `${typed}.prototype` === name) {
      return this.mark(value, { t: 't', k: typed, v: hex(new Bytes(typedBuffer(value), typedOffset(value), typedBytes(value))) });
    }
    const kind = name.slice(0, -'.prototype'.length);
    if (ERRORS.includes(kind) && isError(value)) return this.error(value, kind, depth);
    return this.handle(value, 'x');
  }

  mark(value, encoded) {
    mapSet(this.seen, value, true);
    encoded.i = this.codec.sharedId(value);
    this.passed.push(value);
    return encoded;
  }

  // Only data: what computes something stays where it is.
  plainArray(value) {
    const { length } = value;
    if (length > MOST_HOLES && ownKeys(value).length < length) return false;
    return true;
  }

  plainObject(value) {
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) {
      const found = getOwnPropertyDescriptor(value, names[i]);
      if (found === undefined || !('value' in found) || !found.enumerable || typeof found.value === 'function') return false;
    }
    return true;
  }

  array(value, depth) {
    const encoded = this.mark(value, { t: 'a', v: [] });
    if (isFrozen(value)) encoded.z = true;
    for (let i = 0; i < value.length; i++) {
      const found = getOwnPropertyDescriptor(value, i);
      encoded.v.push(found === undefined ? { t: 'h' } : this.encode('value' in found ? found.value : value[i], depth + 1));
    }
    return encoded;
  }

  record(value, prototype, depth) {
    const encoded = this.mark(value, { t: 'o', v: [] });
    if (prototype === null) encoded.n = true;
    if (isFrozen(value)) encoded.z = true;
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      encoded.v.push([this.encode(name), this.encode(ownData(value, name), depth + 1)]);
    }
    return encoded;
  }

  map(value, depth) {
    const encoded = this.mark(value, { t: 'm', v: [] });
    const entries = mapEntries(value);
    for (let step = nextOfMap(entries); !step.done; step = nextOfMap(entries)) encoded.v.push([this.encode(step.value[0], depth + 1), this.encode(step.value[1], depth + 1)]);
    return encoded;
  }

  set(value, depth) {
    const encoded = this.mark(value, { t: 's', v: [] });
    const values = setValues(value);
    for (let step = nextOfSet(values); !step.done; step = nextOfSet(values)) encoded.v.push(this.encode(step.value, depth + 1));
    return encoded;
  }

  error(value, kind, depth) {
    const { codec } = this;
    // An error that came from the other side goes back as what it was there.
    const foreign = codec.remotes.originOf(value);
    if (foreign !== undefined) return { t: 'g', i: foreign };
    const encoded = { t: 'e', k: kind, i: codec.handleOf(value), m: stringOf(ownData(value, 'message') ?? ''), s: '', v: [] };
    try {
      encoded.s = stringOf(value.stack ?? '');
    } catch {
      // A stack that cannot be read is none.
    }
    if (mapGet(this.seen, value)) return encoded;
    mapSet(this.seen, value, true);
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      if (name === 'message' || name === 'stack') continue;
      const found = getOwnPropertyDescriptor(value, name);
      if ('value' in found) encoded.v.push([this.encode(name), this.encode(found.value, depth + 1), found.enumerable]);
    }
    return encoded;
  }

  promise(value) {
    const { codec } = this;
    const foreign = codec.remotes.originOf(value);
    if (foreign !== undefined) return { t: 'g', i: foreign };
    const isNew = weakGet(codec.handleIds, value) === undefined;
    const id = codec.handleOf(value);
    if (isNew) {
      whenSettled(
        value,
        (result) => codec.settled.push({ i: id, ok: true, value: result }),
        (error) => codec.settled.push({ i: id, ok: false, value: error }),
      );
    }
    return { t: 'q', i: id };
  }
}

class Decoder {
  constructor(codec) {
    this.codec = codec;
    /// What crossed by value, as it is on this side.
    this.got = [];
  }

  decode(data, depth = 0) {
    if (data === null || typeof data === 'string' || typeof data === 'boolean' || typeof data === 'number') return data;
    if (typeof data !== 'object' || isArray(data)) throw malformed('a value');
    if (depth > 2 * DEPTH) throw malformed('a value that is nested too deeply');
    const { codec } = this;
    switch (ownData(data, 't')) {
      case 'u':
        return undefined;
      case 'n': {
        const v = ownData(data, 'v');
        if (v === 'NaN') return NaN;
        if (v === 'Infinity') return Infinity;
        if (v === '-Infinity') return -Infinity;
        if (v === '-0') return -0;
        throw malformed('a number');
      }
      case 'b': {
        const v = ownData(data, 'v');
        if (typeof v !== 'string' || !/^-?\d+$/.test(v)) throw malformed('a bigint');
        return makeBigInt(v);
      }
      case 'w': {
        const symbol = wellKnown(ownData(data, 'v'));
        if (symbol === undefined) throw malformed('a symbol');
        return symbol;
      }
      case 'k':
        return symbolFor(this.text(ownData(data, 'v')));
      case 'y': {
        const id = this.id(data);
        let symbol = mapGet(codec.symbols, id);
        if (symbol === undefined) {
          const name = ownData(data, 'v');
          symbol = name === null ? makeSymbol() : makeSymbol(this.text(name));
          mapSet(codec.symbols, id, symbol);
          mapSet(codec.symbolIds, symbol, id);
        }
        return symbol;
      }
      case 'i': {
        const found = intrinsic(ownData(data, 'v'));
        if (found === undefined) throw malformed('a name of the language');
        return found;
      }
      case 'g':
        return codec.own(ownData(data, 'i'));
      case 'f':
        return codec.remotes.proxy(this.foreign(data), true);
      case 'x':
        return codec.remotes.proxy(this.foreign(data), false);
      case 'r': {
        const found = codec.sharedBy(this.id(data));
        if (found === undefined) throw malformed('a value that was not sent');
        return found;
      }
      case 'd': {
        const v = ownData(data, 'v');
        return new NativeDate(typeof v === 'number' ? v : NaN);
      }
      case 'p': {
        try {
          const pattern = new makeRegExp(this.text(ownData(data, 'v')), this.text(ownData(data, 'f')));
          const last = ownData(data, 'l');
          if (isInteger(last)) pattern.lastIndex = last;
          return pattern;
        } catch (error) {
          if (error instanceof Malformed) throw error;
          throw malformed('a regular expression');
        }
      }
      case 'a':
        return this.array(data, depth);
      case 'o':
        return this.record(data, depth);
      case 'm':
        return this.map(data, depth);
      case 's':
        return this.set(data, depth);
      case 't':
      case 'ab':
        return this.bytes(data);
      case 'e':
        return this.error(data, depth);
      case 'q':
        return this.promise(data);
      default:
        throw malformed('a kind of value');
    }
  }

  text(value) {
    if (typeof value !== 'string') throw malformed('a text');
    return value;
  }

  id(data) {
    return this.text(ownData(data, 'i'));
  }

  // An id of the other side's: it cannot stand for something of this side.
  foreign(data) {
    const id = this.id(data);
    if (id[0] === this.codec.side) throw malformed('a handle of the wrong side');
    return id;
  }

  list(data) {
    const v = ownData(data, 'v');
    if (!isArray(v)) throw malformed('a list');
    return v;
  }

  // The copy that is here already, or a new one.
  target(data, fits, make) {
    const id = this.id(data);
    const known = this.codec.sharedBy(id);
    if (known !== undefined) {
      if (!fits(known)) throw malformed('a value that has become another');
      this.got.push(known);
      return { value: known, isNew: false };
    }
    if (id[0] === this.codec.side && id.slice(1) > this.codec.count) throw malformed('a value that was never here');
    const value = make();
    this.codec.share(id, value);
    this.got.push(value);
    return { value, isNew: true };
  }

  array(data, depth) {
    const items = this.list(data);
    const { value, isNew } = this.target(data, isArray, () => []);
    if (!isNew && isFrozen(value)) return value;
    // Decoded first: the value may contain itself.
    const decoded = [];
    for (let i = 0; i < items.length; i++) {
      const item = items[i];
      const hole = item !== null && typeof item === 'object' && ownData(item, 't') === 'h';
      decoded.push(hole ? null : { value: this.decode(item, depth + 1) });
    }
    value.length = 0;
    for (let i = 0; i < decoded.length; i++) if (decoded[i] !== null) put(value, i, decoded[i].value);
    value.length = decoded.length;
    if (isNew && ownData(data, 'z') === true) freeze(value);
    return value;
  }

  pairs(data, depth) {
    const out = [];
    const items = this.list(data);
    for (let i = 0; i < items.length; i++) {
      if (!isArray(items[i]) || items[i].length < 2) throw malformed('a pair');
      out.push([this.decode(items[i][0], depth + 1), this.decode(items[i][1], depth + 1), items[i][2]]);
    }
    return out;
  }

  record(data, depth) {
    const plain = (value) => getPrototypeOf(value) === ObjectPrototype || getPrototypeOf(value) === null;
    const { value, isNew } = this.target(data, plain, () => (ownData(data, 'n') === true ? create(null) : {}));
    if (!isNew && isFrozen(value)) return value;
    const pairs = this.pairs(data, depth);
    const kept = new NativeMap();
    for (let i = 0; i < pairs.length; i++) {
      const key = pairs[i][0];
      if (typeof key !== 'string' && typeof key !== 'symbol') throw malformed('a key');
      mapSet(kept, key, true);
    }
    const names = ownKeys(value);
    for (let i = 0; i < names.length; i++) if (!mapGet(kept, names[i])) deleteProperty(value, names[i]);
    for (let i = 0; i < pairs.length; i++) {
      const [key, item] = pairs[i];
      const found = getOwnPropertyDescriptor(value, key);
      // What a value has beside data is not for the other side to change.
      if (found !== undefined && (!('value' in found) || !found.configurable)) continue;
      put(value, key, item);
    }
    if (isNew && ownData(data, 'z') === true) freeze(value);
    return value;
  }

  map(data, depth) {
    const { value } = this.target(data, (known) => accepts(mapSize, known), () => new NativeMap());
    const pairs = this.pairs(data, depth);
    mapClear(value);
    for (let i = 0; i < pairs.length; i++) mapSet(value, pairs[i][0], pairs[i][1]);
    return value;
  }

  set(data, depth) {
    const { value } = this.target(data, (known) => accepts(setSize, known), () => new Set());
    const items = this.list(data);
    const decoded = [];
    for (let i = 0; i < items.length; i++) decoded.push(this.decode(items[i], depth + 1));
    setClear(value);
    for (let i = 0; i < decoded.length; i++) setAdd(value, decoded[i]);
    return value;
  }

  bytes(data) {
    const bytes = unhex(ownData(data, 'v'));
    const kind = ownData(data, 't') === 'ab' ? 'ArrayBuffer' : this.text(ownData(data, 'k'));
    if (kind !== 'ArrayBuffer' && !TYPED.includes(kind)) throw malformed('a kind of array');
    const isBuffer = kind === 'ArrayBuffer';
    const Type = intrinsic(kind);
    const fits = (known) => (isBuffer ? accepts(bufferLength, known) && bufferLength(known) === bytes.length : typedName(known) === kind && typedBytes(known) === bytes.length);
    const { value } = this.target(data, fits, () => {
      if (isBuffer) return new Type(bytes.length);
      if (bytes.length % Type.BYTES_PER_ELEMENT) throw malformed('bytes');
      return new Type(bytes.length / Type.BYTES_PER_ELEMENT);
    });
    const view = isBuffer ? new Bytes(value) : new Bytes(typedBuffer(value), typedOffset(value), typedBytes(value));
    for (let i = 0; i < bytes.length; i++) view[i] = bytes[i];
    return value;
  }

  error(data, depth) {
    const id = this.foreign(data);
    const { remotes } = this.codec;
    const known = remotes.byOrigin(id);
    if (known !== undefined) return known;
    const kind = this.text(ownData(data, 'k'));
    if (!ERRORS.includes(kind)) throw malformed('a kind of error');
    const message = this.text(ownData(data, 'm'));
    const Type = intrinsic(kind);
    const error = kind === 'AggregateError' ? new Type([], message) : new Type(message);
    remotes.setOrigin(error, id);
    defineProperty(error, 'stack', { value: this.text(ownData(data, 's')), writable: true, configurable: true, enumerable: false });
    const pairs = this.pairs(data, depth);
    for (let i = 0; i < pairs.length; i++) {
      const [key, value, enumerable] = pairs[i];
      if (typeof key !== 'string' && typeof key !== 'symbol') throw malformed('a key');
      defineProperty(error, key, { value, writable: true, configurable: true, enumerable: enumerable === true });
    }
    return error;
  }

  promise(data) {
    const id = this.foreign(data);
    const { codec } = this;
    const known = codec.remotes.byOrigin(id);
    if (known !== undefined) return known;
    const promise = newPromise();
    codec.remotes.setOrigin(promise, id);
    mapSet(codec.promises, id, promise);
    return promise;
  }

  /// Settles promises of the other side whose end it tells.
  settle(list) {
    if (list === undefined) return;
    if (!isArray(list)) throw malformed('a list');
    for (let i = 0; i < list.length; i++) {
      const entry = list[i];
      if (entry === null || typeof entry !== 'object') throw malformed('a promise');
      const promise = mapGet(this.codec.promises, ownData(entry, 'i'));
      // One that was settled before stays as it was.
      if (promise === undefined || promiseDetails(promise).state !== 'pending') continue;
      const value = this.decode(ownData(entry, 'v'));
      if (ownData(entry, 'ok') === true) resolvePromise(promise, value);
      else rejectPromise(promise, value);
      this.codec.promises.delete(ownData(entry, 'i'));
    }
  }
}

export { apply, construct, setPrototypeOf };
