// Promises with a job queue of their own. The engine's queue cannot be run from inside a call, so
// the runner's stands in for it; `async` functions are turned into generators by lower.js.
import { apply, construct, defineProperty, uncurry } from './primordials.js';

let jobs = [];
let head = 0;
let ticks = [];
let tickHead = 0;
const unhandled = new Set();
const addUnhandled = uncurry(Set.prototype.add).bind(null, unhandled);
const dropUnhandled = uncurry(Set.prototype.delete).bind(null, unhandled);

/// What becomes of an error that nobody caught; set by the task.
export const hooks = { uncaught: null, unhandled: null };

export function enqueue(job) {
  jobs[jobs.length] = job;
}

export function nextTick(job) {
  ticks[ticks.length] = job;
}

export function hasJobs() {
  return head < jobs.length || tickHead < ticks.length;
}

function runOne(job) {
  try {
    job();
  } catch (error) {
    hooks.uncaught(error);
  }
}

/// Runs what is queued until nothing is, ticks before jobs, then tells of rejections that nobody handles.
export function drain() {
  do {
    while (hasJobs()) {
      while (tickHead < ticks.length) {
        const job = ticks[tickHead];
        ticks[tickHead++] = undefined;
        runOne(job);
      }
      ticks = [];
      tickHead = 0;
      while (head < jobs.length) {
        const job = jobs[head];
        jobs[head++] = undefined;
        if (head > 4096) {
          jobs = jobs.slice(head);
          head = 0;
        }
        runOne(job);
      }
      jobs = [];
      head = 0;
    }
    for (const promise of unhandled) {
      dropUnhandled(promise);
      hooks.unhandled?.(valueOf(promise), promise);
    }
  } while (hasJobs());
}

/// Forgets everything that waits, as the end of a process does.
export function clearJobs() {
  jobs = [];
  head = 0;
  ticks = [];
  tickHead = 0;
  unhandled.clear();
}

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

// What the class lends to this module; its private fields keep the state out of reach.
let isPromise, stateOf, valueOf, settle, subscribe;

function resolveWith(promise, value) {
  if (value === promise) return settle(promise, REJECTED, new TypeError('Chaining cycle detected for promise #<Promise>'));
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return settle(promise, FULFILLED, value);
  let then;
  try {
    then = value.then;
  } catch (error) {
    return settle(promise, REJECTED, error);
  }
  if (typeof then !== 'function') return settle(promise, FULFILLED, value);
  enqueue(() => {
    const { resolve, reject } = resolvers(promise);
    try {
      apply(then, value, [resolve, reject]);
    } catch (error) {
      reject(error);
    }
  });
}

function resolvers(promise) {
  let done = false;
  return {
    resolve: (value) => {
      if (done) return;
      done = true;
      resolveWith(promise, value);
    },
    reject: (reason) => {
      if (done) return;
      done = true;
      settle(promise, REJECTED, reason);
    },
  };
}

class Promise {
  #state = PENDING;
  #value = undefined;
  #reactions = null;
  #handled = false;

