"""A tour of str methods."""
s = "  The Quick brown fOX  "
print([s.strip(), s.lstrip(), s.rstrip(), s.lower(), s.swapcase(), s.title(), s.strip().capitalize(), s.casefold()])
t = "a,b,,c,"
print(t.split(","), t.rsplit(",", 2), t.split(",", 1), t.partition(","), t.rpartition(","), "no".partition(","), " a  b ".split(), "a b".split(None, 1), "".split(), "".split(","))
print("abc".center(9, "*"), "abc".ljust(6, "."), "abc".rjust(6), "-42".zfill(6), "x".zfill(3), "aXbX".replace("X", "--", 1), "abcabc".find("c", 3), "abc".rfind("z"), "aaa".count("aa"), "abc".index("b"))
print("line1\nline2\r\nline3\x0bline4".splitlines(), "a\nb\n".splitlines(True), "a\tb\tc".expandtabs(4), "-".join("abc"), "abc" * 2, "prefix-x".removeprefix("prefix-"), "x.py".removesuffix(".py"))
print("abc".startswith(("x", "ab")), "abc".endswith("bc", 1), "a1".isalnum(), "12".isdigit(), "½".isnumeric(), "²".isdigit(), "²".isdecimal(), "_a1".isidentifier(), " \t".isspace(), "Ab C".istitle(), "AB1".isupper(), "".isalpha())
print("hello".translate(str.maketrans("el", "ip", "o")), str.maketrans({"a": "1"}), "they're bill's".title(), "ß".upper(), "ŉ".upper(), "ǆ".title())
