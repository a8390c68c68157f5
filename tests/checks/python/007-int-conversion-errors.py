"""What int, float and friends say about bad input."""
cases = [(int, "12a"), (int, ""), (int, "0x10"), (int, None), (int, "1 2"), (float, "1,5"), (float, "abc"), (int, [1]), (chr, -1), (ord, "ab"), (int, float("inf")), (int, float("nan")), (complex, "1+"), (bytes, [256]), (range, 1.5)]
for f, x in cases:
    try:
        print(f(x))
    except Exception as e:
        print(type(e).__name__, "|", e)
print(int("12", 3), int("٣"), int(True), int(3.99), int(-3.99), float("1e5"), bool("False"), bool([]), str(None), int(b"42"))
