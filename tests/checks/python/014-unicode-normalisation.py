"""Normal forms, casefolding and names."""
import unicodedata as u
for s in ("é", "e\u0301", "ﬁ", "Å", "Ω", "①", "한글", "½"):
    print(ascii(s), *(f"{f}:{ascii(u.normalize(f, s))}" for f in ("NFC", "NFD", "NFKC", "NFKD")))
print("Straße".casefold() == "STRASSE".casefold(), "İ".lower() == "i̇", "ΣΑΣ".lower(), "ǅ".lower(), "ﬀ".upper())
print([(u.name(c), u.category(c), u.combining(c)) for c in "aß\u0301€😀٣"], u.numeric("½"), u.digit("٣"), u.lookup("SNOWMAN"), u.bidirectional("א"), u.name("\x00", "none"))
