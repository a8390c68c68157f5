"""Groups, named groups, flags, lookaround, substitution, splitting."""
import re
m = re.search(r"(?P<y>\d{4})-(?P<m>\d\d)(-(\d\d))?", "on 2024-03 or 2025-01-02")
print(m, m.group(), m.groups(), m.groupdict(), m.span("m"), m.start(), m.lastgroup, m["y"], m.expand(r"\2/\g<y>"))
print(re.findall(r"\b\w", "the quick fox"), re.findall(r"(a)(b)?", "abaa"), [x.span() for x in re.finditer(r"\d+", "a1b22c333")], re.split(r"([,;])\s*", "a, b;c"), re.split(r"x*", "axbc"), re.split(r"\W", "a b-c", maxsplit=1))
print(re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world again now"), re.sub(r"\d", lambda m: str(int(m[0]) * 2), "a1b5"), re.subn("a", "b", "banana", count=2), re.sub(r"(?<!\d)(\d{2})(?!\d)", r"<\1>", "12 345 67"), re.sub("", "-", "abc"))
print(re.fullmatch(r"[a-f]+", "abcg"), re.match(r"(?i)ABC", "abcd"), re.findall(r"^\w", "a\nb", re.M), re.search(r"a.b", "a\nb", re.S) is not None, re.findall(r"(?x) a \s b # comment", "a b"), re.findall(r"(?s:.)$", "x\n"), re.findall(r"\w+", "naïve café", re.A))
print(re.findall(r"<(.+?)>", "<a><b>"), re.findall(r"<(.+)>", "<a><b>"), re.match(r"(a|ab)(c|bcd)(d*)", "abcd").groups(), re.search(r"(\w)\1", "hello")[0], re.match(r"(?:(a)|b)*", "ab").groups(), re.escape("a.b*c"), re.findall(r"(?=(\w\w))", "abcd"), re.match(r"(?>a+)b", "aaab"), re.match(r"a{2,3}?", "aaaa")[0])
for p in ("(", "[a", "*a", "a{2,1}", r"(?P<1>x)", r"\1", "(?<=a+)b", "(?P<a>x)(?P<a>y)", "[b-a]", r"\q"):
    try: re.compile(p); print(p, "fine")
    except re.error as e: print(p, "->", e)
c = re.compile(r"\s*(?:(\d+)|(.))"); print([(t.lastindex, t[t.lastindex]) for t in c.finditer("12 + (3*45)")], c.groups, c.pattern, bool(c.match("")), re.findall(rb"\d", b"1a2"))
