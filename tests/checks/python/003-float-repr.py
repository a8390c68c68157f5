"""Shortest repr, special values and exact conversions."""
import math
for x in (0.1, 0.1 + 0.2, 1 / 3, 1e16, 1e15, 123456789.123456789, 1e-5, 0.0001, 5e-324, 1.7976931348623157e308, -0.0, 2.0 ** 70, 1e22, 1e23):
    print(repr(x), x.hex(), x.as_integer_ratio() if abs(x) < 1e30 and abs(x) > 1e-10 else "-")
print(float("inf"), -math.inf, float("nan"), math.nan == math.nan, float("1_0.5"), float(" -2.5e-3\n"), float.fromhex("0x1.8p1"))
print(1e308 * 10, 0.1 * 3, 4.35 * 100, 1.1 + 2.2, 3.0.is_integer(), 1e100 // 1 == 1e100, 7 / 2, 6 / 3)
