"""Functions of math with exact or rounded results."""
import math
print(math.factorial(25), math.comb(50, 25), math.perm(10, 3), math.prod(range(1, 11)), math.sqrt(2), math.hypot(3, 4), math.dist((0, 0), (6, 8)))
print(math.copysign(3, -0.0), math.frexp(10.0), math.ldexp(0.5, 5), math.modf(-3.75), math.fmod(-7, 3), math.remainder(7, 4), math.isclose(0.1 + 0.2, 0.3), math.ulp(1.0), math.nextafter(1.0, 2.0))
print(f"{math.pi:.6f} {math.e:.6f} {math.sin(1):.9f} {math.log(10):.9f} {math.log2(8)} {math.exp(1):.9f} {math.atan2(1, -1):.9f} {math.degrees(math.pi)}")
for f, x in ((math.sqrt, -1.0), (math.log, 0.0), (math.factorial, -1), (math.exp, 1e4), (math.acos, 2.0)):
    try:
        print(f(x))
    except (ValueError, OverflowError) as e:
        print(f.__name__, type(e).__name__)
