"""The format mini-language for numbers."""
for spec in ("d", "5d", "<5d", "^7d", "=+6d", "05d", "+d", " d", ",d", "_d", "x", "#x", "#010x", "b", "_b", "o", "c", "e", ".2f", "g", "%", "n", "*^12,d", "X"):
    print(f"{spec:>8} |{format(1234, spec)}|{format(-65, spec) if spec != 'c' else '-'}|")
for spec in ("", ".3", ".3f", "10.2f", "<10.1f", "+.1e", ".0f", ".3g", "g", "%", ".1%", ",.2f", "_.3f", "#.0f", "=+10.2f", "0=8.1f", "E", "G", "z.1f"):
    print(f"{spec:>8} |{format(1234.5678, spec)}|{format(-0.04, spec)}|{format(1e20, spec)}|{format(float('nan'), spec)}|{format(float('-inf'), spec)}|")
for v, spec in ((3, "s"), ("x", "d"), (1.5, "x"), ("x", "=5"), (1, ",x"), (1, "zz"), ([], "5"), (None, ">8")):
    try:
        print(repr(format(v, spec)))
    except (ValueError, TypeError) as e:
        print(type(e).__name__)
