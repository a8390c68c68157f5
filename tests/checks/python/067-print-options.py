"""sep, end, file, flush and the order of stdout and stderr."""
import io, sys
print(1, 2, 3, sep=", ", end="!\n"); print(); print("a", "b", sep=""); print("no end", end=""); print("\nnext")
print(*[], sep="x"); print("", end="|"); print(None, True, [1], {"a": (1,)}, sep="\n"); print("é", "日本", "😀")
f = io.StringIO(); print("to file", 1, file=f, flush=True); print(repr(f.getvalue()), file=sys.stdout); print("err", file=sys.stderr)
sys.stdout.write("raw\n"); sys.stdout.writelines(["a\n", "b\n"]); print(sys.stdout.write("xyz"), end="\n\n"); sys.stdout.flush(); sys.stdout.buffer.write(b"bytes\n"); sys.stdout.buffer.flush()
for bad in ({"sep": 1}, {"end": 2}, {"sep": b""}):
    try: print("x", **bad)
    except TypeError as e: print(e)
print("tab\tnl\\n", r"raw\n", "nul:\0:".replace("\0", "0"), "\x41\u00e9\N{BULLET}", "a" "b" 'c', """multi
line""", sep="|")
class L:
    def write(self, s): f.write(f"<{s}>")
print("x", "y", file=L()); print(f.getvalue())
