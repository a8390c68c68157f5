// What counts as a test and until when: the same for tests in one instance and apart.
import { test } from 'node:test';
import assert from 'node:assert/strict';

// Functions that double at once, soon, later or never.
const LATE = {
  'code.js': `exports.now = (x) => x * 2; exports.soon = async (x) => x * 2; exports.later = (x) => new Promise((r) => setTimeout(() => r(x * 2), 50)); exports.never = () => new Promise(() => {}); exports.fails = async () => { await null; throw new RangeError('inside'); };`,
};
const START = "const assert = require('assert'); const S = require('./code');\n";
// What a script does and what is told of it.
const SCRIPTS = {
  'good_soon.js': ['(async () => { assert.equal(await S.soon(1), 2); })();', 'passed'],
  'good_later.js': ['(async () => { assert.equal(await S.later(1), 2); })();', 'passed'],
  'good_exit.js': ['(async () => { assert.equal(await S.later(1), 2); process.exit(0); })();', 'passed'],
  'good_end.js': ["let n = 0; S.later(1).then((x) => { n = x; }); process.on('exit', () => assert.equal(n, 2));", 'passed'],
  'good_main.js': ['if (require.main === module) assert.equal(S.now(1), 2);', 'passed'],
  'bad_soon.js': ['(async () => { assert.equal(await S.soon(1), 3); })();', 'failed', /2 == 3/],
  'bad_later.js': ['(async () => { assert.equal(await S.later(1), 3); })();', 'failed', /2 == 3/],
  'bad_then.js': ['assert.ok(true); S.later(1).then((x) => assert.equal(x, 3));', 'failed', /2 == 3/],
  'bad_reject.js': ['assert.rejects(S.later(1));', 'failed', /Missing expected rejection/],
  'bad_timer.js': ["assert.ok(true); setTimeout(() => { throw new Error('in a timer'); }, 500);", 'failed', /in a timer/],
  'bad_immediate.js': ['setImmediate(() => assert.equal(S.now(1), 3));', 'failed', /2 == 3/],
  'bad_unhandled.js': ['assert.ok(true); setTimeout(() => { S.fails(); }, 5);', 'failed', /inside/],
  'bad_console.js': ["S.later(1).then((x) => console.assert(x === 3, 'not three'));", 'failed', /not three/],
  'bad_code.js': ['S.later(1).then((x) => assert.equal(x, 3)).catch(() => { process.exitCode = 1; });', 'failed', /exit code 1/],
  'bad_exit.js': ['S.later(1).then((x) => assert.equal(x, 3)).catch(() => process.exit(1));', 'failed', /process\.exit\(1\)/],
  'bad_end.js': ["process.on('exit', () => assert.equal(S.now(1), 3));", 'failed', /2 == 3/],
  'bad_forever.js': ['assert.ok(true); setInterval(() => {}, 1000);', 'failed', /never ended/],
  'bad_expect.js': ['(async () => { await expect(S.later(1)).resolves.toBe(3); })();', 'failed', /toBe/],
  // A word that only looks like a test changes nothing.
  'like_good.js': ['/* test() */ S.later(1).then((x) => assert.equal(x, 2));', 'passed'],
  'like_bad.js': ['/* test() */ S.later(1).then((x) => assert.equal(x, 3));', 'failed', /2 == 3/],
  'like_throws.js': ['/* test() */ assert.equal(S.now(1), 3);', 'failed', /2 == 3/],
  'like_console.js': ["/* test() */ console.assert(S.now(1) === 3, 'not three');", 'failed', /not three/],
};

