"""nonlocal, global, late binding and cells."""
total = 0
def counter(start):
    n = start
    def step(by=1):
        nonlocal n
        global total
        n += by; total += 1
        return n
    def peek(): return n
    return step, peek
s, p = counter(10)
print(s(), s(5), p(), total, s.__closure__[0].cell_contents, s.__code__.co_freevars)
def early():
    try:
        print(value)
    except UnboundLocalError as e:
        print(type(e).__name__)
    value = 1
early()
def outer():
    x = "o"
    class K:
        x = "k"
        def m(self): return x
    del_me = 1; del del_me
    try:
        del_me
    except NameError as e:
        print(type(e).__name__)
    return K().m()
print(outer(), (lambda *a, **k: (a, k))(1, b=2), (lambda x, y=[]: y.append(x) or y)(1))
def acc(x, seen=[]):
    seen.append(x); return seen
print(acc(1), acc(2), acc(3, []), acc.__defaults__)
