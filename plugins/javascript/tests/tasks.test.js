// Calls, tests in one instance, and checks.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { call, check, runProgram, runTests } from './harness.js';
import { testEnds } from './ends.js';

test('a function is called with JSON and gives JSON', async () => {
  const code = { 'a.js': 'const add = (a, b) => a + b; class S { static make(n) { return { n, list: [n, null, true, "x"] }; } } module.exports = { add, S, later: async (x) => x * 2 }; function hidden() { return 1; }' };
  assert.equal((await call(code, 'a.js', 'add', '[1,2]')).value, '3');
  assert.equal((await call(code, 'a.js', 'S.make', '[5]')).value, '{"n":5,"list":[5,null,true,"x"]}');
  assert.equal((await call(code, 'a.js', 'later', '[4]')).value, '8');
  assert.equal((await call(code, 'a.js', 'hidden', '[]')).value, '1');
  assert.equal((await call({ 'm.mjs': 'export default function main() { return [1]; } export const f = () => undefined;' }, 'm.mjs', 'f', '[]')).value, 'null');
  await assert.rejects(call(code, 'a.js', 'none', '[]'), /none/.source ? (error) => /defines no none/.test(error) : undefined);
  await assert.rejects(call(code, 'a.js', 'add', '[1', '{}'), (error) => /no JSON/.test(error));
});

test('what is no JSON is refused without calling anything of it', async () => {
  const code = {
    'a.js': `class Foo {} const called = []; module.exports = {
      foo: () => new Foo(), map: () => new Map(), nan: () => [NaN], fn: () => ({ f() {} }), getter: () => ({ get x() { throw new Error('called'); } }),
      toJson: () => ({ a: 1, toJSON: null }), proxy: () => new Proxy({}, { ownKeys() { throw new Error('called'); } }), cycle: () => { const a = []; a.push(a); return a; }, date: () => new Date(),
      patched: () => { Object.prototype.toJSON = () => 'bad'; JSON.stringify = () => '"bad"'; Array.prototype.join = () => 'bad'; Array.prototype.push = () => 'bad'; Reflect.ownKeys = () => ['bad']; return { a: [1, { b: 'x' }] }; },
      proto: () => JSON.parse('{"__proto__": 1}'), nul: () => Object.assign(Object.create(null), { a: 1 }) };`,
  };
  for (const [name, type] of [['foo', 'a Foo'], ['map', 'a Map'], ['nan', 'NaN'], ['fn', 'a function'], ['proxy', 'a Proxy'], ['date', 'a Date']]) {
    const answer = await call(code, 'a.js', name, '[]');
    assert.equal(answer.errorType, 'TypeError', name);
    assert.match(answer.error, new RegExp(`returned ${type}, which is no JSON value`));
  }
  for (const name of ['getter', 'cycle']) assert.equal((await call(code, 'a.js', name, '[]')).errorType, 'TypeError');
  assert.equal((await call(code, 'a.js', 'patched', '[]')).value, '{"a":[1,{"b":"x"}]}');
  assert.equal((await call(code, 'a.js', 'proto', '[]')).value, '{"__proto__":1}');
  assert.equal((await call(code, 'a.js', 'nul', '[]')).value, '{"a":1}');
});

test('errors have their type, their stack and their last line', async () => {
  const code = { 'a.ts': 'class MyError extends Error {}\nexport function f(x: number): never {\n  throw new MyError(`bad ${x}`);\n}\nexport const g = async () => { null!.x; };\nexport const h = () => { throw "text"; };\nexport const never = () => new Promise(() => {});' };
  const answer = await call(code, 'a.ts', 'f', '[3]');
  assert.equal(answer.errorType, 'MyError');
  assert.match(answer.error, /at f \(a\.ts:3:\d+\)/);
  assert.match(answer.error, /MyError: bad 3$/);
  assert.doesNotMatch(answer.error, /runner\.js/);
  assert.equal((await call(code, 'a.ts', 'g', '[]')).errorType, 'TypeError');
  assert.equal((await call(code, 'a.ts', 'h', '[]')).errorType, 'string');
  assert.match((await call(code, 'a.ts', 'never', '[]')).error, /never settled/);
  const broken = await call({ 'b.js': 'let x = ;' }, 'b.js', 'f', '[]');
  assert.equal(broken.errorType, 'SyntaxError');
});

