"""Arithmetic far beyond 64 bits."""
a, b = 2 ** 200 + 7, 3 ** 100
print(a, b, a * b, a // b, a % b, divmod(-a, b), -a // b, -a % b, sep="\n")
print(a.bit_length(), (a ^ b) & 0xFFFF, ~a, a >> 150, -a >> 150, pow(3, 10 ** 20, 10 ** 9 + 7), pow(17, -1, 3120))
print(int("z" * 10, 36), int("-0b101", 0), int("  12_345 "), hex(-255), oct(8), bin(10), int.from_bytes(b"\x01\x00", "big"))
print((258).to_bytes(2, "little"), (-2).to_bytes(2, "big", signed=True), (10 ** 30).bit_count(), float(10 ** 22), 10 ** 22 == 1e22)
