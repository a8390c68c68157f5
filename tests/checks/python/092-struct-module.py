"""Packing of numbers into bytes."""
import struct
print(struct.pack("<iHb", -2, 65535, -1), struct.pack(">d", 1.5).hex(), struct.unpack("<f", b"\x00\x00\x80?"), struct.calcsize("<bihq"), struct.pack("5s", b"ab"), struct.pack("!3H", 1, 2, 3), list(struct.iter_unpack("<H", b"\x01\x00\x02\x00")), struct.unpack_from(">I", b"xx\x00\x00\x01\x00", 2), struct.pack("<?ex", True, 0.5), struct.Struct("<2h").unpack(b"\xff\xff\x01\x00"), struct.pack("p", b"abc"))
b = bytearray(6); struct.pack_into("<H", b, 2, 513); print(b)
for f in (lambda: struct.pack("<B", 256), lambda: struct.unpack("<I", b"abc"), lambda: struct.pack("<i", "x"), lambda: struct.pack("Z", 1)):
    try: f()
    except struct.error as e: print(type(e).__name__)
