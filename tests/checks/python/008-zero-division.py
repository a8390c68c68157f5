"""Division by zero of every kind, by type of the error."""
from decimal import Decimal
from fractions import Fraction
for f in (lambda: 1 // 0, lambda: 1 % 0, lambda: 1 / 0, lambda: 1.0 / 0, lambda: divmod(1, 0), lambda: 0 ** -1, lambda: Fraction(1, 0), lambda: Decimal(1) / 0, lambda: 1j / 0, lambda: pow(2, 3, 0)):
    try:
        print(f())
    except Exception as e:
        print(type(e).__name__, isinstance(e, ArithmeticError), isinstance(e, ZeroDivisionError))
