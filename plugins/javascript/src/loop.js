// Timers without waiting: time is what the timers say it is.
import { drain, hasJobs, hooks, clearJobs } from './promise.js';
import { inspectCustom } from './inspect.js';

let now = 0;
let sequence = 0;
let timers = [];
let immediates = [];
/// What waits for its time and is not to run for now.
let aside = { timers: [], immediates: [] };
let stopped = false;
/// The loop of another instance that keeps step with this one.
let remote = null;

export function setRemote(other) {
  remote = other;
}

// Lets the other loop do what it can at this time.
function pumpRemote() {
  remote.pump(now);
  drain();
}

/// Sets the time to at least this, without running what is due.
export function advance(time) {
  if (time > now) now = time;
}

/// Whether something can run at once, and when the next timer is due.
export function pending() {
  return { busy: hasJobs() || immediates.length > 0, due: timers.find((timer) => timer.counts)?.due ?? null };
}

/// Runs what there is to run up to a time.
export function runUntil(time) {
  drain();
  while (timers.length > 0 && timers[0].due <= time) {
    advance(timers[0].due);
    const timer = timers.shift();
    if (timer._repeat !== null) schedule(timer);
    else timer.stop();
    call(timer._onTimeout, timer, timer.args);
  }
  advance(time);
  runImmediates(() => false);
}

export function elapsed() {
  return now;
}

class Timeout {
  #active = true;
  constructor(callback, delay, args, repeat) {
    this._onTimeout = callback;
    this._idleTimeout = delay;
    this._repeat = repeat ? delay : null;
    Object.defineProperty(this, 'args', { value: args, enumerable: false });
    Object.defineProperty(this, 'id', { value: ++sequence, enumerable: false });
    Object.defineProperty(this, 'counts', { value: true, enumerable: false, writable: true });
    Object.defineProperty(this, 'due', { value: 0, enumerable: false, writable: true });
  }
  get active() {
    return this.#active;
  }
  ref() {
    this.counts = true;
    return this;
  }
  unref() {
    this.counts = false;
    return this;
  }
  hasRef() {
    return this.counts;
  }
  refresh() {
    if (this.#active) schedule(this);
    return this;
  }
  close() {
    this.stop();
    return this;
  }
  stop() {
    this.#active = false;
    timers = timers.filter((timer) => timer !== this);
  }
  [Symbol.toPrimitive]() {
    return this.id;
  }
  [Symbol.dispose ?? Symbol.for('dispose')]() {
    this.stop();
  }
}

function schedule(timer) {
  timers = timers.filter((other) => other !== timer);
  timer.due = now + timer._idleTimeout;
  insert(timer);
}

function insert(timer) {
  // In order of time, and of their making within one.
  let at = timers.length;
  while (at > 0 && timers[at - 1].due > timer.due) at--;
  timers.splice(at, 0, timer);
}

function checkCallback(callback) {
  if (typeof callback === 'function') return;
  const error = new TypeError(`The "callback" argument must be of type function. Received ${callback === null ? 'null' : callback === undefined ? 'undefined' : `type ${typeof callback}`}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  throw error;
}

function makeTimer(callback, delay, args, repeat) {
  checkCallback(callback);
  let time = Number(delay);
  if (!(time >= 1 && time <= 2147483647)) time = 1;
  const timer = new Timeout(callback, Math.trunc(time), args, repeat);
  schedule(timer);
  return timer;
}

export function setTimeout(callback, delay, ...args) {
  return makeTimer(callback, delay, args, false);
}

export function setInterval(callback, delay, ...args) {
  return makeTimer(callback, delay, args, true);
}

export function clearTimeout(timer) {
  if (timer instanceof Timeout) timer.stop();
  else if (timer !== null && timer !== undefined) [...timers, ...aside.timers].find((other) => other.id === Number(timer))?.stop();
}

export const clearInterval = clearTimeout;

class Immediate {
  constructor(callback, args) {
    this._onImmediate = callback;
    Object.defineProperty(this, 'args', { value: args, enumerable: false });
    Object.defineProperty(this, 'cancelled', { value: false, enumerable: false, writable: true });
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  hasRef() {
    return true;
  }
  [inspectCustom]() {
    return 'Immediate {}';
  }
}

export function setImmediate(callback, ...args) {
  checkCallback(callback);
  const immediate = new Immediate(callback, args);
  immediates.push(immediate);
  return immediate;
}

export function clearImmediate(immediate) {
  if (immediate instanceof Immediate) immediate.cancelled = true;
  immediates = immediates.filter((other) => other !== immediate);
}

function call(callback, self, args) {
  try {
    callback.apply(self, args);
  } catch (error) {
    hooks.uncaught(error);
  }
  drain();
}

/// Whether anything is left that could make progress.
export function isAlive() {
  if (hasJobs() || immediates.length > 0 || timers.some((timer) => timer.counts)) return true;
  if (remote === null) return false;
  const other = remote.pending();
  return other.busy || other.due !== null;
}

/// One round: jobs, the timers that are due, what was put off to the end of the round.
function turn(done) {
  drain();
  if (stopped || done()) return;
  if (remote?.pending().busy) {
    pumpRemote();
    if (stopped || done() || hasJobs()) return;
  }
  now += 1;
  const next = Math.min(timers.length > 0 ? timers[0].due : Infinity, remote?.pending().due ?? Infinity);
  if (immediates.length === 0 && next !== Infinity && next > now) now = next;
  if (remote !== null && (remote.pending().due ?? Infinity) <= now) {
    pumpRemote();
    if (stopped || done()) return;
  }
  while (timers.length > 0 && timers[0].due <= now) {
    const timer = timers.shift();
    if (timer._repeat !== null) schedule(timer);
    else timer.stop();
    call(timer._onTimeout, timer, timer.args);
    if (stopped || done()) return;
  }
  runImmediates(done);
}

function runImmediates(done) {
  const round = immediates;
  immediates = [];
  for (let i = 0; i < round.length; i++) {
    // One of the round may have taken another one back.
    if (!round[i].cancelled) call(round[i]._onImmediate, round[i], round[i].args);
    if (stopped || done()) {
      immediates = [...round.slice(i + 1), ...immediates];
      return;
    }
  }
}

/// Runs until a condition holds or nothing is left to do.
export function until(done) {
  while (!stopped) {
    drain();
    if (stopped || done() || !isAlive()) return;
    turn(done);
  }
}

/// Runs until nothing is left to do.
export function runAll() {
  until(() => false);
}

/// Runs what can run without time going on, here and in the other loop; not for ever.
export function quiesce() {
  drain();
  for (let i = 0; i < 1000 && !stopped && remote?.pending().busy; i++) pumpRemote();
}

/// Puts timers aside, so that what one test left does not run in the next, and forgets jobs.
export function setAside() {
  aside = { timers: [...aside.timers, ...timers], immediates: [...aside.immediates, ...immediates] };
  timers = [];
  immediates = [];
  clearJobs();
}

/// Takes back what was put aside and has not been cancelled since.
export function bringBack() {
  const back = aside;
  aside = { timers: [], immediates: [] };
  for (const timer of back.timers) if (timer.active && !timers.includes(timer)) insert(timer);
  immediates = [...back.immediates, ...immediates];
}

/// Forgets timers and jobs.
export function clear() {
  timers = [];
  immediates = [];
  aside = { timers: [], immediates: [] };
  clearJobs();
}

/// Ends the loop for good, as the end of a process does.
export function stop() {
  stopped = true;
  clear();
}
