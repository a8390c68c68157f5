// Spread in calls, arrays and objects; rest parameters.
const sum = (...numbers) => numbers.reduce((s, n) => s + n, 0);
console.log(sum(...[1, 2], 3, ...new Set([4, 4, 5])));
console.log([...'héllo😀'], [...[, 1]]);
console.log({ ...{ a: 1, b: 2 }, b: 3, ...null, ...[7, 8], ...'hi' });
console.log(Math.max(...[3, 9, 2]), Math.max(), Math.min());
console.log(sum.length, ((a, b = 1, ...c) => 0).length, ((a, b) => 0).length);
const source = { get live() { return 42; } };
const copy = { ...source };
console.log(Object.getOwnPropertyDescriptor(copy, 'live'));
function collect(first, ...rest) { return [first, rest, arguments.length]; }
console.log(collect(), collect(1), collect(1, 2, 3));
