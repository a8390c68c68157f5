"""Sets, printed sorted."""
a, b = set("abracadabra"), set("alacazam")
for name in ("union", "intersection", "difference", "symmetric_difference"):
    print(name, sorted(getattr(a, name)(b)))
print(a <= b, a & b <= a, a.isdisjoint("xyz"), {1, 2} == {2, 1}, {1} | {2} - {2}, len({1, 1.0, True}), frozenset([1]) == {1}, set(), frozenset(), {5})
a.discard("zz"); a.add("new"); a -= {"a"}; a ^= {"b", "q"}; a &= set("bcdrq") | {"new"}; print(sorted(a)); a.update("xy", [1]); print(len(a))
print({frozenset([1, 2]): "fs"}[frozenset([2, 1])], sorted({x % 3 for x in range(10)}), sorted(map(sorted, {frozenset("ab"), frozenset("ba"), frozenset("c")})))
try:
    a.remove("zz")
except KeyError as e:
    print("KeyError", e)
try:
    {[]}
except TypeError as e:
    print(type(e).__name__)
