"""dumps with options, loads with hooks, errors."""
import json
d = {"b": [1, 2.5, None, True, {"x": "é\n\"\u2028"}], "a": {}, "c": [], 1: "int key", None: 0, True: 1, "big": 10 ** 25, "f": 1e100, "t": (1, 2)}
print(json.dumps(d)); print(json.dumps(d["b"], ensure_ascii=False, indent=2)); print(json.dumps({"z": 1, "a": [1, {"q": 2}]}, sort_keys=True, indent="\t", separators=(",", ":")))
print(json.loads('{"a": [1, -0.5e3, "\\u00e9\\ud83d\\ude00", null, true], "a2": {}}'), json.loads(" 1 "), json.loads('"x"'), json.loads("[NaN, -Infinity]"), json.loads("1E400"), type(json.loads("1.0")).__name__)
print(json.loads('{"x": 1.1, "y": 2}', parse_float=str, parse_int=lambda s: s * 2), json.loads('{"a": {"b": 1}}', object_hook=lambda o: sorted(o.items())), json.loads('{"a":1,"a":2}', object_pairs_hook=list))
class E(json.JSONEncoder):
    def default(self, o): return sorted(o) if isinstance(o, set) else super().default(o)
print(json.dumps({"s": {3, 1, 2}}, cls=E), json.dumps(1j, default=str), json.dumps({"skip": 1, (1, 2): 3}, skipkeys=True), json.dumps([float("nan"), float("inf")]))
for s in ("", "{", "[1 2]", "{'a': 1}", "tru", '{"a"}', '"\x01"', "1 2", '"\\x"', "[", "nul"):
    try: print(json.loads(s))
    except json.JSONDecodeError as e: print(repr(s), e)
for o in ({1, 2}, b"x", {(1,): 2}, object):
    try: print(json.dumps(o))
    except TypeError as e: print(e)
a = []; a.append(a)
try: json.dumps(a)
except ValueError as e: print(e)
