"""Iteration over sys.stdin, with and without line ends."""
import sys
first = sys.stdin.readline(); print(repr(first))
for n, line in enumerate(sys.stdin, 2): print(n, repr(line), len(line.split()))
print(repr(sys.stdin.read()), repr(sys.stdin.readline()))
