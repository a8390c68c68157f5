"""Lists: slices as targets, methods, copies and aliases."""
a = list(range(6))
a[1:3] = "xyz"; print(a)
a[::2] = [0] * len(a[::2]); print(a)
del a[1::2]; print(a)
a[len(a):] = [7, 8]; a[:0] = [-1]; print(a, a.index(7), a.count(0), a.pop(1), a.pop(), a)
b = a; c = a[:]; b.append("alias"); print(a is b, a == c, c, [[]] * 2, [[] for _ in range(2)])
d = [[0] * 2] * 2; d[0][0] = 1; print(d)
a = [3, 1, 2]; print(a.sort(), a, sorted("bca", reverse=True), a.reverse(), a, list(reversed(a)), a * 2, [1] + [2], a.remove(1), a, a.clear(), a)
for f in (lambda: [].pop(), lambda: [1].remove(2), lambda: [1][1], lambda: a["a"], lambda: [1] + (2,), lambda: [3, "a"].sort(), lambda: a.__setitem__(slice(0, 4, 2), [1, 2, 3])):
    try:
        f(); print("fine")
    except Exception as e:
        print(type(e).__name__, e)
