"""A seeded generator gives the same numbers everywhere."""
import random
r = random.Random(12345)
print(r.random(), r.randint(1, 6), r.randrange(0, 100, 7), r.choice("abc"), r.sample(range(100), 5), r.choices([1, 2, 3], k=6), r.choices("ab", weights=[9, 1], k=8), r.uniform(1, 2), r.getrandbits(70), r.randbytes(4).hex())
a = list(range(10)); r.shuffle(a); print(a); st = r.getstate(); x = r.random(); r.setstate(st); print(x == r.random())
random.seed("text"); print([random.randint(0, 9) for _ in range(10)]); random.seed(2.5); print(random.random(), random.seed(b"b"), random.random(), random.Random(0).triangular(0, 1) < 1)
print([round(r.gauss(0, 1), 9) for _ in range(3)], round(r.expovariate(1), 9), round(r.betavariate(1, 2), 9))
for f in (lambda: r.choice([]), lambda: r.sample([1], 2), lambda: r.randint(5, 1), lambda: r.sample({1, 2}, 1)):
    try: print(f())
    except Exception as e: print(type(e).__name__)
