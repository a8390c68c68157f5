"""Masks, shifts and bit counting on negative numbers too."""
for x in (0, 1, 5, -1, -6, 255, -256):
    print(x, x & 0xF, x | 8, x ^ 3, ~x, x << 3, x >> 1, x.bit_length(), x.bit_count(), format(x, "08b"), f"{x & 0xFF:02x}")
print([i for i in range(16) if i & (i - 1) == 0], True & 6, True ^ True, ~True + 2 if False else 0)
def gray(n): return n ^ n >> 1
print([format(gray(i), "03b") for i in range(8)])
