"""Exact fractions."""
from fractions import Fraction as F
print(F(1, 3) + F(1, 6), F("0.125"), F(0.5), F("3/-6") if False else F("-3/6"), F(7, -21), F(1, 3) ** 2, F(2) ** -3, F(9, 4) ** F(1, 2), F(7, 2) // 1, F(-7, 2) % 2, divmod(F(7, 2), F(2, 3)), float(F(1, 3)), F(22, 7).limit_denominator(5), F(3.14159).limit_denominator(1000), repr(F(2, 4)), F(1, 2) == 0.5, F(1, 3) < 0.34, round(F(5, 2)), round(F(22, 7), 2), int(F(-7, 2)), abs(F(-1, 2)), F(1, 2) + 0.5, F(1, 2) + 1, sum(F(1, n) for n in range(1, 11)), F(6, 3).denominator, hash(F(4, 2)) == hash(2), sorted([F(1, 2), F(1, 3), 0.4]))
for s in ("1/0", "x", "1/2/3"):
    try: print(F(s))
    except Exception as e: print(type(e).__name__, e)
