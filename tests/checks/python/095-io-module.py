"""In-memory files: seeking, truncation, lines, modes."""
import io
f = io.StringIO("one\ntwo\r\nthree"); print(f.read(2), f.tell(), f.readline(), list(f), f.read(), f.seek(0), f.readlines(4)); f.seek(0, 2); print(f.write("+end"), f.getvalue()[-8:], f.truncate(3), f.getvalue())
b = io.BytesIO(b"abc"); b.seek(1); b.write(b"XYZ"); print(b.getvalue(), b.getbuffer()[1], b.read(), b.seek(-2, 2), b.read1(1))
t = io.TextIOWrapper(io.BytesIO("é\r\nx\n".encode()), encoding="utf-8"); print(t.readlines(), t.encoding, t.newlines); w = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", newline="\r\n", write_through=True); w.write("é\n"); print(w.buffer.getvalue())
f.close()
for g in (f.read, lambda: io.StringIO(b"x"), lambda: io.BytesIO("x"), lambda: io.StringIO().seek(-1), lambda: b.fileno(), lambda: w.write("€")):
    try: g()
    except Exception as e: print(type(e).__name__)
