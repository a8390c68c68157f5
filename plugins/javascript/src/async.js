// What `async` functions become once lower.js has made generators of them.
import { apply, create, generatorNext, generatorReturn, generatorThrow, NativeString } from './primordials.js';
import { newPromise, rejectPromise, resolvePromise, whenSettled, markHandled } from './promise.js';

function step(generator, promise, advance, value) {
  let result;
  try {
    result = advance(generator, value);
  } catch (error) {
    return rejectPromise(promise, error);
  }
  if (result.done) return resolvePromise(promise, result.value);
  try {
    whenSettled(
      result.value,
      (got) => step(generator, promise, generatorNext, got),
      (error) => step(generator, promise, generatorThrow, error),
    );
  } catch (error) {
    step(generator, promise, generatorThrow, error);
  }
}

/// Runs the body of an `async` function.
export function run(self, args, body) {
  const promise = newPromise();
  let generator;
  try {
    generator = apply(body, self, args);
  } catch (error) {
    rejectPromise(promise, error);
    return promise;
  }
  step(generator, promise, generatorNext, undefined);
  return promise;
}

class Await {
  constructor(value) {
    this.value = value;
  }
}

/// Marks a `yield` of an async generator that stands for an `await`.
export function wait(value) {
  return new Await(value);
}

const AsyncIteratorPrototype = {
  [Symbol.asyncIterator]() {
    return this;
  },
};

class Requests {
  constructor(generator) {
    this.generator = generator;
    this.queue = [];
    this.running = false;
    this.state = 'start';
  }

  ask(advance, value) {
    const promise = newPromise();
    this.queue.push({ advance, value, promise });
    if (!this.running) this.next();
    return promise;
  }

  next() {
    if (this.queue.length === 0) return;
    const { advance, value } = this.queue[0];
    this.running = true;
    if (this.state === 'start' && advance !== generatorNext) this.state = 'done';
    if (this.state === 'done') {
      if (advance === generatorNext) return this.answer(undefined, true);
      if (advance === generatorThrow) return this.fail(value);
      return whenSettled(value, (got) => this.answer(got, true), (error) => this.fail(error));
    }
    this.state = 'going';
    if (advance === generatorReturn) {
      return whenSettled(value, (got) => this.go(generatorReturn, got), (error) => this.go(generatorThrow, error));
    }
    this.go(advance, value);
  }

  go(advance, value) {
    let result;
    try {
      result = advance(this.generator, value);
    } catch (error) {
      this.state = 'done';
      return this.fail(error);
    }
    const { done } = result;
    const inner = result.value;
    if (!done && inner instanceof Await) {
      return whenSettled(inner.value, (got) => this.go(generatorNext, got), (error) => this.go(generatorThrow, error));
    }
    // A yielded or returned promise is awaited before it goes out.
    whenSettled(
      inner,
      (got) => {
        if (done) this.state = 'done';
        this.answer(got, done);
      },
      (error) => {
        if (!done) return this.go(generatorThrow, error);
        this.state = 'done';
        this.fail(error);
      },
    );
  }

  answer(value, done) {
    const { promise } = this.queue.shift();
    this.running = false;
    resolvePromise(promise, { value, done });
    this.next();
  }

  fail(error) {
    const { promise } = this.queue.shift();
    this.running = false;
    rejectPromise(promise, error);
    this.next();
  }
}

class AsyncGenerator {
  #requests;
  constructor(generator) {
    this.#requests = new Requests(generator);
  }
  next(value) {
    return this.#requests.ask(generatorNext, value);
  }
  return(value) {
    return this.#requests.ask(generatorReturn, value);
  }
  throw(error) {
    return this.#requests.ask(generatorThrow, error);
  }
  get [Symbol.toStringTag]() {
    return 'AsyncGenerator';
  }
}
Object.setPrototypeOf(AsyncGenerator.prototype, AsyncIteratorPrototype);
for (const name of ['next', 'return', 'throw']) Object.defineProperty(AsyncGenerator.prototype, name, { enumerable: false });

/// Runs the body of an `async` generator.
export function generate(self, args, body) {
  return new AsyncGenerator(apply(body, self, args));
}

function asyncIterator(iterable) {
  const method = iterable[Symbol.asyncIterator];
  if (method !== undefined && method !== null) return apply(method, iterable, []);
  const sync = iterable[Symbol.iterator];
  if (typeof sync !== 'function') throw new TypeError(`${typeof iterable} is not async iterable`);
  const inner = apply(sync, iterable, []);
  const lift = (result) => {
    const promise = newPromise();
    const { done } = result;
    whenSettled(
      result.value,
      (value) => resolvePromise(promise, { value, done }),
      (error) => {
        if (!done && inner.return) inner.return();
        rejectPromise(promise, error);
      },
    );
    return promise;
  };
  return {
    next: (value) => lift(inner.next(value)),
    return: (value) => (inner.return ? lift(inner.return(value)) : { value, done: true }),
    throw: (error) => {
      if (inner.throw) return lift(inner.throw(error));
      throw error;
    },
  };
}

/// The steps of `for await`: a synchronous iterator, so that leaving the loop closes the other one.
export function steps(iterable) {
  const iterator = asyncIterator(iterable);
  const { next } = iterator;
  const state = {
    value: undefined,
    done: false,
    /// What the loop awaits first in each round.
    next() {
      return run(undefined, [], function* () {
        let result;
        try {
          result = yield apply(next, iterator, []);
          if (result === null || typeof result !== 'object') throw new TypeError(`Iterator result ${result} is not an object`);
          state.done = Boolean(result.done);
          state.value = state.done ? undefined : result.value;
        } catch (error) {
          state.done = true;
          throw error;
        }
      });
    },
  };
  return {
    [Symbol.iterator]() {
      return this;
    },
    next: () => ({ value: state, done: false }),
    return() {
      if (!state.done && iterator.return) {
        const closing = run(undefined, [], function* () {
          yield iterator.return();
        });
        markHandled(closing);
      }
      return {};
    },
  };
}

/// `yield*` of an async generator.
export function* delegate(iterable) {
  const iterator = asyncIterator(iterable);
  let result = yield wait(iterator.next());
  while (!result.done) {
    let sent;
    let finished = false;
    try {
      sent = yield result.value;
      finished = true;
    } catch (error) {
      finished = true;
      if (!iterator.throw) throw error;
      result = yield wait(iterator.throw(error));
      continue;
    } finally {
      if (!finished && iterator.return) yield wait(iterator.return());
    }
    result = yield wait(iterator.next(sent));
  }
  return result.value;
}

/// What is spread in an object literal: of a text the engine spreads nothing.
export function object(value) {
  return typeof value === 'string' ? new NativeString(value) : value;
}

/// `Array.fromAsync`.
export function fromAsync(iterable, map, self) {
  return run(undefined, [], function* () {
    const out = [];
    if (iterable[Symbol.asyncIterator] === undefined && iterable[Symbol.iterator] === undefined) {
      for (let i = 0; i < iterable.length; i++) out.push(map ? yield map.call(self, yield iterable[i], i) : yield iterable[i]);
      return out;
    }
    for (const state of steps(iterable)) {
      yield state.next();
      if (state.done) break;
      out.push(map ? yield map.call(self, state.value, out.length) : state.value);
    }
    return out;
  });
}
