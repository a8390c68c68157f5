// Patterns with defaults, renaming, rest and nesting.
const { a, b: renamed, c = 3, ...others } = { a: 1, b: 2, d: 4, e: 5 };
console.log(a, renamed, c, others);
const [x, , y = 'default', ...tail] = [1, 2, undefined, 4, 5];
console.log(x, y, tail);
const { deep: { list: [, second], missing: { z = 'none' } = {} } } = { deep: { list: [1, 2] } };
console.log(second, z);
let p = 1, q = 2;
[p, q] = [q, p];
console.log(p, q);
const f = ({ name, age = 18 } = {}, [first] = ['?']) => `${name} ${age} ${first}`;
console.log(f(), f({ name: 'Bo' }), f({ name: 'Cy', age: null }, 'xyz'));
for (const [key, { v }] of Object.entries({ k: { v: 1 }, l: { v: 2 } })) console.log(key, v);
const order = [];
const { [(order.push('key'), 'm')]: m = (order.push('default'), 9) } = {};
console.log(order, m);
try { const { n } = null; } catch (error) { console.log(error.name); }
try { const [n] = {}; } catch (error) { console.log(error.name); }
