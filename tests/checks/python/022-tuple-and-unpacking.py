"""Unpacking of every shape, swaps and starred targets."""
a, *b, c = range(5)
(d, e), [f, *g] = (1, 2), "xyz"
print(a, b, c, d, e, f, g)
a, b = b, a; print(a, b)
*h, = (1, 2); i, = [9]; print(h, i, (1,), (), 1, (1, 2) + (3,), (0,) * 3, (1, 2).index(2))
print(*[1, 2], *"ab", *{3: 4}, sep="-"); print({**{"a": 1}, "b": 2, **{"a": 3}}, [*range(3), *"x"], {*[1, 1]})
def f(*args, k=1, **kw): return args, k, sorted(kw.items())
print(f(*[1, 2], **{"k": 5, "z": 6}), f(*(), **{}), f(1, *[2], 3, x=1, **{"y": 2}))
x = [0, 1]; i = 0
i, x[i] = 1, 9
print(i, x)
for bad in ("a, b = 1", "a, b = [1]", "a, b, *c = [1]"):
    try:
        exec(bad)
    except (TypeError, ValueError) as e:
        print(type(e).__name__)
t = (1, [2]); 
try:
    t[1] += [3]
except TypeError as e:
    print(e, t)
