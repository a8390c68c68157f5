"""Pickling of data and instances."""
import pickle
class P:
    def __init__(self, x): self.x = x; self.cache = "big"
    def __getstate__(self): return {"x": self.x}
    def __setstate__(self, s): self.__dict__.update(s, cache="rebuilt")
    def __eq__(self, o): return self.x == o.x
a = {"l": [1, 2.5, None], "t": (1, "é"), "s": frozenset([1]), "b": b"x", "n": 10 ** 30, "c": 1j, "p": P(5)}
for proto in range(6):
    b = pickle.loads(pickle.dumps(a, proto)); print(proto, b == a, b["p"].cache)
s = [1]; x = pickle.loads(pickle.dumps([s, s])); print(x[0] is x[1])
for o in (lambda: 1, (i for i in "a")):
    try: pickle.dumps(o)
    except Exception as e: print(type(e).__name__ in ("PicklingError", "AttributeError", "TypeError"))
for b in (b"", b"garbage"):
    try: pickle.loads(b)
    except Exception as e: print(type(e).__name__)
