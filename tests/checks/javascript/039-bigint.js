// Arithmetic beyond 2 ** 53, conversions and mixed comparisons.
const f = (n) => (n <= 1n ? 1n : n * f(n - 1n));
console.log(f(30n), String(f(50n)), f(25n).toString(36));
console.log(7n / 2n, -7n / 2n, 7n % 3n, -7n % 3n, 2n ** 100n, -(3n ** 41n), 5n & 3n, 5n | 3n, 5n ^ -3n, ~5n, 1n << 70n, -(1n << 70n) >> 65n);
console.log(BigInt('0xff'), BigInt('  42 '), BigInt(2 ** 60), BigInt(true), BigInt(''), BigInt.asIntN(8, 255n), BigInt.asUintN(8, -1n), BigInt.asIntN(64, 2n ** 63n));
console.log(1n == 1, 1n === 1, 2n > 1, 1n < 1.5, 10n == '10', typeof 1n, 0n ? 't' : 'f', [3n, 1, 2n, 10].sort(), [3n, 1, 2n, 10].sort((a, b) => (a < b ? -1 : 1)));
for (const action of [() => 1n + 1, () => +1n, () => BigInt('x'), () => 1n / 0n, () => 2n ** -1n, () => 1n >>> 0n, () => JSON.stringify(1n), () => Math.max(1n)]) {
  try { console.log(action()); } catch (error) { console.log(error.name); }
}
let a = 0n, b = 1n;
for (let i = 0; i < 200; i++) [a, b] = [b, a + b];
console.log(a, Number(a), Number(2n ** 64n), parseInt('12345678901234567890n'));
