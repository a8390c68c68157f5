"""Wide and nested data in a fixed width."""
import pprint
d = {"name": "x" * 30, "list": list(range(30)), "nested": {"b": [1, 2, {"c": "d" * 40}], "a": ("t", "u" * 50)}, "k": None}
pprint.pprint(d); pprint.pprint(d, width=40, indent=2); pprint.pprint(d, sort_dicts=False, compact=True); pprint.pprint(d, depth=1)
print(pprint.pformat([[1, 2], [3, [4, [5]]]], width=10), pprint.pformat("word " * 30, width=40), pprint.isreadable(d), pprint.saferepr({2: 1, 1: 2})); pprint.pprint({"z": 1, "a": 2}); pprint.pprint([{"id": i, "tags": ["t"] * i} for i in range(4)])
