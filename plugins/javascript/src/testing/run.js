// Runs what the files registered.
import { end as tellEnd, begin as tellBegin } from './report.js';
import { registry, Suite, Test } from './api.js';
import { nodeMock } from './mock.js';
import { assert } from '../node/assert.js';
import * as loop from '../loop.js';
import { Promise, hooks, newPromise, promiseDetails, rejectPromise, resolvePromise, whenSettled, markHandled } from '../promise.js';
import { describeError } from '../errors.js';
import { setSink } from '../io.js';
import { here } from '../stack.js';
import * as ending from '../exit.js';

const OUTPUT = 64 * 1024;
// A test that goes on for this long, by its timers, waits for something that never comes.
const PATIENCE = 60 * 60 * 1000;
// How often the loop may still go round after the tests of a file.
const ROUNDS = 20000;

class Capture {
  constructor() {
    this.text = '';
    this.cut = false;
  }
  add(text) {
    if (this.cut) return;
    this.text += text;
    if (this.text.length > OUTPUT) {
      this.text = `${this.text.slice(0, OUTPUT)}\n[cut]\n`;
      this.cut = true;
    }
  }
}

export class Skipped {
  constructor(message) {
    this.message = message;
  }
}

// Whether a file ends itself, and does not call that a failure.
const isOwnEnd = (exit, file) => exit.code === 0 && here()?.path === file;

/// Calls a function with the program's ends turned into failures; gives back what came out of it. With
/// the name of a `script`, everything up to the end of its loop counts.
export function settle(fn, script = null) {
  const stray = [];
  const before = { uncaught: hooks.uncaught, unhandled: hooks.unhandled, exit: ending.state.handler };
  const outcome = newPromise();
  let left = null;
  let ended = false;
  hooks.uncaught = (error) => {
    if (!(error instanceof ending.Exit)) stray.push(error);
    left ??= { error };
  };
  hooks.unhandled = hooks.uncaught;
  ending.state.handler = (exit) => {
    if (script !== null && isOwnEnd(exit, script)) {
      ended = true;
      return;
    }
    const error = new Error(`process.exit(${exit.code}) was called`);
    stray.unshift(error);
    left ??= { error };
  };
  try {
    let result;
    try {
      result = fn();
      whenSettled(result, (value) => resolvePromise(outcome, { value }), (error) => rejectPromise(outcome, error));
    } catch (error) {
      rejectPromise(outcome, error);
    }
    markHandled(outcome);
    const deadline = loop.elapsed() + PATIENCE;
    const isSettled = () => promiseDetails(outcome).state !== 'pending';
    const isOver = () => ended || left !== null || loop.elapsed() > deadline;
    loop.until(() => isSettled() || isOver());
    if (script !== null && promiseDetails(outcome).state === 'fulfilled') loop.until(isOver);
    if (stray.length > 0) return { error: stray[0] };
    if (ended) return { value: undefined };
    if (script !== null && loop.elapsed() > deadline) return { error: new Error('the script never ended') };
    const { state, value } = promiseDetails(outcome);
    if (state === 'pending') return { error: new Error('the promise never settled') };
    return state === 'rejected' ? { error: value } : { value: value.value };
  } finally {
    hooks.uncaught = before.uncaught;
    hooks.unhandled = before.unhandled;
    ending.state.handler = before.exit;
  }
}

