"""Every kind of string literal."""
print('single', "double", '''triple
"quoted" 'inside\'''', """esc \\ \t| \x41 \101 \u00e9 \U0001F600 \N{EM DASH} \
joined""", r"raw \n \x", b"bytes \xff\n", rb"raw\b", "a" 'b' "c", u"u", f"{1!r}{'x':>3}", fr"{2}\d", "\a\b\f\v\r".encode().hex(), "", sep="|")
print(len("\0\\"), "'\"", '"', "\'", ["it's", 'say "x"', 'both \' "', "\n\t\\", "\x00\x7f\x80\xa0\u200b\u2028\ud800", "é日😀"], repr("\\"), ascii("é😀"), str(b"x"), repr(b"'"), ascii(["é"]))
print("%s" % "a\0b".replace("\0", "<nul>"), "x" "\n" "y".replace("\n", ""), "-" * 20, "=" * 0, "tab\tbed", "multi\\line", sep="\n")
print(0x_ff, 0b1_0, 0o17, 1_000.5e-1_0, 1e3, 0.5, 5., .5j, 00, 0xdead_beef)
