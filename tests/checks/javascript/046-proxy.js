// Traps for reading, writing, calling and listing.
const log = [];
const target = { a: 1, _secret: 2 };
const p = new Proxy(target, {
  get(t, key, receiver) { log.push(`get ${String(key)}`); return key in t ? Reflect.get(t, key, receiver) : `no ${String(key)}`; },
  set(t, key, value) { log.push(`set ${key}`); if (typeof value !== 'number') return false; t[key] = value; return true; },
  has(t, key) { return !key.startsWith('_') && key in t; },
  deleteProperty(t, key) { log.push(`delete ${key}`); return delete t[key]; },
  ownKeys(t) { return Reflect.ownKeys(t).filter((k) => !k.startsWith('_')); },
});
console.log(p.a, p.missing, 'a' in p, '_secret' in p, Object.keys(p), { ...p });
p.b = 5; p.b = 'text'; delete p.b;
console.log(target, log);
(() => { 'use strict'; try { p.c = 'text'; } catch (error) { console.log(error.name); } })();
const f = new Proxy(function (a, b) { return a + b; }, { apply: (fn, self, args) => fn(...args) * 10, construct: (fn, args) => ({ made: args }) });
console.log(f(1, 2), new f(3, 4), typeof f, f.call(null, 2, 3));
const negative = new Proxy([1, 2, 3], { get: (t, k, r) => Reflect.get(t, typeof k === 'string' && /^-\d+$/.test(k) ? String(t.length + Number(k)) : k, r) });
console.log(negative[-1], negative.length, negative.map((x) => x * 2), Array.isArray(negative));
const { proxy, revoke } = Proxy.revocable({}, {}); revoke();
try { proxy.x; } catch (error) { console.log(error.name); }
try { Object.keys(new Proxy(Object.freeze({ a: 1 }), { ownKeys: () => [] })); } catch (error) { console.log(error.name); }
