// A sieve, trial factorisation and perfect numbers.
const limit = 20000;
const sieve = new Uint8Array(limit + 1).fill(1, 2);
for (let i = 2; i * i <= limit; i++) if (sieve[i]) for (let j = i * i; j <= limit; j += i) sieve[j] = 0;
const primes = [...sieve.keys()].filter((i) => sieve[i]);
console.log(primes.length, primes.slice(0, 12), primes.at(-1), primes.filter((p) => sieve[p + 2]).length);
const factor = (n) => { const f = []; for (const p of primes) { while (n % p === 0) { f.push(p); n /= p; } if (p * p > n) break; } if (n > 1) f.push(n); return f; };
for (const n of [1, 2, 97, 360, 9999, 1234567, 99990001]) console.log(n, factor(n).join(' x ') || 'unit');
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
console.log(gcd(1071, 462), [12, 18, 24].reduce(gcd), [4, 6, 10].reduce((a, b) => a / gcd(a, b) * b));
for (let n = 2; n < 500; n++) { let s = 1; for (let d = 2; d * d <= n; d++) if (n % d === 0) s += d === n / d ? d : d + n / d; if (s === n) console.log('perfect', n); }
