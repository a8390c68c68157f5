"""Counting of words by Counter."""
import sys, re, collections
words = re.findall(r"[a-z']+", sys.stdin.read().lower())
c = collections.Counter(words)
for w, n in sorted(c.items(), key=lambda x: (-x[1], x[0]))[:6]: print(f"{w:<8}{n:>3} {'#' * n}")
print(sum(c.values()), len(c), c["absent"], (c - collections.Counter(the=3))["the"])
