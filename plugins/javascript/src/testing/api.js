// What tests say: `test`, `describe` and hooks, in the manner of node, mocha and jest.
import { format } from '../inspect.js';
import { Promise, newPromise } from '../promise.js';
import { here } from '../stack.js';
import { nodeMock, jest } from './mock.js';
import { expect } from './expect.js';

// The promises of tests: a suite that gives one back does not wait for it.
const ends = new WeakSet();

export class Suite {
  constructor(name, parent, options = {}) {
    this.name = name;
    this.parent = parent;
    this.skip = options.skip || parent?.skip || false;
    this.todo = options.todo || parent?.todo || false;
    this.only = options.only || false;
    this.children = [];
    this.hooks = { before: [], after: [], beforeEach: [], afterEach: [] };
    this.ready = false;
    this.failure = null;
  }
}

export class Test {
  constructor(name, fn, options, parent, style) {
    this.name = name;
    this.fn = fn;
    this.parent = parent;
    this.skip = options.skip || parent.skip || false;
    this.todo = options.todo || parent.todo || false;
    this.only = options.only || false;
    this.expectFailure = options.fails || false;
    this.style = style;
    this.args = options.args ?? null;
    this.place = here();
    this.finished = newPromise();
    ends.add(this.finished);
  }
}

/// What the files have said so far.
export const registry = { root: null, current: null, pending: [], only: false, running: null };

export function reset(path) {
  registry.root = new Suite(path, null);
  registry.current = registry.root;
  registry.pending = [];
  registry.only = false;
}

function split(args) {
  let name;
  let options = {};
  let fn;
  for (const arg of args) {
    if (typeof arg === 'string') name ??= arg;
    else if (typeof arg === 'function') fn ??= arg;
    else if (arg !== null && typeof arg === 'object') options = arg;
  }
  return { name: name ?? (fn?.name || '<anonymous>'), options, fn };
}

function addTest(style, args, extra) {
  const { name, options, fn } = split(args);
  // A test that begins another one runs it inside of itself.
  if (registry.running !== null) return registry.running.subtest(name, { ...options, ...extra }, fn);
  const settings = { ...options, ...extra };
  if (fn === undefined && !settings.skip) settings.todo = settings.todo || true;
  const made = new Test(name, fn ?? (() => {}), settings, registry.current, style);
  if (made.only) registry.only = true;
  registry.current.children.push(made);
  return made.finished;
}

function addSuite(style, args, extra) {
  const { name, options, fn } = split(args);
  const parent = registry.current ?? registry.root;
  const suite = new Suite(name, parent, { ...options, ...extra });
  if (suite.only) registry.only = true;
  parent.children.push(suite);
  registry.current = suite;
  try {
    const result = fn?.call({ timeout() {}, slow() {}, retries() {} }, { name });
    if (typeof result?.then === 'function' && !ends.has(result)) registry.pending.push({ suite, result });
  } catch (error) {
    suite.failure = { error };
  } finally {
    registry.current = parent;
  }
  return Promise.resolve();
}

function addHook(kind) {
  return (fn, options) => {
    const call = typeof fn === 'function' ? fn : options;
    if (registry.running !== null) registry.running.hook(kind, call);
    else registry.current.hooks[kind].push(call);
  };
}

// The names of a table's rows, as jest writes them.
function rowName(name, row, index) {
  const values = Array.isArray(row) ? row : [row];
  let out = name.replace(/%#/g, String(index));
  if (!Array.isArray(row) && row !== null && typeof row === 'object') {
    out = out.replace(/\$(\w+)/g, (all, key) => (key in row ? format('%s', row[key]) : all));
  }
  const places = out.match(/%[sdifjoOp%]/g)?.filter((place) => place !== '%%').length ?? 0;
  out = out.replace(/%p/g, '%o');
  return places > 0 ? format(out, ...values.slice(0, places)) : out;
}

function withVariants(add, style) {
  const make =
    (extra) =>
    (...args) =>
      add(style, args, extra);
  const fn = make({});
  fn.skip = make({ skip: true });
  fn.todo = make({ todo: true });
  fn.only = make({ only: true });
  fn.fails = make({ fails: true });
  fn.failing = fn.fails;
  fn.concurrent = fn;
  const each =
    (extra) =>
    (rows, ...keys) =>
    (name, body) => {
      let table = rows;
      if (rows?.raw) {
        const head = rows[0].split('|').map((cell) => cell.trim());
        table = [];
        for (let i = 0; i < keys.length; i += head.length) table.push(Object.fromEntries(head.map((key, at) => [key, keys[i + at]])));
      }
      table.forEach((row, i) => {
        const args = Array.isArray(row) ? row : [row];
        const call = (...given) => body(...args, ...given.slice(0, 0));
        add(style, [rowName(name, row, i), call], extra);
      });
    };
  fn.each = each({});
  fn.skip.each = each({ skip: true });
  fn.only.each = each({ only: true });
  fn.skipIf = (condition) => (condition ? fn.skip : fn);
  fn.runIf = (condition) => (condition ? fn : fn.skip);
  return fn;
}

function makeApi(style) {
  const test = withVariants(addTest, style);
  const describe = withVariants(addSuite, style);
  const hooks = { before: addHook('before'), after: addHook('after'), beforeEach: addHook('beforeEach'), afterEach: addHook('afterEach') };
  return { test, it: test, describe, suite: describe, ...hooks };
}

const node = makeApi('node');
export const nodeTest = Object.assign(node.test, { ...node, mock: nodeMock, default: node.test, run: () => {} });

const globalsApi = makeApi('global');
export const testGlobals = {
  ...globalsApi,
  specify: globalsApi.test,
  context: globalsApi.describe,
  xit: globalsApi.test.skip,
  xtest: globalsApi.test.skip,
  xdescribe: globalsApi.describe.skip,
  fit: globalsApi.test.only,
  fdescribe: globalsApi.describe.only,
  beforeAll: globalsApi.before,
  afterAll: globalsApi.after,
  setup: globalsApi.beforeEach,
  teardown: globalsApi.afterEach,
  expect,
  jest,
  vi: jest,
};
// One name is both mocha's and too common for a global.
delete testGlobals.setup;
delete testGlobals.teardown;
