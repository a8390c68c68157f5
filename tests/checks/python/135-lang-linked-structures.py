"""A linked list, a binary tree and a trie with iterators."""
class Node:
    __slots__ = "v", "next"
    def __init__(self, v, n=None): self.v, self.next = v, n
class L:
    def __init__(self, it=()):
        self.head = None
        for x in reversed(list(it)): self.head = Node(x, self.head)
    def __iter__(self):
        n = self.head
        while n: yield n.v; n = n.next
    def reverse(self):
        p, c = None, self.head
        while c: c.next, p, c = p, c, c.next
        self.head = p; return self
    def __repr__(self): return f"L({list(self)})"
    def __eq__(self, o): return list(self) == list(o)
print(L("abc").reverse(), L([1]) == [1], len(list(L())), 2 in L([1, 2]), [*L(range(3))])
class T:
    def __init__(self, v): self.v, self.l, self.r = v, None, None
    def add(self, v):
        side = "l" if v < self.v else "r"; c = getattr(self, side)
        if c: c.add(v)
        else: setattr(self, side, T(v))
        return self
    def __iter__(self):
        if self.l: yield from self.l
        yield self.v
        if self.r: yield from self.r
    def depth(self): return 1 + max((c.depth() for c in (self.l, self.r) if c), default=0)
    def show(self, i=0): return (self.r.show(i + 1) if self.r else "") + "  " * i + f"{self.v}\n" + (self.l.show(i + 1) if self.l else "")
t = T(5)
for x in (2, 8, 1, 9, 3, 7): t.add(x)
print(list(t), t.depth(), t.show(), sep="\n", end="")
trie = {}
for w in ("car", "card", "care", "cat", "dog"):
    n = trie
    for c in w: n = n.setdefault(c, {})
    n["$"] = w
def find(n): return [w for k, v in sorted(n.items()) for w in ([v] if k == "$" else find(v))]
print(trie, find(trie["c"]["a"]["r"]))
