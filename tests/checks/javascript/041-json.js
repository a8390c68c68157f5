// stringify with replacers, toJSON and indentation; parse with a reviver.
console.log(JSON.stringify({ a: [1, null, undefined, () => 1, Symbol('x'), NaN, -0], b: undefined, c: () => 1, d: new Date(0), e: 'q"\\\n\u2028\u0007' }));
console.log(JSON.stringify({ b: 1, a: { c: [1, { d: [] }], e: {} } }, null, 2));
console.log(JSON.stringify([1, [2]], null, '--'), JSON.stringify({ a: 1 }, null, 20).length);
console.log(JSON.stringify({ a: 1, b: { a: 2, c: 3 } }, ['a']), JSON.stringify({ a: 1, b: 'x' }, (k, v) => (typeof v === 'number' ? v * 2 : v)));
console.log(JSON.stringify({ toJSON(key) { return 'custom' + key; } }), JSON.stringify({ k: { toJSON: (key) => key } }), JSON.stringify(undefined), JSON.stringify(null), JSON.stringify('x'), JSON.stringify(new Map([[1, 2]])), JSON.stringify([new Set([1])]));
console.log(JSON.stringify([new Number(1), new String('s'), new Boolean(false), Object.create({ up: 1 })]), JSON.stringify({ [Symbol('s')]: 1, 2: 'two', 1: 'one', x: 'x' }));
console.log(JSON.parse('{"a":[1,2,{"b":null}],"__proto__":5}'), JSON.parse(' [1e3, -0.5, "\\u0041\\n", true] '), JSON.parse('"x"'), JSON.parse('{"a":1,"a":2}'));
console.log(JSON.parse('{"a":1,"b":{"c":2,"drop":3}}', function (key, value) { return key === 'drop' ? undefined : typeof value === 'number' ? value + 1 : value; }));
for (const bad of ['', '{', '[1,]', "{'a':1}", '01', '+1', '.5', 'undefined', '"\n"', '[1] x', 'NaN']) {
  try { console.log(JSON.parse(bad)); } catch (error) { console.log(JSON.stringify(bad), error.name); }
}
const loop = {}; loop.loop = loop;
try { JSON.stringify(loop); } catch (error) { console.log(error.name); }
