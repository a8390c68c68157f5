// What a program finds in the global object.
import { Buffer } from 'buffer';
import { console } from './console.js';
import * as loop from './loop.js';
import { Promise, enqueue } from './promise.js';
import { fromAsync } from './async.js';
import { process } from './node/process.js';
import { AbortController, AbortSignal, CustomEvent, DOMException, Event, EventTarget } from './node/abort.js';
import { performance } from './node/small.js';
import { URL, URLSearchParams } from './node/url.js';
import { TextDecoder, TextEncoder } from './text.js';
import { structuredClone } from './clone.js';
import { inspect } from './inspect.js';
import { KnownProxy } from './json.js';
import { NativeDate, NativeProxy } from './primordials.js';
import { install as installLocale } from './locale.js';
import { rename as renameDate } from './apart/intrinsics.js';
import { install as installPreviews } from './preview.js';
import { install as installStack } from './stack.js';

function define(name, value) {
  // A bundler may have given it another name.
  if (typeof value === 'function') Object.defineProperty(value, 'name', { value: name, configurable: true });
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
}

// The host's clock stands still; it goes on with the timers, and a little with each look at it, so
// that a program that waits by looking comes to an end.
const clock = NativeDate.now;
let start = null;
let looks = 0;
function now() {
  // Read in the instance: the snapshot was made at another time.
  start ??= clock();
  return start + loop.elapsed() + Math.floor(looks++ / 1000);
}

function movingDate() {
  const moving = new NativeProxy(NativeDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    apply: () => new NativeDate(now()).toString(),
  });
  NativeDate.now = now;
  Object.defineProperty(NativeDate, 'now', { enumerable: false });
  Object.defineProperty(NativeDate.prototype, 'constructor', { value: moving, writable: true, configurable: true });
  return moving;
}

export function install() {
  installStack();
  installLocale();
  installPreviews();
  define('Date', movingDate());
  renameDate();
  define('global', globalThis);
  define('console', console);
  define('process', process);
  define('Buffer', Buffer);
  define('Promise', Promise);
  define('Proxy', KnownProxy);
  define('performance', performance);
  for (const [name, value] of Object.entries({ AbortController, AbortSignal, CustomEvent, DOMException, Event, EventTarget })) define(name, value);
  define('URL', URL);
  define('URLSearchParams', URLSearchParams);
  define('TextEncoder', TextEncoder);
  define('TextDecoder', TextDecoder);
  define('structuredClone', structuredClone);
  define('queueMicrotask', (callback) => {
    if (typeof callback !== 'function') throw Object.assign(new TypeError(`The "callback" argument must be of type function. Received ${inspect(callback)}`), { code: 'ERR_INVALID_ARG_TYPE' });
    enqueue(() => callback());
  });
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate']) define(name, loop[name]);
  Object.defineProperty(Array, 'fromAsync', { value: fromAsync, writable: true, configurable: true });
  // What the engine has beyond node, or what would end in its own job queue.
  for (const name of ['__cqjs', 'wit', 'InternalError', 'AsyncDisposableStack', 'StreamReadable', 'StreamWritable', 'FutureReadable', 'FutureWritable']) delete globalThis[name];
  if (typeof Atomics === 'object') delete Atomics.waitAsync;
}
