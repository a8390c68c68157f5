// Runs tests in the interpreter of the code that they test.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import { hooks as consoleHooks } from '../console.js';
import { promiseDetails, markHandled } from '../promise.js';
import { setSink } from '../io.js';
import { AssertionError } from '../node/assert.js';
import { registry, reset, testGlobals } from '../testing/api.js';
import { Capture, Runner, settle } from '../testing/run.js';
import { expect } from '../testing/expect.js';

const SOURCE = /\.([cm]?[jt]s|[jt]sx)$/;
const ASSERTS = /\bassert\b|\bexpect\s*\(/;
const REGISTERS = /\b(test|it|describe|suite|specify|context)\s*(\.\s*\w+\s*)*[(`]/;

export function runTests(files, tests) {
  const modules = new Modules([...files, ...tests], loop);
  return runFiles(modules, tests, new Runner());
}

/// Runs the tests of some files, whose modules may be elsewhere.
export function runFiles(modules, tests, runner) {
  for (const name in testGlobals) Object.defineProperty(globalThis, name, { value: testGlobals[name], writable: true, configurable: true });
  for (const { path } of tests) {
    const file = normalize(path);
    if (file === null || !SOURCE.test(file)) continue;
    const text = modules.files.get(file);
    if (ASSERTS.test(text) && !REGISTERS.test(text)) runPlain(modules, file, runner);
    else runRegistered(modules, file, text, runner);
  }
  if (runner.count === 0) throw `the tests define nothing: ${tests.map(({ path }) => path).join(', ')}`;
  return { exitCode: 0, value: null, error: null, errorType: null };
}

// A script that asserts on its way is one test.
function runPlain(modules, file, runner) {
  runner.record([file], { path: file, line: 1 }, () => {
    const failures = [];
    consoleHooks.assertion = (message) => failures.push({ error: new AssertionError({ message, operator: 'console.assert' }) });
    const result = settle(() => {
      modules.load(file);
      return modules.pendingOf(file) ?? undefined;
    });
    if (!('error' in result)) loop.until(() => false);
    consoleHooks.assertion = null;
    loop.clear();
    if ('error' in result) return { outcome: cannotLoad(result.error) ? 'errored' : 'failed', error: result };
    return failures.length > 0 ? { outcome: 'failed', error: failures[0] } : { outcome: 'passed' };
  });
}

const cannotLoad = (error) => error instanceof SyntaxError || error?.code === 'MODULE_NOT_FOUND';

function runRegistered(modules, file, text, runner) {
  reset(file);
  const capture = new Capture();
  const before = setSink((part) => capture.add(part));
  let loaded;
  let pending = null;
  try {
    // Not awaited here: the file may itself wait for its tests.
    loaded = settle(() => {
      modules.load(file);
      pending = modules.pendingOf(file);
      if (pending !== null) markHandled(pending);
    });
    awaitSuites();
  } finally {
    setSink(before);
  }
  runner.carried = capture.text;
  const { root } = registry;
  if (root.children.length > 0 && !('error' in loaded)) runner.runSuite(root, file, !registry.only);
  while (pending !== null && !('error' in loaded)) {
    const result = settle(() => {});
    if ('error' in result) loaded = result;
    const { state, value } = promiseDetails(pending);
    if (state === 'rejected') loaded = { error: value };
    if (state !== 'pending' && root.children.length === 0) break;
    if (root.children.length === 0) {
      loop.until(() => promiseDetails(pending).state !== 'pending' || root.children.length > 0);
      if (promiseDetails(pending).state === 'pending' && root.children.length === 0) {
        loaded = { error: new Error('the promise never settled') };
        break;
      }
    }
    awaitSuites();
    runner.runSuite(root, file, !registry.only);
  }
  if (root.ready) runner.finishSuite(root, file);
  if ('error' in loaded) {
    runner.record([file], { path: file, line: 1 }, () => ({ outcome: 'errored', error: loaded }));
  } else if (runner.count === 0 && ASSERTS.test(text)) {
    runner.record([file], { path: file, line: 1 }, () => ({ outcome: 'passed' }));
  }
  runner.carried = '';
}

// Suites whose body is asynchronous have their tests when it has ended.
function awaitSuites() {
  while (registry.pending.length > 0) {
    const { suite, result } = registry.pending.shift();
    registry.current = suite;
    const settled = settle(() => result);
    if ('error' in settled) suite.failure = settled;
    registry.current = registry.root;
  }
}

export { expect };
