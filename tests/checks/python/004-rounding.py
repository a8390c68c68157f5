"""Banker's rounding and rounding of integers to negative places."""
import math
print([round(x) for x in (0.5, 1.5, 2.5, -0.5, -1.5, 2.675, 1e15 + 0.5)])
print([round(x, 2) for x in (2.675, 1.005, 1.115, -2.345, 1e20, 0.125, 0.375)])
print(round(12345, -2), round(12355, -1), round(-15, -1), round(25, -1), round(5, -1), round(True), round(1.5, 0), type(round(1.5)), type(round(1.5, 0)))
print(math.floor(-2.5), math.ceil(-2.5), math.trunc(-2.5), int(-2.9), math.isqrt(10 ** 20 + 1), math.fsum([0.1] * 10), math.gcd(84, 36, 120), math.lcm(4, 6, 10))