  static {
    isPromise = (value) => value !== null && typeof value === 'object' && #state in value;
    stateOf = (promise) => promise.#state;
    valueOf = (promise) => promise.#value;
    settle = (promise, state, value) => {
      const reactions = promise.#reactions;
      promise.#state = state;
      promise.#value = value;
      promise.#reactions = null;
      if (state === REJECTED && !promise.#handled) addUnhandled(promise);
      if (reactions !== null) {
        for (let i = 0; i < reactions.length; i++) {
          const reaction = reactions[i];
          enqueue(() => reaction(state, value));
        }
      }
    };
    subscribe = (promise, reaction) => {
      if (promise.#state === PENDING) {
        if (promise.#reactions === null) promise.#reactions = [reaction];
        else promise.#reactions[promise.#reactions.length] = reaction;
      } else {
        const state = promise.#state;
        const value = promise.#value;
        if (state === REJECTED && !promise.#handled) dropUnhandled(promise);
        enqueue(() => reaction(state, value));
      }
      promise.#handled = true;
    };
  }

  constructor(executor) {
    if (typeof executor !== 'function') throw new TypeError(`Promise resolver ${describe(executor)} is not a function`);
    if (executor === blank) return;
    const { resolve, reject } = resolvers(this);
    try {
      executor(resolve, reject);
    } catch (error) {
      reject(error);
    }
  }

  then(onFulfilled, onRejected) {
    if (!isPromise(this)) throw new TypeError('Method Promise.prototype.then called on incompatible receiver');
    const { promise, resolve, reject } = capability(speciesOf(this));
    subscribe(this, (state, value) => {
      const handler = state === FULFILLED ? onFulfilled : onRejected;
      if (typeof handler !== 'function') return state === FULFILLED ? resolve(value) : reject(value);
      let result;
      try {
        result = handler(value);
      } catch (error) {
        return reject(error);
      }
      resolve(result);
    });
    return promise;
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(onFinally) {
    if (typeof onFinally !== 'function') return this.then(onFinally, onFinally);
    const C = speciesOf(this);
    return this.then(
      (value) => promiseResolve(C, onFinally()).then(() => value),
      (reason) =>
        promiseResolve(C, onFinally()).then(() => {
          throw reason;
        }),
    );
  }

  static resolve(value) {
    return promiseResolve(this, value);
  }

  static reject(reason) {
    const { promise, reject } = capability(this);
    reject(reason);
    return promise;
  }

  static withResolvers() {
    return capability(this);
  }

  static try(callback, ...args) {
    const { promise, resolve, reject } = capability(this);
    try {
      resolve(callback(...args));
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  static all(iterable) {
    return collect(this, iterable, (values, i, done) => [(value) => ((values[i] = value), done()), null]);
  }

  static allSettled(iterable) {
    return collect(this, iterable, (values, i, done) => [
      (value) => ((values[i] = { status: 'fulfilled', value }), done()),
      (reason) => ((values[i] = { status: 'rejected', reason }), done()),
    ]);
  }

  static any(iterable) {
    const { promise, resolve, reject } = capability(this);
    const failed = collect(this, iterable, (errors, i, done) => [resolve, (reason) => ((errors[i] = reason), done())], reject);
    failed.then((errors) => reject(new AggregateError(errors, 'All promises were rejected')), reject);
    return promise;
  }

  static race(iterable) {
    const { promise, resolve, reject } = capability(this);
    try {
      for (const item of iterable) this.resolve(item).then(resolve, reject);
    } catch (error) {
      reject(error);
    }
    return promise;
  }

  static get [Symbol.species]() {
    return this;
  }
}

function describe(value) {
  return value === null || typeof value !== 'object' ? String(value) : '#<Object>';
}

function blank() {}

/// A promise that is settled through `resolvePromise` and `rejectPromise`.
export function newPromise() {
  return new Promise(blank);
}

function speciesOf(promise) {
  const C = promise.constructor;
  if (C === Promise || C === undefined) return Promise;
  const species = C[Symbol.species];
  return species === undefined || species === null ? Promise : species;
}

function capability(C) {
  if (C === Promise) {
    const promise = newPromise();
    const { resolve, reject } = resolvers(promise);
    return { promise, resolve, reject };
  }
  let resolve, reject;
  const promise = construct(C, [
    (yes, no) => {
      resolve = yes;
      reject = no;
    },
  ]);
  return { promise, resolve, reject };
}

function promiseResolve(C, value) {
  if (isPromise(value) && value.constructor === C) return value;
  if (C === Promise) {
    const promise = newPromise();
    resolveWith(promise, value);
    return promise;
  }
  const { promise, resolve } = capability(C);
  resolve(value);
  return promise;
}

// What `all`, `allSettled` and `any` share: one slot for each item, settled when no slot is open.
function collect(C, iterable, handlers, onError) {
  const { promise, resolve, reject } = capability(C);
  const values = [];
  let open = 1;
  const done = () => {
    if (--open === 0) resolve(values);
  };
  try {
    let index = 0;
    for (const item of iterable) {
      values[index] = undefined;
      open++;
      const [yes, no] = handlers(values, index++, done);
      C.resolve(item).then(yes, no ?? reject);
    }
    done();
  } catch (error) {
    (onError ?? reject)(error);
  }
  return promise;
}

for (const name of ['then', 'catch', 'finally']) defineProperty(Promise.prototype, name, { enumerable: false });
defineProperty(Promise.prototype, Symbol.toStringTag, { value: 'Promise', configurable: true });

export function resolvePromise(promise, value) {
  resolveWith(promise, value);
}

export function rejectPromise(promise, reason) {
  settle(promise, REJECTED, reason);
}

/// Calls one of two functions when a value is there, as `await` does.
export function whenSettled(value, onFulfilled, onRejected) {
  subscribe(promiseResolve(Promise, value), (state, result) => (state === FULFILLED ? onFulfilled(result) : onRejected(result)));
}

/// `pending`, `fulfilled` or `rejected` with what it holds.
export function promiseDetails(promise) {
  return { state: ['pending', 'fulfilled', 'rejected'][stateOf(promise)], value: valueOf(promise) };
}

/// Says that a rejection of this promise is somebody's business.
export function markHandled(promise) {
  subscribe(promise, blank);
}

export { Promise, isPromise };
