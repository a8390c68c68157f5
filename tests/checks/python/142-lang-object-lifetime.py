"""Reference counts run __del__ at once; weak references; with cycles by gc."""
import gc, weakref
class O:
    def __init__(self, n): self.n = n
    def __del__(self): print("del", self.n)
a = O(1); b = a; del a; print("still"); b = None; print("gone")
def f(): o = O(2); return "returned"
print(f()); w = weakref.ref(x := O(3), lambda r: print("callback")); print(w().n); del x; print(w())
c, d = O(4), O(5); c.d, d.c = d, c; gc.disable(); del c, d; print("cycle"); n = gc.collect(); print(n > 0); l = [O(6)]; l.clear()
d = weakref.WeakValueDictionary(); k = O(7); d["k"] = k; print(list(d)); del k; print(list(d)); weakref.finalize(s := type("S", (), {})(), print, "finalized", 1); del s; e = O(8); print("end")