/// Registers the tests for one way of running.
export function testEnds(name, run) {
  test(`a script counts to the end of its loop, ${name}`, async () => {
    const texts = Object.fromEntries(Object.entries(SCRIPTS).map(([file, [text]]) => [file, START + text]));
    const { byName, seen } = await run(LATE, texts);
    for (const [file, [, outcome, message]] of Object.entries(SCRIPTS)) {
      assert.equal(byName[file]?.outcome, outcome, `${file}: ${byName[file]?.details}`);
      if (message) assert.match(byName[file].message, message, file);
    }
    assert.equal(seen.length, Object.keys(SCRIPTS).length);
  });

  test(`errors after the tests of a file count, ${name}`, async () => {
    const { byName } = await run(LATE, {
      'good.js': `${START}test('a', () => { const t = setInterval(() => {}, 10); assert.equal(S.now(1), 2); }); setTimeout(() => assert.ok(true), 100);`,
      'empty.js': "test('no assertion', () => {});",
      'timer.js': `${START}test('a', () => {}); test('b', () => { setTimeout(() => { throw new Error('too late'); }, 500); });`,
      'first.js': `${START}test('a', () => { setTimeout(() => { throw new Error('too late'); }, 500); }); test('b', async () => { await S.later(1); });`,
      'top.js': `${START}test('a', () => {}); (async () => { assert.equal(await S.later(1), 3); })();`,
      'soon.js': `${START}test('a', () => { S.soon(1).then((x) => assert.equal(x, 3)); }); test('b', () => {});`,
      'later.js': `${START}test('a', () => { S.later(1).then((x) => assert.equal(x, 3)); });`,
      'registers.js': `${START}setTimeout(() => { test('late', () => assert.equal(S.now(1), 3)); }, 50);`,
      'other.js': `${START}const { it: t } = require('node:test'); t('named', () => assert.equal(S.now(1), 3)); assert.ok(true);`,
      'tla.mjs': "import assert from 'node:assert'; test('a', () => {}); await new Promise((r) => setTimeout(r, 50)); test('b', () => {}); await new Promise((r) => setTimeout(r, 50)); assert.equal(1, 2);",
    });
    const outcome = (test) => byName[test]?.outcome;
    assert.equal(outcome('good.js > a'), 'passed', byName['good.js > a']?.details);
    assert.equal(outcome('good.js'), undefined);
    assert.equal(outcome('empty.js > no assertion'), 'passed');
    for (const file of ['timer.js', 'first.js']) {
      assert.equal(outcome(`${file} > b`), 'passed');
      assert.equal(outcome(file), 'failed', file);
      assert.match(byName[file].message, /too late/);
    }
    assert.equal(outcome('top.js'), 'failed');
    assert.equal(outcome('soon.js > a'), 'failed');
    assert.equal(outcome('soon.js > b'), 'passed');
    assert.equal(outcome('later.js'), 'failed');
    assert.equal(outcome('registers.js > late'), 'failed');
    assert.equal(outcome('other.js > named'), 'failed');
    assert.equal(outcome('tla.mjs > b'), 'passed');
    assert.equal(outcome('tla.mjs'), 'errored');
  });

  test(`what asserts nothing defines nothing, ${name}`, async () => {
    const nothing = ['// assert', "const assert = require('assert');", "const assert = require('assert'); require('./code');", "const assert = require('assert'); function never() { assert.ok(false); }", "expect(1);", "// test('a')", "const assert = require('assert'); describe('a', () => {});", "const assert = require('assert'); const f = () => { test('a', () => assert.ok(0)); };", "const assert = require('assert'); (async () => { assert.equal(await require('./code').never(), 1); })();", "const assert = require('assert'); if (require('./code').now(1) !== 2) throw 1;"];
    for (const text of nothing) {
      await assert.rejects(run(LATE, { 't.js': text }), (error) => /the tests define nothing: t\.js$/.test(error), text);
      await assert.rejects(run(LATE, { 'a.js': "test('a', () => {});", 't.js': text }), (error) => /the tests define nothing: t\.js$/.test(error), text);
    }
    // What a test asks for is none itself.
    const { byName } = await run(LATE, { 'a_helper.js': "const assert = require('assert'); exports.two = (x) => assert.equal(x, 2);", 'b.js': "require('./a_helper').two(require('./code').now(1)); // assert", 'data.js': 'module.exports = 1;' });
    assert.equal(byName['b.js'].outcome, 'passed');
    assert.equal(byName['a_helper.js'].outcome, 'skipped');
    assert.equal(byName['data.js'], undefined);
    for (const text of ['assert(1)', 'assert.ok(1)', 'assert.equal(1, 1)', 'assert.strict.deepEqual([], [])', "assert.throws(() => { throw 1; })", 'assert.doesNotThrow(() => {})', "assert.rejects(Promise.reject(1))", 'assert.doesNotReject(Promise.resolve())', 'assert.ifError(null)', "assert.match('a', /a/)", "assert.doesNotMatch('a', /b/)", 'assert.notStrictEqual(1, 2)', 'console.assert(1)', 'expect(1).toBe(1)', 'expect(1).not.toBe(2)', "expect(() => { throw 1; }).toThrow()", 'expect(Promise.resolve(1)).resolves.toBe(1)']) {
      assert.equal((await run(LATE, { 't.js': `const assert = require('assert'); ${text};` })).byName['t.js'].outcome, 'passed', text);
    }
  });
}
