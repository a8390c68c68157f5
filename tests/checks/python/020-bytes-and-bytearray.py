"""Bytes, their methods, and mutable arrays of bytes."""
b = b"Hello\x00\xff\n'\""
print(b, b[0], b[1:4], list(b[:3]), b.hex(), b.hex(" "), b.hex("-", 2), bytes.fromhex("de ad"), b.upper(), bytes(3), bytes([1, 2]), bytes("é", "utf-8"))
a = bytearray(b"abc")
a[1] = 66; a += b"de"; a.append(33); a[0:1] = b"XY"; del a[-1]; a.extend([1, 2]); a.insert(0, 9)
print(a, a.pop(), a.find(b"B"), a.reverse(), a, bytes(a).split(b"B"), b"a,b".partition(b","), b"%s-%d" % (b"x", 5), b"ab" < b"b", b"a" in b"cab", 97 in b"a")
m = memoryview(bytearray(range(10)))
print(m[2:5].tolist(), m[::3].tobytes(), m.nbytes, m.readonly, m.cast("B").shape, m[::-1].tolist())
for f in (lambda: b"a" + "a", lambda: a.__setitem__(0, 256), lambda: b"abc".index(b"z"), lambda: bytes("a")):
    try:
        f()
    except Exception as e:
        print(type(e).__name__, e)
