"""The message of an uncaught error comes from __str__, which may fail itself."""
class Bad(Exception):
    def __str__(self): raise ValueError("str failed")
class Empty(Exception): pass
class Unprintable(Exception):
    def __str__(self): return "é \u200b \n\ttabbed"
for e in (Empty(), Empty(1, "a"), Unprintable(1), KeyError("é"), OSError(13, "Denied"), UnicodeDecodeError("utf-8", b"ab", 0, 1, "why"), StopIteration(3), SyntaxError("msg", ("f.py", 3, 1, "text"))):
    print(type(e).__name__, str(e), repr(e), e.args)
try: str(Bad())
except ValueError as e: print(e)
raise Empty(1, "a")
