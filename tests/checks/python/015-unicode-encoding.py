"""Encodings and their error handlers."""
s = "aé€😀"
for enc in ("utf-8", "utf-16-le", "utf-16", "utf-32-be", "latin-1", "ascii", "cp1252"):
    for errors in ("strict", "replace", "ignore", "backslashreplace", "xmlcharrefreplace", "namereplace"):
        try:
            print(enc, errors, s.encode(enc, errors))
        except UnicodeEncodeError as e:
            print(enc, errors, e.start, e.end, e.reason, "|", e)
for b in (b"\xff\xfeabc", b"caf\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"ok"):
    for errors in ("strict", "replace", "ignore", "backslashreplace", "surrogateescape"):
        try:
            print(b, errors, ascii(b.decode("utf-8", errors)))
        except UnicodeDecodeError as e:
            print(b, errors, e)
