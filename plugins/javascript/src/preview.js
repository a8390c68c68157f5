// What `inspect` asks about values and only the engine knows: the items of iterators of maps and sets,
// which functions were `async`, which objects stand for modules.
import { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, push, uncurry, NativeMap, NativeSet, NativeWeakMap, weakGet, weakHas, weakSet } from './primordials.js';

const functionText = uncurry(Function.prototype.toString);
const exec = uncurry(RegExp.prototype.exec);
const mapSize = uncurry(getOwnPropertyDescriptor(NativeMap.prototype, 'size').get);
const setSize = uncurry(getOwnPropertyDescriptor(NativeSet.prototype, 'size').get);
const mapNext = uncurry(getPrototypeOf(new NativeMap().entries()).next);
const setNext = uncurry(getPrototypeOf(new NativeSet().values()).next);

// The kinds of iterators: how one is made and goes on, and of which map or set each one is.
const kinds = [];
const twins = new NativeWeakMap();

function watch(prototype, names, next, size) {
  for (const name of names) {
    const make = uncurry(prototype[name]);
    const of = new NativeWeakMap();
    // Every loop over a map comes by here, so there is no more than this.
    const { [name]: wrapped } = {
      [name]() {
        const iterator = make(this);
        weakSet(of, iterator, this);
        return iterator;
      },
    };
    push(kinds, { make, next, size, of, pairs: name === 'entries' });
    defineProperty(prototype, name, { __proto__: null, value: wrapped, writable: true, enumerable: false, configurable: true });
  }
}

/// Lets `inspect` show what iterators of maps and sets will give.
export function install() {
  watch(NativeMap.prototype, ['keys', 'values', 'entries'], mapNext, mapSize);
  watch(NativeSet.prototype, ['values', 'entries'], setNext, setSize);
  const alias = (prototype, name, from) => defineProperty(prototype, name, { __proto__: null, value: getOwnPropertyDescriptor(prototype, from).value, writable: true, enumerable: false, configurable: true });
  alias(NativeMap.prototype, Symbol.iterator, 'entries');
  alias(NativeSet.prototype, 'keys', 'values');
  alias(NativeSet.prototype, Symbol.iterator, 'values');
}

// Another iterator that stands where this one stands; null at the end. The engine has no look at the
// place of one, so it is run to its end, and a twin of it takes over.
function copy(iterator, { make, next, size, of }) {
  const source = weakGet(of, iterator);
  const current = weakGet(twins, iterator) ?? iterator;
  let rest = 0;
  while (!next(current).done) rest++;
  if (rest === 0) return null;
  const skip = size(source) - rest;
  const another = () => {
    const made = make(source);
    for (let i = 0; i < skip; i++) next(made);
    return made;
  };
  const twin = another();
  weakSet(twins, iterator, twin);
  const { next: goOn } = { next: () => next(weakGet(twins, iterator)) };
  defineProperty(iterator, 'next', { __proto__: null, value: goOn, writable: true, enumerable: false, configurable: true });
  return another();
}

/// The items of an iterator, and whether they are keys and values in turn.
export function previewEntries(value, isIterator) {
  if (!isIterator) return [];
  for (let k = 0; k < kinds.length; k++) {
    const kind = kinds[k];
    if (!weakHas(kind.of, value)) continue;
    const items = [];
    const left = copy(value, kind);
    for (let step; left !== null && !(step = kind.next(left)).done; ) {
      if (kind.pairs) push(items, step.value[0], step.value[1]);
      else push(items, step.value);
    }
    return [items, kind.pairs];
  }
  return [[], false];
}

// The head that lower.js gives to what was `async`.
const LOWERED = /^[^(]*\((?:\$p\d+__,?)*(?:\.\.\.\$rest__)?\)\s*(?:=>\s*)?(?:\{\s*(?:const [^;]*;)*return )?\$run__\.(run|generate)\(this,/;
const lowered = (value) => exec(LOWERED, functionText(value))?.[1];

export function isAsyncFunction(value) {
  return typeof value === 'function' && lowered(value) !== undefined;
}

export function isGeneratorFunction(value) {
  return typeof value === 'function' && (lowered(value) === 'generate' || exec(/^(?:function\s*)?\*/, functionText(value)) !== null);
}

const namespaces = new NativeWeakMap();

export function markNamespace(value) {
  weakSet(namespaces, value, true);
  return value;
}

export function isNamespace(value) {
  return value !== null && typeof value === 'object' && weakHas(namespaces, value);
}
