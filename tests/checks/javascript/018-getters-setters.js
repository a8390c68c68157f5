// Accessors, defineProperty flags, freezing.
const temperature = {
  celsius: 25,
  get fahrenheit() { return this.celsius * 9 / 5 + 32; },
  set fahrenheit(f) { this.celsius = (f - 32) * 5 / 9; },
};
console.log(temperature.fahrenheit);
temperature.fahrenheit = 212;
console.log(temperature.celsius, temperature);
const o = {};
Object.defineProperty(o, 'fixed', { value: 1 });
o.fixed = 2;
console.log(o.fixed, Object.keys(o), o, JSON.stringify(o));
console.log(Object.getOwnPropertyDescriptors({ get g() { return 1; }, v: 2 }));
const frozen = Object.freeze({ a: 1, inner: { b: 2 } });
frozen.a = 9; frozen.inner.b = 3; delete frozen.a;
console.log(frozen, Object.isFrozen(frozen), Object.isSealed(frozen));
(function () {
  'use strict';
  try { frozen.a = 9; } catch (error) { console.log(error.name); }
  try { delete frozen.a; } catch (error) { console.log(error.name); }
  try { Object.preventExtensions({}).x = 1; } catch (error) { console.log(error.name); }
})();
