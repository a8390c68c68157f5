// Iterators, lowered functions, texts in objects, signals and events.
const m = new Map([['a', 1], ['b', 2], ['c', { d: { e: { f: {} } } }]]);
const it = m.entries(); it.next();
console.log(it, [...it], it, it.next());
const k = m.keys(); console.log(k); m.set('z', 9); console.log([...k]); m.set('y', 1); console.log(k, [...k]);
const s = new Set([1, 2, 3]); const v = s.values(); v.next(); s.delete(1); console.log(v, v.next(), v, { deep: { it: s.entries() } });
console.log(s[Symbol.iterator] === s.values, s.keys === s.values, m[Symbol.iterator] === m.entries, m.keys.name, Object.keys(it), m.keys.length);
for (const x of s) console.log(x);
try { Map.prototype.keys.call({}) } catch (e) { console.log(e.name) }
try { new m.keys() } catch (e) { console.log(e.name) }
const o = { async a() { }, async *b() { }, *c() { }, d: async (x, y = 1) => { await 1; }, async ['x' + 1](q) { } , e: async x => x };
console.log(o); class Q { async m() {} static async s() { return super.toString() } } console.log(Q.prototype.m, Q.s, Q);
function outer() { return async () => arguments.length; } console.log(outer(1), outer);
const util = require('util'); console.log(util.types.isAsyncFunction(o.a), util.types.isAsyncFunction(o.c), util.types.isGeneratorFunction(o.b));
console.log({ ...'ab', ...`c` }, [...'xy']);
const c = new AbortController(); console.log(c, c.signal, String(c));
c.signal.onabort = (e) => console.log('on', e.type, e.target === c.signal);
c.signal.addEventListener('abort', function () { console.log('once', this.aborted); }, { once: true });
const any = AbortSignal.any([c.signal, AbortSignal.timeout(5)]); any.addEventListener('abort', () => console.log('any', any.reason.name));
c.abort(); c.abort(); console.log(c.signal.reason.name, c.signal.reason.message, c.signal.reason.code, c.signal.reason instanceof DOMException, c.signal.reason instanceof Error);
try { c.signal.throwIfAborted() } catch (e) { console.log(e === c.signal.reason, `${e}`) }
console.log(AbortSignal.abort('why').reason); try { new AbortSignal() } catch (e) { console.log(e.message) }
const t = AbortSignal.timeout(3); setTimeout(() => console.log(t.aborted, t.reason.name, t.reason.message), 10);
const et = new EventTarget(); et.addEventListener('x', (e) => { console.log(e.type, e.detail); e.preventDefault() }); console.log(et.dispatchEvent(new CustomEvent('x', { detail: 4, cancelable: true })), et.dispatchEvent(new Event('y')));
import('path').then((p) => console.log(typeof p.default, Object.prototype.toString.call(p)));
