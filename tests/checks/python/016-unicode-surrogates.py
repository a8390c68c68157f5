"""Lone surrogates cannot be printed, but can be shown escaped."""
import sys
s = "x\ud800y"
print(len(s), ascii(s), s.encode("utf-8", "surrogatepass"), s.encode("utf-8", "backslashreplace"), [hex(ord(c)) for c in s])
try:
    print(s)
except UnicodeEncodeError as e:
    print(type(e).__name__, e.encoding, e.reason)
print(repr(s), [s], {"k": s})
sys.stdout.reconfigure(errors="backslashreplace")
print(s, "😀", "\udcff")
raw = b"abc\xff".decode("utf-8", "surrogateescape")
print(ascii(raw), raw.encode("utf-8", "surrogateescape"))
