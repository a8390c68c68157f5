// Tests and code in two instances.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { runApart } from './harness.js';
import { testEnds } from './ends.js';

const CODE = {
  'solution.js': `
export class EmptyError extends Error { constructor(m) { super(m); this.name = 'EmptyError'; this.code = 7; } }
export class Stack { #a = []; static empty() { return new Stack(); } push(x) { this.#a.push(x); return this; } pop() { if (!this.#a.length) throw new EmptyError('empty'); return this.#a.pop(); } get size() { return this.#a.length; } *[Symbol.iterator]() { yield* this.#a; } toString() { return 'Stack!'; } }
export const sort = (a) => { a.sort((x, y) => x - y); return a; };
export const mapAsync = async (xs, f) => { const out = []; for (const x of xs) out.push(await f(x)); console.log('mapped'); return out; };
export const sleep = (ms) => new Promise((r) => setTimeout(() => r(ms), ms));
export function debounce(f, ms) { let t; return (...a) => { clearTimeout(t); t = setTimeout(() => f(...a), ms); }; }
export function bad() { null.x; }
export const weird = { m: new Map([['k', { z: 1n }]]), s: new Set([NaN, -0, undefined]), d: new Date(5), r: /a/g, t: new Float64Array([1.5, 2]), h: [1, , 3], sym: Symbol('q'), inf: -Infinity, zero: -0 };
export function counter() { return { n: 0, inc() { return ++this.n; } }; }
export const cache = new Map(); export const put = (k, v) => { cache.set(k, v); }; export const take = (k) => cache.get(k);
export async function rejects() { await 1; throw new RangeError('late'); }
export function* gen() { yield 1; yield 2; }
export async function* agen() { yield 1; await sleep(5); yield 2; }
export const sneaky = { valueOf() { return {}; }, toString() { return '7'; } };
export function polluted() { return JSON.parse('{"__proto__":{"x":1},"y":2}'); }
export const exit = () => process.exit(3);
export const each = (xs, f) => xs.forEach((x) => f(x));
export const rethrow = (f) => { try { f(); } catch (e) { throw e; } };
export const iterate = (it) => [...it];
export function peek(o) { return [o.open, o._closed, o.constructor, typeof o.method, (() => { try { o.open = 5; return 'set'; } catch (e) { return e.name; } })()]; }
`,
};

const HEAD = "import test from 'node:test'; import assert from 'node:assert/strict'; import * as S from './solution.js'; import { Stack, EmptyError, sort } from './solution.js';\n";