const DONE = /^\s*(?:function\s*[\w$]*\s*)?\(?\s*(done|cb|callback|next|resolve|finish|end)\b/;

// Calls a test or a hook: with a context, or with `done` if it asks for that.
function invoke(fn, context, style) {
  const wantsDone = style === 'node' ? fn.length >= 2 : fn.length >= 1 && DONE.test(Function.prototype.toString.call(fn));
  if (!wantsDone) return fn.call(context, context);
  return new Promise((resolve, reject) => {
    const done = (error) => (error === undefined || error === null ? resolve() : reject(error instanceof Error ? error : new Error(String(error))));
    done.fail = (error) => reject(error ?? new Error('done.fail() was called'));
    if (style === 'node') fn.call(context, context, done);
    else fn.call(context, done);
  });
}

class Context {
  #running;
  constructor(running, name) {
    this.#running = running;
    this.name = name;
    this.fullName = name;
    this.mock = nodeMock;
    this.assert = assert;
    this.signal = { aborted: false, addEventListener() {}, removeEventListener() {} };
    for (const key of ['mock', 'assert', 'signal', 'fullName']) Object.defineProperty(this, key, { enumerable: false });
  }
  test(name, options, fn) {
    const call = [name, options, fn].find((arg) => typeof arg === 'function');
    const settings = [name, options].find((arg) => arg !== null && typeof arg === 'object') ?? {};
    return this.#running.subtest(typeof name === 'string' ? name : (call?.name ?? ''), settings, call);
  }
  it(...args) {
    return this.test(...args);
  }
  skip(message) {
    this.#running.skipped = typeof message === 'string' ? message : '';
    if (this.#running.throwOnSkip) throw new Skipped(message);
  }
  todo(message) {
    this.#running.todo = typeof message === 'string' ? message : '';
  }
  diagnostic() {}
  plan() {}
  timeout() {}
  slow() {}
  retries() {}
  before(fn) {
    return fn();
  }
  after(fn) {
    this.#running.hook('after', fn);
  }
  beforeEach(fn) {
    this.#running.hook('beforeEach', fn);
  }
  afterEach(fn) {
    this.#running.hook('afterEach', fn);
  }
}

class Running {
  constructor(path, names) {
    this.path = path;
    this.names = names;
    this.inner = [];
    this.own = { before: [], after: [], beforeEach: [], afterEach: [] };
    this.skipped = null;
    this.todo = null;
    this.queue = Promise.resolve();
    this.failedInside = 0;
  }
  hook(kind, fn) {
    this.own[kind].push(fn);
  }
  // Subtests run one after the other, whether they are awaited or not.
  subtest(name, options, fn) {
    const result = { name: [...this.names, name], outcome: 'passed', error: null, output: '', inner: [] };
    this.inner.push(result);
    if (options.skip || options.todo || fn === undefined) {
      result.outcome = 'skipped';
      return Promise.resolve();
    }
    const child = new Running(this.path, result.name);
    child.own.beforeEach = [...this.own.beforeEach];
    child.own.afterEach = [...this.own.afterEach];
    const context = new Context(child, name);
    const hooksOf = (kind) => this.own[kind].reduce((before, hook) => before.then(() => hook(context)), Promise.resolve());
    const body = () =>
      hooksOf('beforeEach')
        .then(() => {
          const before = registry.running;
          registry.running = child;
          try {
            return invoke(fn, context, 'node');
          } finally {
            registry.running = before;
          }
        })
        .then(() => child.queue)
        .then(() => hooksOf('afterEach'))
        .then(
          () => {
            result.inner = child.inner;
            if (child.skipped !== null) result.outcome = 'skipped';
            else if (child.failedInside > 0) {
              result.outcome = 'failed';
              this.failedInside++;
            }
          },
          (error) => {
            result.inner = child.inner;
            if (error instanceof Skipped) {
              result.outcome = 'skipped';
              return;
            }
            result.outcome = 'failed';
            result.error = { error };
            this.failedInside++;
          },
        );
    const run = this.queue.then(body);
    this.queue = run;
    return run;
  }
}

export class Runner {
  constructor() {
    this.used = new Map();
    this.count = 0;
    this.carried = '';
    /// What nobody caught while no test ran.
    this.strays = [];
    this.exited = false;
    /// Asked before each test; a text says why no test can run any more.
    this.broken = () => null;
  }

  /// Listens for what happens while no test runs.
  listen(file) {
    this.strays = [];
    this.exited = false;
    hooks.uncaught = (error) => {
      if (!(error instanceof ending.Exit)) this.strays.push(error);
    };
    hooks.unhandled = hooks.uncaught;
    ending.state.handler = (exit) => {
      if (isOwnEnd(exit, file)) this.exited = true;
      else this.strays.push(new Error(`process.exit(${exit.code}) was called`));
    };
  }

  /// Lets the loop go on, with what tests left in it, until a condition holds or nothing is left to do.
  /// Gives back whether it came to an end: it may go round only so often if `limited`.
  goOn(done, limited) {
    const deadline = loop.elapsed() + PATIENCE;
    let rounds = 0;
    let cut = false;
    const capture = new Capture();
    const before = setSink((text) => capture.add(text));
    try {
      loop.bringBack();
      loop.until(() => {
        if (done() || this.exited || this.strays.length > 0) return true;
        cut = loop.elapsed() > deadline || (limited && ++rounds > ROUNDS);
        return cut;
      });
    } catch (error) {
      if (!(error instanceof ending.Exit)) this.strays.push(error);
    } finally {
      setSink(before);
    }
    this.carried += capture.text;
    return !cut;
  }

  unique(name) {
    const times = (this.used.get(name) ?? 0) + 1;
    this.used.set(name, times);
    return times === 1 ? name : `${name} (${times})`;
  }

  /// Runs something as one test and tells of it.
  record(names, where, body) {
    const name = this.unique(names.join(' > '));
    this.count++;
    tellBegin(name);
    const capture = new Capture();
    capture.add(this.carried);
    this.carried = '';
    const before = setSink((text) => capture.add(text));
    let result;
    try {
      result = body();
    } finally {
      setSink(before);
    }
    this.tell(name, result, capture.text, where);
    for (const inner of result.inner ?? []) this.recordInner(inner, where);
  }

  recordInner(result, where) {
    const name = this.unique(result.name.join(' > '));
    this.count++;
    tellBegin(name);
    const error = result.error;
    this.tell(name, { outcome: result.outcome, error, message: result.outcome === 'failed' && !error ? 'a subtest failed' : undefined }, '', where);
    for (const inner of result.inner) this.recordInner(inner, where);
  }

  tell(name, { outcome, error, message }, output, where) {
    const told = error ? describeError(error.error) : null;
    tellEnd({
      name,
      outcome,
      message: message ?? told?.message ?? null,
      details: told?.stack ?? null,
      output,
      path: (told?.place ?? where)?.path ?? null,
      line: (told?.place ?? where)?.line ?? null,
    });
  }

  /// Runs what stands in a suite and has not run yet.
  runSuite(suite, path, only) {
    while (suite.children.length > 0) {
      const child = suite.children.shift();
      if (child instanceof Suite) this.runGroup(child, path, only || child.only);
      else this.runTest(child, path, only || child.only);
    }
  }

  names(node, path) {
    const out = [];
    for (let at = node; at !== null && at.parent !== null; at = at.parent) out.unshift(at.name);
    return [path, ...out];
  }

  runGroup(suite, path, only) {
    if (suite.failure !== null) {
      const { failure } = suite;
      this.record(this.names(suite, path), null, () => ({ outcome: 'errored', error: failure }));
      return;
    }
    this.runSuite(suite, path, only);
    if (suite.ready) this.finishSuite(suite, path);
  }

  finishSuite(suite, path) {
    for (const hook of suite.hooks.after) {
      const result = settle(() => invoke(hook, {}, 'global'));
      if ('error' in result) this.record([...this.names(suite, path), 'after'], null, () => ({ outcome: 'errored', error: result }));
    }
  }

  // Runs the `before` hooks of the suites around a test, the outermost first.
  prepare(suite) {
    if (suite === null) return null;
    const outer = this.prepare(suite.parent);
    if (outer !== null) return outer;
    if (!suite.ready) {
      suite.ready = true;
      for (const hook of suite.hooks.before) {
        const result = settle(() => invoke(hook, {}, 'global'));
        if ('error' in result) suite.failure = result;
      }
    }
    return suite.failure;
  }

  runTest(test, path, only) {
    const names = this.names(test, path);
    if (test.skip || test.todo || (registry.only && !only)) {
      const reason = [test.skip, test.todo].find((value) => typeof value === 'string');
      this.record(names, test.place, () => ({ outcome: 'skipped', message: reason ?? null }));
      resolvePromise(test.finished, undefined);
      return;
    }
    this.record(names, test.place, () => {
      const broken = this.broken();
      if (broken !== null) return { outcome: 'errored', message: broken };
      const failure = this.prepare(test.parent);
      if (failure !== null) return { outcome: 'errored', error: failure };
      const running = new Running(path, names);
      const context = new Context(running, test.name);
      running.throwOnSkip = test.style === 'global';
      const suites = [];
      for (let at = test.parent; at !== null; at = at.parent) suites.unshift(at);
      let failed = null;
      const attempt = (fn) => {
        if (failed !== null) return;
        const result = settle(fn);
        if ('error' in result) failed = result;
      };
      for (const suite of suites) for (const hook of suite.hooks.beforeEach) attempt(() => invoke(hook, context, test.style));
      attempt(() => {
        registry.running = running;
        try {
          return Promise.resolve(invoke(test.fn, context, test.style)).then(() => running.queue);
        } finally {
          if (test.style === 'global') registry.running = null;
        }
      });
      registry.running = null;
      // What it did not wait for and needs no time.
      attempt(() => loop.quiesce());
      const main = failed;
      for (const hook of running.own.after) {
        failed = null;
        attempt(() => invoke(hook, context, 'node'));
      }
      for (const suite of suites.reverse()) {
        for (const hook of suite.hooks.afterEach) {
          failed = null;
          attempt(() => invoke(hook, context, test.style));
          if (failed !== null && main === null) running.hookFailure ??= failed;
        }
      }
      const error = main ?? running.hookFailure ?? null;
      loop.setAside();
      const late = this.broken();
      if (late !== null) return { outcome: 'errored', message: late, error, inner: running.inner };
      if (running.skipped !== null || error?.error instanceof Skipped) return { outcome: 'skipped', message: running.skipped || null, inner: running.inner };
      if (running.todo !== null) return { outcome: 'skipped', message: running.todo || null, inner: running.inner };
      if (test.expectFailure) return error === null ? { outcome: 'failed', message: 'it was to fail and did not', inner: running.inner } : { outcome: 'passed', inner: running.inner };
      if (error !== null) return { outcome: 'failed', error, inner: running.inner };
      if (running.failedInside > 0) return { outcome: 'failed', message: `${running.failedInside} subtest${running.failedInside > 1 ? 's' : ''} failed`, inner: running.inner };
      return { outcome: 'passed', inner: running.inner };
    });
    resolvePromise(test.finished, undefined);
  }
}

export { Capture, Test };
