// Set algebra by hand, order kept; deletion and addition during iteration.
const union = (a, b) => new Set([...a, ...b]), inter = (a, b) => new Set([...a].filter((x) => b.has(x))), diff = (a, b) => new Set([...a].filter((x) => !b.has(x)));
const a = new Set([3, 1, 2]), b = new Set([2, 4, 3]);
console.log(union(a, b), inter(a, b), diff(a, b), union(diff(a, b), diff(b, a)), [...a].every((x) => union(a, b).has(x)));
const s = new Set([1]); for (const x of s) { if (x < 5) s.add(x + 1); if (x % 2 === 0) s.delete(x); } console.log(s);
s.forEach((v, k, set) => { if (v !== k || set !== s) console.log('bad'); }); s.clear(); console.log(s.size, s);
console.log(new Set([NaN, NaN, 0, -0, '0', null, undefined, null]), new Set('hello'), new Set(new Map([[1, 2]])), [...new Set([[1], [1]])].length);
