"""Names outside ASCII, and names that are normalised to the same."""
größe = 3
ﬁx = "ligature"
print(größe + 1, fix, "\N{GREEK SMALL LETTER ALPHA}", "日本" + "語", len("👨‍👩‍👧"), "e\u0301" == "é", "naïve"[2], [*"日本"])
def приветствие(имя): return f"Привет, {имя}!"
print(приветствие("мир"), приветствие.__name__, sorted("zäaöé"), max("aé"), "é" > "z", "ABC".isascii(), "é".isascii())
