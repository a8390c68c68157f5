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
import { made } from '../testing/made.js';
import { process } from '../node/process.js';

const SOURCE = /\.([cm]?[jt]s|[jt]sx)$/;
const ASSERTS = /\bassert\b|\bexpect\s*\(/;
const REGISTERS = /\b(test|it|describe|suite|specify|context)\s*(\.\s*\w+\s*)*[(`]|\bnode:test\b/;

export function runTests(files, tests) {
  const modules = new Modules([...files, ...tests], loop);
  return runFiles(modules, tests, new Runner());
}

/// Runs the tests of some files, whose modules may be elsewhere.
export function runFiles(modules, tests, runner) {
  for (const name in testGlobals) Object.defineProperty(globalThis, name, { value: testGlobals[name], writable: true, configurable: true });
  const empty = [];
  for (const { path } of tests) {
    const file = normalize(path);
    if (file === null || !SOURCE.test(file)) continue;
    const text = modules.files.get(file);
    const isTest = ASSERTS.test(text) || REGISTERS.test(text);
    if (!runFile(modules, file, text, runner) && isTest) empty.push(file);
  }
  if (runner.count === 0) throw `the tests define nothing: ${tests.map(({ path }) => path).join(', ')}`;
  // What others asked for need not be a test itself.
  const idle = empty.filter((file) => !modules.isRequired(file));
  if (idle.length > 0) throw `the tests define nothing: ${idle.join(', ')}`;
  return { exitCode: 0, value: null, error: null, errorType: null };
}

// Gives back whether there was anything to judge in a file.
function runFile(modules, file, text, runner) {
  reset(file);
  runner.listen(file);
  const before = { count: runner.count, made: made.count };
  const failures = [];
  consoleHooks.assertion = (message) => failures.push({ error: new AssertionError({ message, operator: 'console.assert' }) });
  const script = {
    failures,
    /// Whether the file is judged by what it did itself, since it registered nothing.
    isPlain: () => runner.count === before.count && registry.root.children.length === 0,
    hasAsserted: () => made.count > before.made,
  };
  try {
    if (ASSERTS.test(text) && !REGISTERS.test(text)) runPlain(modules, file, runner, script);
    else runRegistered(modules, file, runner, script);
  } finally {
    consoleHooks.assertion = null;
    runner.carried = '';
    loop.clear();
  }
  return runner.count > before.count;
}

// A script that asserts on its way is one test.
function runPlain(modules, file, runner, script) {
  let counts = true;
  runner.record([file], { path: file, line: 1 }, () => {
    const result = settleProcess(file, () => {
      modules.loadMain(file);
      return modules.pendingOf(file) ?? undefined;
    });
    const broken = runner.broken();
    if (broken !== null) return { outcome: 'errored', message: broken, error: 'error' in result ? result : undefined };
    if ('error' in result) return { outcome: cannotLoad(result.error) ? 'errored' : 'failed', error: result };
    if (script.failures.length > 0) return { outcome: 'failed', error: script.failures[0] };
    if (script.hasAsserted()) return { outcome: 'passed' };
    counts = false;
    return { outcome: 'skipped', message: 'it makes no assertion' };
  });
  if (!counts) runner.count--;
  // It may have registered tests in other words.
  if (registry.root.children.length > 0) {
    runner.listen(file);
    runRest(file, null, runner, script);
  }
}

// Runs a script as a process of its own, with what it is to do at its end.
function settleProcess(file, fn) {
  const ends = ['beforeExit', 'exit'];
  const listeners = ends.map((name) => process.listeners(name));
  const { exitCode } = process;
  process.exitCode = undefined;
  try {
    const result = settle(fn, file);
    const own = ends.map((name, i) => process.listeners(name).filter((listener) => !listeners[i].includes(listener)));
    for (let i = 0; i < ends.length; i++) {
      for (const listener of own[i]) {
        process.removeListener(ends[i], listener);
        if ('error' in result) continue;
        const end = settle(() => void listener.call(process, Number(process.exitCode ?? 0)), file);
        if ('error' in end) return end;
      }
    }
    const code = Number(process.exitCode ?? 0);
    return 'error' in result || code === 0 ? result : { error: new Error(`the script ended with the exit code ${code}`) };
  } finally {
    process.exitCode = exitCode;
  }
}

const cannotLoad = (error) => error instanceof SyntaxError || error?.code === 'MODULE_NOT_FOUND';

function runRegistered(modules, file, runner, script) {
  const capture = new Capture();
  const before = setSink((part) => capture.add(part));
  let loaded;
  let pending = null;
  try {
    // Not awaited here: the file may itself wait for its tests.
    loaded = settle(() => {
      modules.loadMain(file);
      pending = modules.pendingOf(file);
      if (pending !== null) markHandled(pending);
    });
    awaitSuites();
  } finally {
    setSink(before);
  }
  runner.carried = capture.text;
  if ('error' in loaded) {
    const isPlain = script.isPlain() && loaded.error instanceof AssertionError;
    runner.record([file], { path: file, line: 1 }, () => ({ outcome: isPlain ? 'failed' : 'errored', error: loaded }));
  } else {
    runRest(file, pending, runner, script);
  }
}

// Runs the tests of a file that was loaded, the rest of the file, and what all of it left in the loop.
function runRest(file, pending, runner, script) {
  const { root } = registry;
  const tell = (outcome, error) => runner.record([file], { path: file, line: 1 }, () => ({ outcome, error, message: runner.broken() ?? undefined }));
  const hasTests = () => root.children.length > 0;
  const hasEnded = () => pending === null || promiseDetails(pending).state !== 'pending';
  const runAll = () => {
    while (registry.pending.length > 0 || hasTests()) {
      awaitSuites();
      runner.runSuite(root, file, !registry.only);
    }
  };
  let broken = null;
  for (;;) {
    runAll();
    if (!hasEnded()) {
      runner.goOn(() => hasEnded() || hasTests(), false);
      if (hasTests() && runner.strays.length === 0) continue;
      if (!hasEnded() && !runner.exited && runner.strays.length === 0) broken = { error: new Error('the promise never settled') };
    }
    if (pending !== null && promiseDetails(pending).state === 'rejected') broken = { error: promiseDetails(pending).value };
    if (broken !== null || runner.strays.length > 0 || runner.exited) break;
    if (root.ready) runner.finishSuite(root, file);
    root.ready = false;
    const isPlain = script.isPlain();
    const isOver = runner.goOn(() => hasTests() || registry.pending.length > 0, !isPlain);
    if (isPlain && !isOver) runner.strays.push(new Error('the script never ended'));
    if (runner.strays.length > 0 || runner.exited || (!hasTests() && registry.pending.length === 0)) break;
  }
  // Those that were registered too late still count.
  runAll();
  if (root.ready) runner.finishSuite(root, file);
  if (broken !== null) tell(script.isPlain() && broken.error instanceof AssertionError ? 'failed' : 'errored', broken);
  else if (runner.strays.length > 0) tell(runner.broken() === null ? 'failed' : 'errored', { error: runner.strays[0] });
  else if (!script.isPlain()) return;
  else if (script.failures.length > 0) tell('failed', script.failures[0]);
  else if (script.hasAsserted()) tell(runner.broken() === null ? 'passed' : 'errored');
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
