// Iteration methods with index, initial values, holes and early exit.
const a = [5, 12, 8, 130, 44];
console.log(a.find((x) => x > 10), a.findIndex((x) => x > 10), a.findLast((x) => x > 10), a.findLastIndex((x) => x > 200), a.filter((x, i) => i % 2), a.some((x) => x > 100), a.every((x) => x > 5));
console.log(a.reduce((s, x) => s + x), a.reduceRight((s, x) => s + '-' + x), [].every((x) => false), [].some((x) => true));
console.log([1, [2, [3, [4]]]].flat(), [1, [2, [3, [4]]]].flat(Infinity), [1, 2].flatMap((x) => [x, [x * 2]]), [[], [1], [[]]].flat());
const b = [1, 2, 3, 4, 5];
console.log(b.splice(1, 2, 'a', 'b', 'c'), b, b.splice(-1), b, b.slice(-2), b.slice(1, -1), b.concat([6, [7]], 8));
console.log(b.push('p', 'q'), b.pop(), b.shift(), b.unshift(0, 0.5), b, b.reverse() === b);
console.log([1, 2, 3].fill(0, 1), Array(3).fill().map((_, i) => i), [1, 2, 3, 4, 5].copyWithin(0, 3), [1, , 3].map((x) => x * 2), [NaN].includes(NaN), [NaN].indexOf(NaN));
console.log([1, 2, 3].join(), [null, undefined, [1, [2]]].join(';'), String([]), [] + {}, [1] + [2], [3] * [4], Array.of(7).length, Array(7).length);
console.log(Object.groupBy ? 'has groupBy' : 'no groupBy', [3, 4].entries().next().value, [...[3, 4].keys()], Array.isArray(new Array()), Array.from('abc', (c, i) => c + i), Array.from({ length: 2, 0: 'x' }));
const big = []; big[5] = 1; big.length = 3; console.log(big, big.length, 5 in big); 
try { big.length = -1; } catch (error) { console.log(error.name); }