const good = {
  classes: "const s = new Stack(); assert.equal(s.push(1).push(2).pop(), 2); assert.equal(s.size, 1); assert.ok(s instanceof Stack); assert.ok(!(s instanceof EmptyError)); assert.deepEqual([...s], [1]); assert.equal(`${s}`, 'Stack!'); assert.equal(Stack.empty().size, 0); assert.equal(Stack.name, 'Stack'); assert.equal(s.constructor, Stack);",
  errors: "assert.throws(() => new Stack().pop(), EmptyError); assert.throws(() => new Stack().pop(), { name: 'EmptyError', message: 'empty', code: 7 }); assert.throws(() => new Stack().pop(), /empty/); assert.throws(() => S.bad(), TypeError); try { new Stack().pop(); } catch (e) { assert.ok(e instanceof Error); assert.ok(e.stack.includes('solution.js')); }",
  'changes come back': 'const a = [3, 1, 2]; assert.equal(sort(a), a); assert.deepEqual(a, [1, 2, 3]);',
  'changes of callbacks': 'const items = [{ n: 1 }, { n: 2 }]; S.each(items, (item) => { item.n *= 10; }); assert.deepEqual(items, [{ n: 10 }, { n: 20 }]);',
  callbacks: 'assert.deepEqual(await S.mapAsync([1, 2, 3], async (x) => { await null; return x * 2; }), [2, 4, 6]);',
  time: 'const t = Date.now(); assert.equal(await S.sleep(100), 100); assert.ok(Date.now() - t >= 100); let n = 0; const d = S.debounce(() => n++, 50); d(); d(); await new Promise((r) => setTimeout(r, 40)); assert.equal(n, 0); await new Promise((r) => setTimeout(r, 40)); assert.equal(n, 1);',
  values: "const w = S.weird; assert.deepEqual(w.m, new Map([['k', { z: 1n }]])); assert.ok(w.s.has(NaN)); assert.ok(w.s.has(undefined)); assert.deepEqual(w.d, new Date(5)); assert.deepEqual(w.r, /a/g); assert.deepEqual(w.t, new Float64Array([1.5, 2])); assert.ok(!(1 in w.h)); assert.equal(w.h.length, 3); assert.equal(w.sym.description, 'q'); assert.equal(w.sym, S.weird.sym); assert.equal(w.inf, -Infinity); assert.ok(Object.is(w.zero, -0)); assert.equal(S.weird.m, w.m);",
  'this of methods': 'const c = S.counter(); c.inc(); c.inc(); assert.equal(c.n, 2);',
  identity: "const o = { a: 1 }; S.put('k', o); assert.equal(S.take('k'), o); o.a = 2; S.put('j', o); assert.equal(S.take('k').a, 2); const f = () => {}; S.put('f', f); assert.equal(S.take('f'), f); const loop = []; loop.push(loop); S.put('l', loop); assert.equal(S.take('l'), loop);",
  rejections: "await assert.rejects(S.rejects(), RangeError); await assert.rejects(() => S.rejects(), { message: 'late' }); assert.ok(S.rejects().catch(() => {}) instanceof Promise);",
  iterators: 'assert.deepEqual([...S.gen()], [1, 2]); const out = []; for await (const x of S.agen()) out.push(x); assert.deepEqual(out, [1, 2]); assert.deepEqual(S.iterate((function* () { yield 5; yield 6; })()), [5, 6]);',
  primitives: "assert.ok(S.sneaky == 7); assert.equal(typeof `${S.sneaky}`, 'string'); assert.ok(S.sneaky !== 7);",
  prototypes: "const p = S.polluted(); assert.equal(p.x, undefined); assert.equal(({}).x, undefined); assert.deepEqual(Object.keys(p), ['__proto__', 'y']);",
  'own errors': "const e = new Error('mine'); assert.throws(() => S.rethrow(() => { throw e; }), (got) => got === e); assert.throws(() => S.rethrow(() => assert.equal(1, 2)), assert.AssertionError);",
  'what the code may see': "class T { constructor() { this.open = 1; this._closed = 2; } method() {} } const t = new T(); assert.deepEqual(S.peek(t), [1, undefined, undefined, 'function', 'TypeError']); assert.equal(t.open, 1);",
};
const bad = {
  'an error inside': ['S.bad();', 'failed', /TypeError/],
  unhandled: ['S.rejects(); await S.sleep(5);', 'failed', /late/],
  exit: ['S.exit();', 'failed', /process\.exit\(3\)/],
  never: ['await S.put.call(null, 1); await new Promise(() => {});', 'failed', /never settled/],
};

test('what tests do with code that is elsewhere', async () => {
  const body = [...Object.entries(good), ...Object.entries(bad).map(([name, [text]]) => [name, text])].map(([name, text]) => `test(${JSON.stringify(name)}, async () => { ${text} });`);
  const { byName } = await runApart(CODE, { 'test_a.mjs': HEAD + body.join('\n') });
  for (const name of Object.keys(good)) assert.equal(byName[`test_a.mjs > ${name}`]?.outcome, 'passed', `${name}: ${byName[`test_a.mjs > ${name}`]?.details}`);
  for (const [name, [, outcome, message]] of Object.entries(bad)) {
    assert.equal(byName[`test_a.mjs > ${name}`].outcome, outcome, name);
    assert.match(byName[`test_a.mjs > ${name}`].message, message);
  }
  assert.equal(byName['test_a.mjs > callbacks'].output, 'mapped\n');
});

