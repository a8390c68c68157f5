// Insertion order, key equality, deletion while iterating.
const m = new Map([[NaN, 'nan'], [0, 'zero'], ['0', 'text'], [null, 'null']]);
console.log(m.get(NaN), m.get(-0), m.get('0'), m.get(undefined), m.size, m.has(null), m.delete(0), m.set('k', 1).size);
for (const [k] of m) { if (k === '0') m.delete('0'); if (m.size < 6) m.set('added' + m.size, true); }
console.log([...m.keys()]);
m.forEach((value, key, map) => { if (map !== m) console.log('bad'); });
const s = new Set([3, 1, 3, 2, 1]);
console.log([...s], s.add(0).has(0), [...s].sort(), s.delete(9), [...s.entries()][0], Math.max(...s));
const a = new Set([1, 2, 3]), b = new Set([2, 3, 4]);
console.log([...a].filter((x) => b.has(x)), [...new Set([...a, ...b])], [...a].filter((x) => !b.has(x)));
const key = {}, w = new WeakMap([[key, 'v']]);
console.log(w.get(key), w.has({}), w.delete(key), w.has(key), new WeakRef(key).deref() === key);
try { w.set('primitive', 1); } catch (error) { console.log(error.name); }
const counts = [...'mississippi'].reduce((c, ch) => c.set(ch, (c.get(ch) ?? 0) + 1), new Map());
console.log(counts, Object.fromEntries(counts), new Map([...counts].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1))));
