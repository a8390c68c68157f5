// this in methods, detached functions, arrows, bind, call, apply.
const o = { name: 'o', get() { return this?.name; }, arrow: () => typeof this, later() { return [1].map(() => this.name); }, inner() { return function () { return this === globalThis; }(); } };
console.log(o.get(), o.arrow(), o.later(), o.inner(), (0, o.get)() === undefined);
const { get } = o;
console.log(get.call({ name: 'called' }), get.apply({ name: 'applied' }, []), get.bind({ name: 'bound' }).call({ name: 'ignored' }));
function strict() { 'use strict'; return this; }
function sloppy() { return typeof this; }
console.log(strict() === undefined, strict.call(5), sloppy.call(5), strict.call(null), sloppy.call(null));
const add = (a, b, c) => [a, b, c].join();
console.log(add.bind(null, 1, 2)(3), add.bind(null, 1).length, (function f() {}).bind().name, add.name);
class Button { label = 'ok'; click = () => this.label; press() { return this?.label; } }
const { click, press } = new Button();
console.log(click(), press());
function Old() { if (!(this instanceof Old)) return new Old(); this.made = true; }
console.log(Old().made, new (function () { this.x = 1; return { y: 2 }; })(), new (function () { this.x = 1; return 5; })().x);
