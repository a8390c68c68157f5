// Property lookup through three levels with shadowing and deletion.
const a = { x: 'a', get y() { return `y of ${this.x}`; }, f() { return 'f' + this.x; } };
const b = Object.create(a, { x: { value: 'b', writable: true, configurable: true, enumerable: true } });
const c = Object.create(b); c.x = 'c';
console.log(a.y, b.y, c.y, c.f()); delete c.x; console.log(c.y); delete b.x; console.log(c.y, Object.keys(c));
const keys = []; c.own = 1; for (const k in c) keys.push(k); console.log(keys, 'y' in c, Object.hasOwn(c, 'y'));
const d = { __proto__: { inherited: true }, ['__proto__']: 'own', m() { return super.inherited; } }; console.log(d.m(), Object.keys(d), d);
console.log(Object.getOwnPropertyNames(class { static s() {} static t = 1; }), Object.getOwnPropertyNames(function f(a, b) {}).sort(), Object.getOwnPropertyNames('ab'));
a.f = function () { return 'replaced'; }; console.log(c.f(), a.propertyIsEnumerable('y'), Object.entries(a).length);
