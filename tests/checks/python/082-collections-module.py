"""Counter, defaultdict, OrderedDict, deque, namedtuple, ChainMap."""
from collections import *
c = Counter("mississippi"); print(c, c.most_common(2), c + Counter("miss"), c - Counter("iii"), c & Counter("pss"), c | Counter("zz"), sorted(c.elements())[:3], c.total(), +Counter(a=-1, b=2)); c.subtract("ss"); print(c["s"], dict(c))
d = defaultdict(list); d["a"].append(1); d["b"]; print(d, "c" in d, d.get("c"), defaultdict(int, x=1) == {"x": 1})
o = OrderedDict(a=1, b=2, c=3); o.move_to_end("a"); o.move_to_end("c", last=False); print(list(o.items()), o.popitem(last=False), list(reversed(o)), OrderedDict(a=1, b=2) == OrderedDict(b=2, a=1))
q = deque([1, 2, 3], maxlen=4); q.append(4); q.append(5); q.appendleft(0); q.rotate(1); print(q, q.pop(), q.popleft(), q.maxlen, q.count(3), list(reversed(q)), q.index(2)); q.extendleft("ab"); print(q, deque("abc")[1])
P = namedtuple("P", "x y z", defaults=[9]); p = P(1, 2); print(p, p._replace(y=5), p._asdict(), P._fields, P._make("abc"), p.x + p[1], p == (1, 2, 9), P(*p) < P(2, 0), P._field_defaults)
m = ChainMap({"a": 1}, {"a": 2, "b": 3}); m["n"] = 5; print(m["a"], m["b"], dict(m) == {"a": 1, "b": 3, "n": 5}, m.maps, m.new_child({"a": 0})["a"], m.parents)
for f in (lambda: deque().pop(), lambda: P(1), lambda: p.w, lambda: m["zz"], lambda: deque([1], 1).insert(0, 2), lambda: namedtuple("B", "class")):
    try: print(f())
    except Exception as e: print(type(e).__name__)
class U(UserDict):
    def __setitem__(self, k, v): super().__setitem__(k.upper(), v)
print(U(a=1), UserList([1, 2])[::-1], UserString("ab").upper())
