"""Sieve, Miller-Rabin, factorisation, Goldbach."""
def sieve(n):
    s = bytearray([1]) * (n + 1); s[:2] = b"\0\0"
    for i in range(2, int(n ** .5) + 1):
        if s[i]: s[i * i::i] = bytes(len(range(i * i, n + 1, i)))
    return [i for i, p in enumerate(s) if p]
p = sieve(10000); print(len(p), p[:10], p[-1], sum(p))
def is_prime(n):
    if n < 2: return False
    for q in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        if n % q == 0: return n == q
    d, s = n - 1, 0
    while d % 2 == 0: d //= 2; s += 1
    for a in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        x = pow(a, d, n)
        if x in (1, n - 1): continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1: break
        else: return False
    return True
print([n for n in range(100) if is_prime(n)] == sieve(99), is_prime(2 ** 61 - 1), is_prime(2 ** 67 - 1), is_prime(10 ** 18 + 9))
def factor(n):
    f = {}
    for q in p:
        while n % q == 0: f[q] = f.get(q, 0) + 1; n //= q
    if n > 1: f[n] = 1
    return f
for n in (1, 360, 9999991, 2 ** 20 * 81, 99990001): print(n, " * ".join(f"{q}^{k}" if k > 1 else str(q) for q, k in factor(n).items()) or 1)
s = set(p); print([(n, next(q for q in p if n - q in s)) for n in (10, 100, 1000, 9998)])
