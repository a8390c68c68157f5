// `EventTarget`, `AbortController` and what belongs to them.
import { inspect, inspectCustom } from '../inspect.js';
import * as loop from '../loop.js';
import { hooks } from '../promise.js';

const CODES = { AbortError: 20, TimeoutError: 23, InvalidStateError: 11, DataCloneError: 25, NotFoundError: 8, SyntaxError: 12 };

export class DOMException extends Error {
  #name;
  constructor(message = '', options = 'Error') {
    super(message);
    this.#name = String(typeof options === 'object' && options !== null ? (options.name ?? 'Error') : options);
    if (typeof options === 'object' && options !== null && 'cause' in options) Object.defineProperty(this, 'cause', { value: options.cause, configurable: true, writable: true, enumerable: false });
  }
  get name() {
    return this.#name;
  }
  get code() {
    return CODES[this.#name] ?? 0;
  }
}

let setTarget;
let isStopped;

export class Event {
  #type;
  #options;
  #stopped = false;
  #prevented = false;
  #target = null;
  constructor(type, options = {}) {
    this.#type = String(type);
    this.#options = options ?? {};
  }
  get type() {
    return this.#type;
  }
  get target() {
    return this.#target;
  }
  get currentTarget() {
    return this.#target;
  }
  get bubbles() {
    return Boolean(this.#options.bubbles);
  }
  get cancelable() {
    return Boolean(this.#options.cancelable);
  }
  get defaultPrevented() {
    return this.#prevented;
  }
  get timeStamp() {
    return loop.elapsed();
  }
  preventDefault() {
    if (this.cancelable) this.#prevented = true;
  }
  stopPropagation() {}
  stopImmediatePropagation() {
    this.#stopped = true;
  }
  get [Symbol.toStringTag]() {
    return 'Event';
  }
  static {
    setTarget = (event, target) => {
      event.#target = target;
    };
    isStopped = (event) => event.#stopped;
  }
}

export class CustomEvent extends Event {
  #detail;
  constructor(type, options = {}) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}

export class EventTarget {
  #listeners = [];
  addEventListener(type, listener, options) {
    if (listener === null || listener === undefined) return;
    const { once = false, signal } = typeof options === 'object' && options !== null ? options : {};
    if (signal?.aborted) return;
    const name = String(type);
    if (this.#listeners.some((known) => known.name === name && known.listener === listener)) return;
    this.#listeners.push({ name, listener, once });
    signal?.addEventListener('abort', () => this.removeEventListener(name, listener), { once: true });
  }
  removeEventListener(type, listener) {
    const name = String(type);
    this.#listeners = this.#listeners.filter((known) => known.name !== name || known.listener !== listener);
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) throw Object.assign(new TypeError(`The "event" argument must be an instance of Event. Received ${inspect(event)}`), { code: 'ERR_INVALID_ARG_TYPE' });
    setTarget(event, this);
    for (const known of this.#listeners.filter(({ name }) => name === event.type)) {
      if (!this.#listeners.includes(known)) continue;
      if (known.once) this.removeEventListener(known.name, known.listener);
      try {
        if (typeof known.listener === 'function') known.listener.call(this, event);
        else known.listener.handleEvent(event);
      } catch (error) {
        // What a listener throws does not reach who dispatched.
        loop.setImmediate(() => hooks.uncaught(error));
      }
      if (isStopped(event)) break;
    }
    return !event.defaultPrevented;
  }
}

let making = false;
function makeSignal() {
  making = true;
  try {
    return new AbortSignal();
  } finally {
    making = false;
  }
}

let abortSignal;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason;
  #handler = null;
  // Kept in step with by signals made of this one.
  #dependants = [];
  constructor() {
    super();
    if (!making) throw Object.assign(new TypeError('Illegal constructor'), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  get onabort() {
    return this.#handler;
  }
  set onabort(handler) {
    if (this.#handler !== null) this.removeEventListener('abort', this.#handler);
    this.#handler = typeof handler === 'function' ? handler : null;
    if (this.#handler !== null) this.addEventListener('abort', this.#handler);
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  static abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    const signal = makeSignal();
    signal.#aborted = true;
    signal.#reason = reason;
    return signal;
  }
  static timeout(delay) {
    const signal = makeSignal();
    loop.setTimeout(() => abortSignal(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError')), delay).unref();
    return signal;
  }
  static any(signals) {
    const list = [...signals];
    const aborted = list.find((signal) => signal.#aborted);
    if (aborted !== undefined) return AbortSignal.abort(aborted.#reason);
    const made = makeSignal();
    for (const signal of list) signal.#dependants.push(made);
    return made;
  }
  get [Symbol.toStringTag]() {
    return 'AbortSignal';
  }
  [inspectCustom](depth, options) {
    return depth !== null && depth < 0 ? '[AbortSignal]' : `AbortSignal ${inspect({ aborted: this.#aborted }, options)}`;
  }
  static {
    abortSignal = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason;
      const event = new Event('abort');
      signal.dispatchEvent(event);
      for (const other of signal.#dependants) abortSignal(other, reason);
      signal.#dependants = [];
    };
  }
}

export class AbortController {
  #signal = makeSignal();
  get signal() {
    return this.#signal;
  }
  abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    abortSignal(this.#signal, reason);
  }
  get [Symbol.toStringTag]() {
    return 'AbortController';
  }
  [inspectCustom](depth, options) {
    return depth !== null && depth < 0 ? '[AbortController]' : `AbortController ${inspect({ signal: this.#signal }, options)}`;
  }
}
