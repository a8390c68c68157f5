"""f-strings, str.format, percent formatting and templates."""
import datetime, string
name, n, items = "Ada", 3, {"k": [10, 20]}
print(f"{name!r:>8}|{name:^9}|{name:.2}|{n:0{n + 2}}|{n * 2 = }|{items['k'][1]}|{{}}|{name!a}|{'nested ' + f'{n}'}|{n if n > 2 else 'small'}|{(lambda x: x + 1)(4)}")
print("{} {1} {0}".replace("{} ", "").format("a", "b"), "{0[k]} {0[k][0]} {n.real} {x:>{w}}".format(items, n=5, x="r", w=4), "{:{}<{}}|".format("v", "*", 5), "{!r}".format("q"))
print("%s %r %5.2f %-5d| %05d %x %o %e %% %c %+d %s" % ("s", "r", 3.14159, 42, 42, 255, 8, 12345.678, "c", 5, (1, 2)), "%(a)s-%(b)03d" % {"a": "x", "b": 7}, "%*d" % (6, 42), "%.3s" % "abcdef")
print(string.Template("$who likes ${what} $$5").substitute(who="tim", what="kung pao"), string.Template("$a $b").safe_substitute(a=1), f"{datetime.date(2024, 1, 5):%d.%m.%y}", f"{1e-7} {10 ** 20:,}")
for t, a in (("%d", ("x",)), ("%s %s", ("a",)), ("%s", ("a", "b")), ("%q", (1,))):
    try:
        print(t % a)
    except (TypeError, ValueError) as e:
        print(type(e).__name__, e)
for t in ("{}{}", "{0", "{a}", "{0.x}", "{:d}"):
    try:
        print(t.format("v"))
    except Exception as e:
        print(type(e).__name__)
