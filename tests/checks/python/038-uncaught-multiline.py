"""A message of several lines."""
class E(Exception): pass
def deep(n):
    if n: deep(n - 1)
    else: raise E("first line\nsecond line")
deep(3)
