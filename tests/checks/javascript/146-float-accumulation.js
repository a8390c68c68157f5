// Rounding of sums, printed in full: shortest round-trip output.
let s = 0; for (let i = 0; i < 10; i++) s += 0.1; console.log(s, s === 1, s.toFixed(20));
let c = 0, k = 0; for (let i = 0; i < 1000; i++) { const y = 0.1 - c, t = k + y; c = t - k - y; k = t; } console.log(k);
for (const x of [1 / 3, 2 / 3, 1e23, 4.35, 0.1 + 0.7, 1.005 * 1000, 123456.789e3, 5e-7, 1.7e-10, 2 ** 70, 2 ** -30, 1e300 * 10, 9.999999999999999e22, 100000000000000000000, 1000000000000000000000, 0.000001234, 1.5e-7]) console.log(x, -x, x * 3, Math.sqrt(x), x === Number(String(x)));
let h = 0; for (let i = 1; i <= 1000; i++) h += 1 / i; console.log(h); let p = 1; for (let i = 0; i < 60; i++) p *= 1.1; console.log(p, 0.1 + 0.2 - 0.3, (0.1 + 0.2) * 10, 1 - 0.9, 3 * 1.1);
console.log(new Float32Array([0.1, 1 / 3, 16777217, 1e39, 1e-46]), Math.fround(0.1), 1e15 + 0.3, 1e16 + 0.5, 4503599627370496.5, -1e-7, 1e-6);
