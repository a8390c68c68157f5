"""Reading and writing of quoted fields."""
import csv, io
text = 'name,qty,"note, long"\r\nAnn,3,"say ""hi"""\r\n"multi\nline",,x\r\n\r\n'
rows = list(csv.reader(io.StringIO(text, newline=""))); print(rows)
for d in csv.DictReader(io.StringIO("a;b\n1;2\n3;4;5\n6\n"), delimiter=";", restkey="more", restval="-"): print(d)
o = io.StringIO(); w = csv.writer(o); w.writerow(["x", 1, 2.5, None, 'q"t', "a,b", "n\nl", ""]); w.writerows([[1], ["a b"]]); print(repr(o.getvalue()))
o = io.StringIO(); w = csv.DictWriter(o, ["a", "b"], quoting=csv.QUOTE_ALL, lineterminator="\n"); w.writeheader(); w.writerow({"b": 1, "a": "é"}); print(o.getvalue())
try: w.writerow({"zz": 1})
except ValueError as e: print(type(e).__name__)
print(list(csv.reader(["a\tb", "c\t'd\te'"], dialect="excel-tab", quotechar="'")), csv.Sniffer().sniff("a;b\n1;2\n").delimiter)
