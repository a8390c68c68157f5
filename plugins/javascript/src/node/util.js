// `node:util`.
import { inspect, format, formatWithOptions, stripVTControlCharacters, inspectCustom } from '../inspect.js';
import { isAsyncFunction, isGeneratorFunction } from '../preview.js';
import { Promise, isPromise } from '../promise.js';
import { isDeepEqual } from './equal.js';
import { TextDecoder, TextEncoder } from '../text.js';

inspect.custom = inspectCustom;

const customPromisify = Symbol.for('nodejs.util.promisify.custom');

function promisify(original) {
  if (typeof original !== 'function') throw Object.assign(new TypeError(`The "original" argument must be of type function. Received ${inspect(original)}`), { code: 'ERR_INVALID_ARG_TYPE' });
  if (original[customPromisify]) return original[customPromisify];
  const promisified = function (...args) {
    return new Promise((resolve, reject) => {
      original.call(this, ...args, (error, value) => (error ? reject(error) : resolve(value)));
    });
  };
  return Object.defineProperties(Object.setPrototypeOf(promisified, Object.getPrototypeOf(original)), Object.getOwnPropertyDescriptors(original));
}
promisify.custom = customPromisify;

const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);
const view = Object.getPrototypeOf(Uint8Array);

export const util = {
  inspect,
  format,
  formatWithOptions,
  stripVTControlCharacters,
  isDeepStrictEqual: (a, b) => isDeepEqual(a, b),
  promisify,
  callbackify: (original) =>
    function (...args) {
      const callback = args.pop();
      original.apply(this, args).then((value) => callback(null, value), (error) => callback(error));
    },
  deprecate: (fn) => fn,
  inherits(constructor, parent) {
    Object.defineProperty(constructor, 'super_', { value: parent, writable: true, configurable: true });
    Object.setPrototypeOf(constructor.prototype, parent.prototype);
  },
  debuglog: () => Object.assign(() => {}, { enabled: false }),
  toUSVString: (text) => String(text).toWellFormed(),
  styleText: (style, text) => text,
  types: {
    isPromise,
    isDate: (value) => value instanceof Date,
    isRegExp: (value) => value instanceof RegExp,
    isMap: (value) => value instanceof Map,
    isSet: (value) => value instanceof Set,
    isWeakMap: (value) => value instanceof WeakMap,
    isWeakSet: (value) => value instanceof WeakSet,
    isNativeError: (value) => value instanceof Error,
    isTypedArray: (value) => value instanceof view,
    isUint8Array: (value) => value instanceof Uint8Array,
    isArrayBuffer: (value) => value instanceof ArrayBuffer,
    isAnyArrayBuffer: (value) => value instanceof ArrayBuffer,
    isArrayBufferView: (value) => ArrayBuffer.isView(value),
    isGeneratorFunction,
    isGeneratorObject: (value) => tag(value) === 'Generator',
    isAsyncFunction,
    isBoxedPrimitive: (value) => value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt || value instanceof Symbol,
    isSymbolObject: (value) => value instanceof Symbol,
    isNumberObject: (value) => value instanceof Number,
    isStringObject: (value) => value instanceof String,
    isProxy: () => false,
  },
  isArray: Array.isArray,
  TextDecoder,
  TextEncoder,
};
