// The tests' side: their modules are here, those of the code are in the other instance.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import { hooks, isPromise, markHandled, promiseDetails } from '../promise.js';
import { write } from '../io.js';
import { apply, construct, getOwnPropertyDescriptor, getPrototypeOf, ownKeys } from '../primordials.js';
import { Runner } from '../testing/run.js';
import { runFiles } from '../tasks/tests.js';
import { intrinsicName } from './intrinsics.js';
import { Link } from './link.js';

export function runTestsApart(files, tests) {
  const link = new Link('t', (request) => answerCode(request, link));
  link.onOutput = (text) => write(1, text);
  link.onStray = (error) => hooks.unhandled?.(error);

  const modules = new Modules([...files, ...tests], loop);
  const local = new Set(tests.map(({ path }) => normalize(path)));
  const far = new Set(files.map(({ path }) => normalize(path)).filter((path) => path !== null && !local.has(path)));
  modules.remote = (path) => (far.has(path) ? { exports: load(link, path) } : undefined);

  loop.setRemote({
    pending: () => ({ busy: link.busy || link.codec.settled.length > 0, due: link.due }),
    pump: (until) => {
      if (!link.ended) link.ask({ q: 'pump', until });
    },
  });
  const runner = new Runner();
  runner.broken = () => (link.ended ? "the code's instance ended" : null);
  return runFiles(modules, tests, runner);
}

function load(link, path) {
  const exports = link.ask({ q: 'load', a: [path] });
  if (!isPromise(exports)) return exports;
  // The module awaits something at its top level.
  markHandled(exports);
  loop.until(() => promiseDetails(exports).state !== 'pending');
  const { state, value } = promiseDetails(exports);
  if (state === 'pending') throw new Error(`${path} never ends loading`);
  if (state === 'rejected') throw value;
  return value;
}

// What an iteration needs, also where the language itself defines it.
const ITERATION = new Set(['next', 'return', 'throw', Symbol.iterator, Symbol.asyncIterator]);

/// Whether the code may see a property of what the tests handed over.
function isOpen(key) {
  if (typeof key === 'symbol') return ITERATION.has(key);
  return typeof key === 'string' && key[0] !== '_' && key !== 'constructor' && key !== 'prototype';
}

// Data of the object itself and of its classes, but of nothing that belongs to the language.
function find(object, key) {
  if (!isOpen(key)) return undefined;
  for (let at = object; at !== null; at = getPrototypeOf(at)) {
    if (intrinsicName(at) !== undefined && !ITERATION.has(key)) return undefined;
    const found = getOwnPropertyDescriptor(at, key);
    if (found !== undefined) return 'value' in found ? found : undefined;
  }
  return undefined;
}

/// The code may call what it was given, and read data from it, and nothing else.
function answerCode({ q, h, k, self, a }, link) {
  const own = link.codec.own(h);
  switch (q) {
    case 'call':
      if (typeof own !== 'function') throw new TypeError('what the tests handed over is not a function');
      return apply(own, self, a);
    case 'new':
      if (typeof own !== 'function') throw new TypeError('what the tests handed over is not a constructor');
      return construct(own, a);
    case 'get':
      return find(own, k)?.value;
    case 'has':
      return find(own, k) !== undefined;
    case 'keys':
      return ownKeys(own).filter((key) => typeof key === 'string' && isOpen(key) && getOwnPropertyDescriptor(own, key)?.enumerable && find(own, key) !== undefined);
    case 'desc': {
      const found = isOpen(k) ? getOwnPropertyDescriptor(own, k) : undefined;
      return found !== undefined && 'value' in found ? [found.enumerable, false, found.value] : undefined;
    }
    case 'proto':
      return typeof own === 'function' ? Function.prototype : Object.prototype;
    case 'show':
      return typeof own === 'function' ? '[Function]' : '[Object]';
    default:
      throw new TypeError("the code may not change what is the tests'");
  }
}
