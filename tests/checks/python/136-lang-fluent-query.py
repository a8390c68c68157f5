"""A chain of lazy operations over records."""
class Q:
    def __init__(self, it): self.it = it
    def where(self, **c): return Q(r for r in self.it if all(r[k] == v if not callable(v) else v(r[k]) for k, v in c.items()))
    def select(self, *ks): return Q({k: r[k] for k in ks} for r in self.it)
    def order(self, k, desc=False): return Q(iter(sorted(self.it, key=lambda r: r[k], reverse=desc)))
    def group(self, k):
        d = {}
        for r in self.it: d.setdefault(r[k], []).append(r)
        return d
    def __iter__(self): return iter(self.it)
rows = [dict(zip(("id", "name", "city", "age"), r)) for r in [(1, "Ann", "X", 30), (2, "Bob", "Y", 25), (3, "Cid", "X", 41), (4, "Dee", "Z", 25)]]
print(list(Q(rows).where(age=lambda a: a < 40).order("age").select("name", "age")), {k: [r["name"] for r in v] for k, v in Q(rows).group("city").items()}, [r["id"] for r in Q(rows).order("age", desc=True)])
try: list(Q(rows).select("zip"))
except KeyError as e: print("KeyError", e)
