// Digits of pi and e with integers only.
function* pi() { let [q, r, t, k, n, l] = [1n, 0n, 1n, 1n, 3n, 3n]; for (;;) { if (4n * q + r - t < n * t) { yield n; [q, r, n] = [10n * q, 10n * (r - n * t), (10n * (3n * q + r)) / t - 10n * n]; } else [q, r, t, k, n, l] = [q * k, (2n * q + r) * l, t * l, k + 1n, (q * (7n * k) + 2n + r * l) / (t * l), l + 2n]; } }
let digits = ''; for (const d of pi()) { digits += d; if (digits.length === 100) break; } console.log(digits.match(/.{1,25}/g).join('\n'));
const scale = 10n ** 50n; let e = 0n, term = scale; for (let i = 1n; term > 0n; i++) { e += term; term /= i; } console.log(String(e).slice(0, 48));
const isqrt = (n) => { let x = n, y = (x + 1n) / 2n; while (y < x) [x, y] = [y, (y + n / y) / 2n]; return x; }; console.log(isqrt(2n * 10n ** 60n));
const modpow = (b, x, m) => { let r = 1n; for (b %= m; x > 0n; x >>= 1n) { if (x & 1n) r = r * b % m; b = b * b % m; } return r; }; console.log(modpow(3n, 10n ** 18n, 1000000007n), modpow(2n, 127n - 1n, 127n));
