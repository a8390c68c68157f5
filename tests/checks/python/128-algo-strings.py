"""Caesar, Vigenère, run lengths, Roman numerals, KMP, anagrams, Huffman."""
import collections, heapq, itertools, string
def caesar(s, k): return s.translate(str.maketrans(string.ascii_letters, "".join(a[k % 26:] + a[:k % 26] for a in (string.ascii_lowercase, string.ascii_uppercase))))
print(caesar("Hello, World!", 3), caesar(caesar("Hello, World!", 3), -3))
def rle(s): return "".join(f"{len(g) if len(g) > 1 else ''}{k}" for k, g in ((k, list(g)) for k, g in itertools.groupby(s)))
print(rle("aaabccddddd"), rle(""))
def roman(n): return "".join(s * ((n := n % p if p else n), 0)[1] if 0 else s * (n0 // v % p) for n0 in [n] for v, s, p in ()) or "".join(("M" * (n // 1000), ("", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM")[n // 100 % 10], ("", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC")[n // 10 % 10], ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")[n % 10]))
print([roman(n) for n in (1, 4, 9, 14, 40, 90, 400, 1994, 2024, 3999)])
def kmp(t, p):
    f, k = [0], 0
    for c in p[1:]:
        while k and p[k] != c: k = f[k - 1]
        k += p[k] == c; f.append(k)
    k = 0
    for i, c in enumerate(t):
        while k and p[k] != c: k = f[k - 1]
        k += p[k] == c
        if k == len(p): yield i - k + 1; k = f[k - 1]
print(list(kmp("abababcababab", "abab")), list(kmp("aaaa", "b")))
groups = collections.defaultdict(list)
for w in "eat tea tan ate nat bat".split(): groups["".join(sorted(w))].append(w)
print(dict(groups))
def huffman(s):
    h = [(n, i, c) for i, (c, n) in enumerate(sorted(collections.Counter(s).items()))]; heapq.heapify(h); k = len(h)
    while len(h) > 1: a, b = heapq.heappop(h), heapq.heappop(h); heapq.heappush(h, (a[0] + b[0], k, (a[2], b[2]))); k += 1
    codes = {}
    def walk(n, p): codes.update({n: p}) if isinstance(n, str) else (walk(n[0], p + "0"), walk(n[1], p + "1"))
    walk(h[0][2], ""); return codes
c = huffman("abracadabra"); print(sorted(c.items()), "".join(c[x] for x in "abracadabra"))
print([s for s in ("racecar", "A man, a plan, a canal: Panama", "no") if (t := [ch.lower() for ch in s if ch.isalnum()]) == t[::-1]])
