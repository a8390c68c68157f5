"""Dicts keep insertion order; views, merging and errors."""
d = {"b": 1, "a": 2}
d["c"] = 3; d["b"] = 9; del d["a"]; d["a"] = 0
print(d, list(d), list(d.items()), list(reversed(d)), d.pop("c"), d.pop("zz", None), d.setdefault("n", []), d.setdefault("b", 5), d.get("q"), d.get("q", 7), d.popitem(), d)
print(d | {"b": 0, "z": 1}, dict(a=1, **{"x y": 2}), dict([("k", "v")]), dict.fromkeys("abc", 0), {1: "int", 1.0: "float", True: "bool"}, {k: v for k, v in zip("ab", (1, 2))})
d.update({"u": 1}, v=2); print(d, "u" in d, d.keys() & {"u", "b"} == {"u", "b"}, sorted(d.keys() - {"u"}), d == dict(reversed(d.items())), {**d}.clear())
view = d.keys(); d["late"] = 1; print(len(view), list(view)[-1], list(d.values()))
for f in (lambda: d["missing"], lambda: {}.popitem(), lambda: d.pop("no"), lambda: dict([1])):
    try:
        f()
    except Exception as e:
        print(type(e).__name__, e)
try:
    for k in d:
        d[k + "x"] = 1
except RuntimeError as e:
    print(e)
