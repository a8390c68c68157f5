// Array sort is stable, compares as strings by default and puts undefined last.
const people = [['Ann', 30], ['Bob', 25], ['Cid', 30], ['Dee', 25], ['Eve', 30], ['Fay', 25]].map(([name, age]) => ({ name, age }));
console.log(people.sort((a, b) => a.age - b.age).map((p) => p.name).join(' '));
console.log([10, 9, 1, 100, -1].sort(), [10, 9, 1, 100, -1].sort((a, b) => a - b), ['b', undefined, 'a', , 'c'].sort());
const big = Array.from({ length: 600 }, (_, i) => ({ key: (i * 7) % 10, at: i }));
big.sort((a, b) => a.key - b.key);
console.log(big.every((x, i) => i === 0 || big[i - 1].key < x.key || (big[i - 1].key === x.key && big[i - 1].at < x.at)));
console.log([3, 1, 2].toSorted(), [1, 2, 3].toReversed(), [1, 2, 3].with(1, 9), [1, 2, 3, 4].toSpliced(1, 2, 'x'));
console.log([true, false, null, 'nil', 0].sort(), [[2], [10], [1, 5]].sort(), ['é', 'e', 'f', 'E'].sort());
try { [1, 2].sort('x'); } catch (error) { console.log(error.name); }
