"""Very long numbers in text are refused, other bases are not."""
import sys
print(len(str(10 ** 4000)), len(hex(1 << 40000)), sys.get_int_max_str_digits())
for f in (lambda: str(10 ** 5000), lambda: int("1" * 5000), lambda: f"{10 ** 4300}"):
    try: print(len(str(f())))
    except ValueError as e: print(type(e).__name__, "Exceeds the limit" in str(e))
sys.set_int_max_str_digits(0); print(len(str(10 ** 5000)), int("7" * 5000) % 1000)
