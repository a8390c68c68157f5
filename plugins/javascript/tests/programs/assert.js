const assert = require('assert');
for (const f of [() => assert.strictEqual(1, 2), () => assert(0), () => assert.equal('a', 'b'), () => assert.notStrictEqual(1, 1), () => assert.throws(() => {}), () => assert.fail('msg'), () => assert.ok(false, 'custom'), () => assert.deepStrictEqual([1, 2, 3], [1, 2, 4]), () => assert.match('abc', /x/), () => assert.throws(() => { throw new Error('bad'); }, /good/), () => assert.strictEqual('hello world foo', 'hello world bar'), () => assert.deepEqual({ a: 1 }, { a: 2 }), () => assert.rejects]) {
  try { f(); } catch (e) { console.log(e.name, e.code, JSON.stringify(e.message.split('\n')[0])); }
}
assert.deepStrictEqual(new Map([[1, { a: [1] }]]), new Map([[1, { a: [1] }]])); assert.deepStrictEqual(new Set([{ a: 1 }]), new Set([{ a: 1 }])); assert.notDeepStrictEqual({ a: undefined }, {}); assert.deepEqual([1, '2'], ['1', 2]);
assert.throws(() => assert.deepStrictEqual(-0, 0)); assert.throws(() => assert.deepStrictEqual([NaN], [0])); assert.deepStrictEqual([NaN], [NaN]); assert.throws(() => { throw new TypeError('x'); }, TypeError); console.log('ok');
try { assert.strictEqual(1, 2) } catch (e) { console.log(e.message, e.actual, e.expected, e.operator, e.generatedMessage) }
try { assert.deepStrictEqual({ a: 1, b: [1, 2] }, { a: 1, b: [1, 3] }) } catch (e) { console.log(e.message) }
