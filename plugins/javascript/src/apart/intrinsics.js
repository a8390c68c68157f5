// The objects of the language that both instances have: they cross by their name.
import { NativeMap, mapGet, mapSet, getOwnPropertyDescriptor, getPrototypeOf } from '../primordials.js';
import { Promise } from '../promise.js';

const names = [
  'Object', 'Function', 'Array', 'Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError',
  'Number', 'String', 'Boolean', 'Symbol', 'BigInt', 'Date', 'RegExp', 'Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'ArrayBuffer', 'DataView',
  'Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array', 'Iterator',
];

const byName = new NativeMap();
const byValue = new NativeMap();

function add(name, value) {
  if (value === undefined || value === null) return;
  mapSet(byName, name, value);
  mapSet(byValue, value, name);
}

for (const name of names) {
  const found = getOwnPropertyDescriptor(globalThis, name)?.value;
  add(name, found);
  add(`${name}.prototype`, found?.prototype);
}
add('Promise', Promise);
add('Promise.prototype', Promise.prototype);
add('TypedArray', getPrototypeOf(Uint8Array));
add('TypedArray.prototype', getPrototypeOf(Uint8Array).prototype);
add('Generator.prototype', getPrototypeOf(function* () {}).prototype);
add('GeneratorFunction.prototype', getPrototypeOf(function* () {}));
add('ArrayIterator.prototype', getPrototypeOf([][Symbol.iterator]()));

/// Called once the globals are in place: `Date` is not the engine's own any more.
export function rename() {
  mapSet(byName, 'Date', globalThis.Date);
  mapSet(byValue, globalThis.Date, 'Date');
}

export const intrinsicName = (value) => mapGet(byValue, value);
export const intrinsic = (name) => mapGet(byName, name);

const SYMBOLS = ['iterator', 'asyncIterator', 'hasInstance', 'toPrimitive', 'toStringTag', 'species', 'isConcatSpreadable', 'match', 'matchAll', 'replace', 'search', 'split', 'unscopables', 'dispose', 'asyncDispose'];
const symbolNames = new NativeMap();
const symbolsByName = new NativeMap();
for (const name of SYMBOLS) {
  if (typeof Symbol[name] !== 'symbol') continue;
  mapSet(symbolNames, Symbol[name], name);
  mapSet(symbolsByName, name, Symbol[name]);
}

export const wellKnownName = (symbol) => mapGet(symbolNames, symbol);
export const wellKnown = (name) => mapGet(symbolsByName, name);

/// Kinds of errors that cross by value.
export const ERRORS = ['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError', 'AggregateError'];
export const TYPED = ['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'];

const errorPrototypes = new NativeMap();
for (const name of ERRORS) mapSet(errorPrototypes, intrinsic(`${name}.prototype`), true);
export const isErrorPrototype = (value) => mapGet(errorPrototypes, value) === true;
