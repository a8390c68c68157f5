"""Wrapping, dedent, indent, shorten; constants of string; Formatter."""
import string, textwrap
t = "The quick brown fox jumps over the lazy dog, and a-very-long-hyphenated-word follows supercalifragilistic."
for w in (10, 20, 35): print(*textwrap.wrap(t, w), sep="\n"); print("--")
print(textwrap.fill(t, 30, initial_indent="* ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
print(textwrap.dedent("""
    a
      b
    c""").strip(), textwrap.indent("x\n\ny\n", "> "), textwrap.shorten(t, 30, placeholder="..."), textwrap.wrap("", 5), textwrap.wrap("a  b\tc\nd", 4), sep="\n")
print(string.ascii_lowercase, string.digits, string.punctuation, repr(string.whitespace), string.hexdigits, string.capwords("hello  big world"))
class F(string.Formatter):
    def get_value(self, k, a, kw): return kw.get(k, f"<{k}>") if isinstance(k, str) else a[k]
print(F().format("{a} {b} {0}", "pos", a=1), list(string.Formatter().parse("x{a!r:>{w}}y")))