test('an object that is now this and now that', async () => {
  const code = {
    'solution.js': `
let turn = 0;
exports.both = () => ({ valueOf: () => (turn++ % 2 ? -Infinity : Infinity), run() {} });
exports.hints = () => ({ [Symbol.toPrimitive]: (hint) => (hint === 'number' ? 1 : 2), run() {} });
exports.set = () => Object.create(Set.prototype, { size: { value: 2 }, [Symbol.iterator]: { value: function* () {} } });
exports.map = () => Object.create(Map.prototype, { size: { value: 1 }, [Symbol.iterator]: { value: function* () {} } });
exports.boxed = () => ({ valueOf: () => 3, run() {} });
let at = 0;
exports.moving = { valueOf: () => at, go() { at += 1; } };
`,
  };
  const head = "const assert = require('assert'); const S = require('./solution');\n";
  const bad = ['const v = S.both(); assert.ok(v > 5 && v < 7);', 'const v = S.hints(); assert.ok(v > 0 && v == 2);', "assert.deepStrictEqual(S.set(), new Set(['a', 'b']));", "assert.deepEqual(S.map(), new Map([['a', 1]]));", "expect(S.set()).toEqual(new Set(['a', 'b']));", "expect(S.map()).toEqual(new Map([['a', 1]]));", 'expect(S.boxed()).toBeCloseTo(3);', 'expect(S.boxed()).toBeLessThan(4);'];
  const good = ['assert.ok(S.boxed() == 3 && S.boxed() < 4 && `${S.moving}` !== 5);', 'assert.ok(S.moving < 1); S.moving.go(); assert.ok(S.moving == 1 && S.moving - 1 === 0);'];
  for (const [texts, outcome] of [[bad, 'failed'], [good, 'passed']]) {
    const { byName } = await runApart(code, { 't.js': head + texts.map((text, at) => `test('${at}', () => { ${text} });`).join('\n') });
    texts.forEach((text, at) => assert.equal(byName[`t.js > ${at}`]?.outcome, outcome, `${text} ${byName[`t.js > ${at}`]?.details}`));
  }
});

// A code's instance that answers what it likes, for `solution.js` with a function `f`.
function rogue(answer) {
  return (message) => {
    if (message.q === 'load') return { r: { t: 'x', i: 'c1' } };
    if (message.q === 'get' && message.k === 'f') return { r: { t: 'f', i: 'c2' } };
    if (message.q === 'get') return { r: { t: 'u' } };
    if (message.q === 'pump') return { r: { t: 'u' } };
    return answer(message);
  };
}

const ROGUE_TEST = { 't.test.js': "const test = require('node:test'); const assert = require('node:assert'); const S = require('./solution'); test('a', () => { const secret = { keep: 1 }; const r = S.f({ given: 1 }, () => secret); assert.equal(r, 42); assert.deepEqual(secret, { keep: 1 }); }); test('b', () => { assert.equal(({}).evil, undefined); assert.equal([].evil, undefined); assert.equal(1 + 1, 2); });" };

test('a hostile instance gets nowhere', async () => {
  const answers = {
    'no message': () => 'not json',
    array: () => [],
    text: () => '"x"',
    nested: () => '['.repeat(100000),
    nothing: () => ({}),
    'unknown kind': () => ({ r: { t: 'zz' } }),
    'wrong handle': () => ({ r: { t: 'g', i: 't9999' } }),
    'handle that is no text': () => ({ r: { t: 'g', i: { toString: 1 } } }),
    'handle of this side': () => ({ r: { t: 'f', i: 't1' } }),
    'a number with methods': () => ({ r: { t: 'n', v: '42; evil' } }),
    'bad bigint': () => ({ r: { t: 'b', v: '1n' } }),
    'bad pattern': () => ({ r: { t: 'p', v: '(', f: 'zz' } }),
    'bad bytes': () => ({ r: { t: 't', k: 'Uint8Array', v: 'xyz', i: 'c5' } }),
    'no such array': () => ({ r: { t: 't', k: 'Function', v: '00', i: 'c5' } }),
    'no such error': () => ({ r: { t: 'e', k: 'Function', i: 'c5', m: 'x', s: '', v: [] } }),
    'no such name': () => ({ r: { t: 'i', v: 'process' } }),
    'prototype as data': () => '{"r":{"t":"o","i":"c6","v":[["__proto__",{"t":"o","i":"c7","v":[["evil",1]]}]]}}',
    'message with a prototype': () => '{"__proto__":{"r":42}}',
    'a value that becomes another': (m) => ({ r: 1, back: [{ t: 'm', i: m.a[0].i, v: [] }] }),
    'change of a prototype': (m) => ({ r: 1, back: [{ t: 'o', i: m.a[0].i, v: [[{ t: 'w', v: 'iterator' }, 1], ['__proto__', { t: 'i', v: 'Array.prototype' }]] }] }),
    'keys that are no keys': () => ({ r: { t: 'o', i: 'c6', v: [[{ t: 'o', i: 'c8', v: [] }, 1]] } }),
    'unknown value of this side': () => ({ r: { t: 'a', i: 't5000', v: [] } }),
    'asks for what is not its own': () => ({ q: 'get', h: 't77', k: 'x' }),
    'asks without a handle': () => ({ q: 'call', a: [] }),
    'wants to set': (m) => ({ q: 'set', h: m.a[1].i, k: 'x', a: [1] }),
    'wants the constructor': (m) => ({ q: 'get', h: m.a[1].i, k: 'constructor' }),
    'stray of nonsense': () => ({ r: 1, u: [{ t: 'g', i: 'no' }] }),
    'settles what is not pending': () => ({ r: 1, s: [{ i: 'c400', ok: true, v: 1 }, { i: { x: 1 } }] }),
    'loads modules here': () => ({ q: 'load', a: ['t.test.js'] }),
    'an empty answer about itself': () => ({ r: { t: 'u' }, x: undefined }),
  };
  for (const [name, answer] of Object.entries(answers)) {
    let asked = 0;
    const { byName } = await runApart({ 'solution.js': '' }, ROGUE_TEST, {
      rogue: rogue((message) => {
        // What it asked was answered: then it gives a wrong result.
        if (message.q === undefined) return { r: message.r === undefined || message.x !== undefined ? 13 : message.r };
        return asked++ > 5 ? { r: 14 } : answer(message);
      }),
    });
    assert.equal(byName['t.test.js > a'].outcome, 'failed', name);
    assert.equal(byName['t.test.js > b'].outcome, 'passed', name);
  }
});

