"""Exact decimals, contexts, rounding modes, signals."""
from decimal import *
print(Decimal("0.1") + Decimal("0.2"), Decimal(0.1), Decimal(1) / Decimal(7), Decimal("1.10") + 1, Decimal("1E+3"), Decimal("123.456e-10"), Decimal("-0"), Decimal("NaN"), -Decimal("Infinity"), repr(Decimal("1.20")), Decimal("1.20") == Decimal("1.2"), Decimal("3.0").normalize(), Decimal((1, (1, 2, 3), -2)))
for m in (ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_UP, ROUND_DOWN, ROUND_FLOOR, ROUND_CEILING, ROUND_05UP): print(m, [str(Decimal(x).quantize(Decimal("0.1"), m)) for x in ("1.25", "1.35", "-1.25", "1.21", "-1.29")])
with localcontext() as c: c.prec = 50; print(Decimal(2).sqrt(), Decimal(1).exp(), Decimal(10).ln(), Decimal(2) ** Decimal("0.5"))
print(Decimal(7) // 2, Decimal(-7) // 2, Decimal(-7) % 3, divmod(Decimal("7.5"), 2), Decimal("12345.678").as_tuple(), f"{Decimal('1234567.891'):,.2f} {Decimal('0.00001'):.1e} {Decimal('5'):08.3f} {Decimal('1E-9')}", int(Decimal("3.9")), round(Decimal("2.5")), round(Decimal("2.675"), 2), Decimal("1.5").as_integer_ratio(), max(Decimal(1), Decimal("1.5")), sum([Decimal("0.1")] * 10), Decimal("5").compare(6), Decimal("100").log10(), Decimal("1e5").to_eng_string(), Decimal("1234.5").adjusted(), hash(Decimal(2)) == hash(2), Decimal("2.50").to_integral_value())
for f in (lambda: Decimal("x"), lambda: Decimal(1) / 0, lambda: Decimal(0) / 0, lambda: Decimal(-1).sqrt(), lambda: Decimal(1) + 1.5, lambda: Decimal("1e999999") * 10 ** 99):
    try: print(f())
    except Exception as e: print(type(e).__name__)
getcontext().prec = 5; print(Decimal(1) / 3, Decimal("123456") + 1, Decimal("123456"), getcontext().flags[Inexact])