test('an uncaught error is printed with its line', async () => {
  const { stderr, answer } = await runProgram({ 'p.js': 'const a = 1;\nfunction f() {\n  throw new RangeError("deep");\n}\nf();' }, 'p.js');
  assert.equal(answer.exitCode, 1);
  assert.equal(answer.errorType, 'RangeError');
  assert.match(stderr, /^p\.js:3\n  throw new RangeError\("deep"\);\n\s+\^\n\nRangeError: deep\n    at f \(p\.js:3:\d+\)/);
});

test('modules find each other', async () => {
  const { stdout } = await runProgram(
    {
      'src/main.js': "const a = require('./lib'); const { b } = require('../other/b.ts'); console.log(a.name, b, require('./data').k, require('./data.json') === require('./data'));",
      'src/lib/index.js': "exports.name = 'lib ' + require('./in').x;",
      'src/lib/in.mjs': "import { b } from '../../other/b.js'; export const x = b + 1;",
      'other/b.ts': 'export const b: number = 5;',
      'src/data.json': '{"k":[1]}',
    },
    'src/main.js',
  );
  assert.equal(stdout, 'lib 6 5 [ 1 ] true\n');
});

test('tests of all styles', async () => {
  const { byName, begun, seen } = await runTests(
    { 'solution.js': 'exports.add = (a, b) => a + b; exports.slow = () => new Promise((r) => setTimeout(r, 1000, "done"));' },
    {
      'test_solution.js': `const { test, describe, it, before, beforeEach, afterEach } = require('node:test'); const assert = require('node:assert'); const { add, slow } = require('./solution');
test('adds', () => { console.log('printed'); assert.strictEqual(add(1, 2), 3); });
test('fails', () => {
  assert.strictEqual(add(1, 2), 4);
});
describe('group', () => { let n = 0; before(() => { n = 10; }); beforeEach(() => { n++; }); afterEach(() => {}); it('one', () => assert.equal(n, 11)); it('two', async () => { assert.equal(await slow(), 'done'); assert.equal(n, 12); }); describe('inner', () => it('three', () => assert.equal(n, 13))); });
test('skipped', { skip: 'later' }, () => { throw 1; }); test.todo('todo'); test('hangs', () => new Promise(() => {})); test('exits', () => process.exit(0)); test('stray', async () => { Promise.reject(new Error('stray')); await null; await null; });
test('subs', async (t) => { await t.test('good', () => {}); await t.test('bad', () => { throw new Error('sub'); }); });
test('cb', (t, done) => setTimeout(done, 5)); test('timer throws', () => { setTimeout(() => { throw new Error('late'); }, 1); return new Promise(() => {}); }); test('same'); test('same', () => {});`,
      'jest.test.ts': `import { add } from './solution'; describe('j', () => { beforeAll(() => {}); test.each([[1, 2, 3], [2, 2, 5]])('%i + %i = %i', (a: number, b: number, c: number) => { expect(add(a, b)).toBe(c); }); it('matchers', async () => { expect([1, { a: 2 }]).toEqual([1, { a: 2 }]); expect(() => { throw new TypeError('x y'); }).toThrow('x'); expect(0.1 + 0.2).toBeCloseTo(0.3); expect([1]).toContain(1); expect('abc').toHaveLength(3); expect(null).toBeNull(); expect(3).not.toBe(4); await expect(Promise.resolve(1)).resolves.toBe(1); await expect(Promise.reject(new Error('r'))).rejects.toThrow('r'); const f = jest.fn(); f(1); expect(f).toHaveBeenCalledWith(1); expect({ a: 1, b: 2 }).toMatchObject({ a: 1 }); expect({ a: 1 }).toEqual({ a: expect.any(Number) }); }); it('done', (done) => { setTimeout(done, 1); }); });`,
      'plain.js': "const assert = require('assert'); assert.equal(1, 1);",
      'plain_bad.js': "console.assert(1 === 2, 'no');",
      'broken.test.js': "require('./nothing'); test('x', () => {});",
      'tla.test.mjs': "import test from 'node:test'; import assert from 'node:assert'; let ran = false; await test('first', async () => { await null; ran = true; }); test('second', () => assert.ok(ran));",
    },
  );
  const outcome = (name) => byName[name]?.outcome;
  assert.equal(outcome('test_solution.js > adds'), 'passed');
  assert.equal(byName['test_solution.js > adds'].output, 'printed\n');
  assert.equal(outcome('test_solution.js > fails'), 'failed');
  assert.equal(byName['test_solution.js > fails'].line, 4);
  assert.match(byName['test_solution.js > fails'].message, /3 !== 4/);
  for (const name of ['one', 'two', 'inner > three']) assert.equal(outcome(`test_solution.js > group > ${name}`), 'passed', name);
  assert.equal(outcome('test_solution.js > skipped'), 'skipped');
  assert.equal(outcome('test_solution.js > todo'), 'skipped');
  assert.match(byName['test_solution.js > hangs'].message, /the promise never settled/);
  assert.match(byName['test_solution.js > exits'].message, /process\.exit\(0\)/);
  assert.match(byName['test_solution.js > stray'].message, /stray/);
  assert.equal(outcome('test_solution.js > subs'), 'failed');
  assert.equal(outcome('test_solution.js > subs > good'), 'passed');
  assert.equal(outcome('test_solution.js > subs > bad'), 'failed');
  assert.equal(outcome('test_solution.js > cb'), 'passed');
  assert.match(byName['test_solution.js > timer throws'].message, /late/);
  assert.equal(outcome('test_solution.js > same (2)'), 'passed');
  assert.equal(outcome('jest.test.ts > j > 1 + 2 = 3'), 'passed');
  assert.equal(outcome('jest.test.ts > j > 2 + 2 = 5'), 'failed');
  assert.equal(outcome('jest.test.ts > j > matchers'), 'passed', byName['jest.test.ts > j > matchers'].details);
  assert.equal(outcome('jest.test.ts > j > done'), 'passed');
  assert.equal(outcome('plain.js'), 'passed');
  assert.equal(outcome('plain_bad.js'), 'failed');
  assert.equal(outcome('broken.test.js'), 'errored');
  assert.equal(outcome('tla.test.mjs > first'), 'passed');
  assert.equal(outcome('tla.test.mjs > second'), 'passed');
  assert.deepEqual(begun, seen.map(({ name }) => name));
  assert.equal(new Set(begun).size, begun.length);
  await assert.rejects(runTests({}, { 'x.js': 'console.log(1)' }), (error) => /the tests define nothing: x\.js/.test(error));
});

