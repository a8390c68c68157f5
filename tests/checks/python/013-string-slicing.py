"""Slices with every sign of start, stop and step."""
s = "abcdefgh"
for sl in (slice(None, None, -1), slice(2, -2), slice(-3, None), slice(None, -9, -2), slice(10, 2, -3), slice(5, 1), slice(0, 100, 3), slice(-100, 3), slice(7, None, -7)):
    print(sl, s[sl], list(range(8))[sl], sl.indices(8))
try:
    s[::0]
except ValueError as e:
    print(e)
try:
    s[8]
except IndexError as e:
    print(e)
try:
    s[0] = "x"
except TypeError as e:
    print(e)
