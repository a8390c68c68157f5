// Permutations, combinations, subsets and cartesian products by generators.
function* perms(a) { if (a.length < 2) { yield a; return; } for (let i = 0; i < a.length; i++) for (const p of perms([...a.slice(0, i), ...a.slice(i + 1)])) yield [a[i], ...p]; }
function* combos(a, k, s = 0) { if (k === 0) { yield []; return; } for (let i = s; i <= a.length - k; i++) for (const c of combos(a, k - 1, i + 1)) yield [a[i], ...c]; }
const subsets = (a) => a.reduce((s, x) => [...s, ...s.map((t) => [...t, x])], [[]]);
const product = (...sets) => sets.reduce((acc, s) => acc.flatMap((p) => s.map((x) => [...p, x])), [[]]);
console.log([...perms([1, 2, 3])].map((p) => p.join('')).join(' '), [...perms('abcdef'.split(''))].length);
console.log([...combos([1, 2, 3, 4], 2)], subsets(['a', 'b', 'c']), product([0, 1], ['x', 'y'], ['!']));