test('output of a test is cut', async () => {
  const { seen } = await runTests({}, { 't.js': "test('loud', () => { for (let i = 0; i < 3000; i++) console.log('x'.repeat(100)); });" });
  assert.ok(seen[0].output.length < 66000 && seen[0].output.endsWith('[cut]\n'));
});

test('a check finds things', async () => {
  const submission = { 'a.js': 'var x', '__proto__': 'no' };
  const { findings } = await check(submission, "function check({ files }) { return Object.keys(files).map((path) => ({ rule: 'r', level: 'warning', message: files[path], path, line: 1, column: 2, help: 'h' })).concat('text'); }");
  assert.deepEqual(JSON.parse(JSON.stringify(findings[0])), { rule: 'r', level: 'warning', message: 'var x', location: { repository: null, path: 'a.js', line: 1, column: 2 }, help: 'h' });
  assert.equal(findings.at(-1).message, 'text');
  assert.equal((await check(submission, 'export function* check() { yield "one"; yield { message: "two" }; }')).findings.map(({ message }) => message).join(), 'one,two');
  assert.equal((await check(submission, 'module.exports = async () => {};')).findings.length, 0);
  for (const body of ['return 5', 'return [5]', 'return [{}]', "return [{ message: 'm', level: 'bad' }]", "return [{ message: 'm', path: 'p', line: 0 }]"]) {
    await assert.rejects(check(submission, `exports.check = () => { ${body}; };`), (error) => typeof error === 'string', body);
  }
  assert.equal((await check(submission, 'exports.check = () => { throw new RangeError("x"); };')).answer.errorType, 'RangeError');
});

testEnds('shared', runTests);
