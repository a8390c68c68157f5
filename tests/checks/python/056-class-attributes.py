"""Class and instance attributes, dynamic access, deletion, __getattr__."""
class T:
    shared = []; n = 0
    def __init__(self, x): self.x = x; T.n += 1
    def __getattr__(self, name):
        if name.startswith("dyn_"): return name[4:] * 2
        raise AttributeError(f"no {name} here")
    def __setattr__(self, k, v):
        if k == "locked": raise AttributeError("locked")
        object.__setattr__(self, k, v)
    def __delattr__(self, k): print("deleting", k); object.__delattr__(self, k)
a, b = T(1), T(2)
a.shared.append(1); b.shared += [2]; a.n = 10
print(T.shared, b.__dict__, T.n, a.n, b.n, a.dyn_ab, hasattr(a, "nope"), getattr(a, "q", "default"))
del a.n; print(a.n)
for f in (lambda: a.zz, lambda: setattr(a, "locked", 1), lambda: delattr(a, "zz"), lambda: T.nothing, lambda: (1).x):
    try: f()
    except AttributeError as e: print(e)
setattr(T, "late", lambda self: self.x * 3); print(b.late(), callable(a.late), isinstance(a, T), [k for k in dir(b) if not k.startswith("_")])
