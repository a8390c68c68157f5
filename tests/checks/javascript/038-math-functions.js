// Exact results of Math and of integer operators.
console.log(Math.round(2.5), Math.round(-2.5), Math.round(-0.2), Math.round(0.49999999999999994), Math.trunc(-4.7), Math.floor(-4.7), Math.ceil(-4.7));
console.log(Math.sign(-3), Math.sign(-0), Math.abs(-7), Math.sqrt(144), Math.cbrt(27), Math.hypot(3, 4), Math.hypot());
console.log(Math.max(), Math.min(), Math.max(1, NaN), Math.max(-0, 0), Math.min(0, -0), Math.max('3', 2), Math.max([], 1), Math.max([1, 2], 1));
console.log(Math.fround(5.5), Math.fround(5.05), Math.imul(0xffffffff, 5), Math.clz32(1), Math.clz32(0), Math.log2(8), Math.log10(1000), 2 ** 10, 2 ** -1, (-2) ** 3, 2 ** 3 ** 2);
console.log(7 % 3, -7 % 3, 7 % -3, 5.5 % 2, -0 % 1, 5 % 0, 1 / 0, -1 / 0, 0 / 0, Infinity - Infinity);
console.log(5 & 3, 5 | 3, 5 ^ 3, ~5, 1 << 31, 1 << 32, -1 >>> 0, -1 >> 1, 2 ** 32 >> 0, 2 ** 31 | 0, 1.9 | 0, -1.9 | 0, NaN | 0, '7' & 3);
console.log(Math.sin(0), Math.cos(0), Math.atan2(0, -1).toFixed(6), Math.exp(1).toFixed(6), Math.log(10).toFixed(6), Math.PI.toFixed(4), Object.prototype.toString.call(Math));