test('an instance that ends makes its tests errored', async () => {
  const { byName } = await runApart({ 'solution.js': '' }, { 't.test.js': "const S = require('./solution'); test('a', () => { try { S.f(); } catch {} }); test('b', () => {});" }, { rogue: rogue(() => null) });
  assert.equal(byName['t.test.js > a'].outcome, 'errored');
  assert.match(byName['t.test.js > a'].message, /the code's instance ended/);
  assert.equal(byName['t.test.js > b'].outcome, 'errored');
});

test('code that patches its own interpreter changes nothing here', async () => {
  const tests = { 't.test.js': "const S = require('./solution'); test('wrong', () => { expect(S.f()).toBe(42); }); test('equal', () => { expect({ a: 1 }).toEqual(S.always); }); test('here', () => { expect(({}).evil).toBeUndefined(); expect(S.f()).toBe(41); });" };
  const rest = "module.exports.f = () => 41; module.exports.always = { [Symbol.toPrimitive]: () => 42, equals: () => true, asymmetricMatch: () => true };";
  const { byName } = await runApart({ 'solution.js': `Object.is = () => true; Object.prototype.evil = 1; JSON.stringify = () => '{"r":42}'; Map.prototype.get = () => 42; globalThis.assert = () => {}; globalThis.expect = () => {}; ${rest}` }, tests);
  assert.equal(byName['t.test.js > wrong'].outcome, 'failed');
  assert.equal(byName['t.test.js > equal'].outcome, 'failed');
  assert.equal(byName['t.test.js > here'].outcome, 'passed', byName['t.test.js > here'].details);
  // What breaks the code's own side passes no test that it should not.
  const broken = await runApart({ 'solution.js': `Array.prototype.push = function () { return 1; }; Function.prototype.call = () => 42; Array.prototype.map = () => [42]; ${rest}` }, tests);
  for (const { name, outcome } of broken.seen) if (name !== 't.test.js > here') assert.notEqual(outcome, 'passed', name);
});

test('what only has the prototype of an error is none', async () => {
  const code = `
    class Own extends RangeError {}
    function Old() {}
    Old.prototype = Object.create(Error.prototype);
    module.exports = {
      Own, Old,
      real() { throw new RangeError('r'); },
      own() { throw new Own('o'); },
      old() { throw new Old(); },
      fake() { throw Object.create(RangeError.prototype, { name: { value: 'RangeError' }, [Symbol.toStringTag]: { value: 'Error' } }); },
      named() { throw Object.create(RangeError.prototype, { constructor: { value: RangeError } }); },
    };`;
  const names = ['real', 'own', 'fake', 'named'];
  const tests = {
    't.test.js': `const assert = require('assert'); const S = require('./solution');
      ${names.map((name) => `test('${name}', () => assert.throws(S.${name}, RangeError));`).join('\n')}
      test('old', () => { assert.throws(S.old, S.Old); assert.throws(S.old, Error); assert.throws(S.own, S.Own); assert.ok(S.Own.prototype instanceof RangeError); });`,
  };
  const { byName } = await runApart({ 'solution.js': code }, tests);
  for (const name of ['real', 'own', 'old']) assert.equal(byName[`t.test.js > ${name}`].outcome, 'passed', byName[`t.test.js > ${name}`].details);
  for (const name of ['fake', 'named']) assert.notEqual(byName[`t.test.js > ${name}`].outcome, 'passed', name);
});

testEnds('apart', runApart);
