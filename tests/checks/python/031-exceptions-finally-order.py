"""In which order try, except, else and finally run."""
def f(kind):
    log = []
    try:
        log.append("try")
        if kind == "raise": raise ValueError
        if kind == "return": return log
    except ValueError:
        log.append("except")
    else:
        log.append("else")
    finally:
        log.append("finally")
    log.append("after")
    return log
for k in ("raise", "return", "plain"): print(k, f(k))
for i in range(3):
    try:
        if i == 1: continue
        if i == 2: break
        print("body", i)
    finally:
        print("finally", i)
else:
    print("not printed")
def nested():
    try:
        try: raise TypeError("inner")
        except ValueError: print("wrong")
        finally: print("inner finally")
    except TypeError as e: print("outer", e)
nested()
class Guard:
    def __enter__(self): print("enter"); return self
    def __exit__(self, *a): print("exit", a[0] and a[0].__name__); return a[0] is KeyError
with Guard(): raise KeyError(1)
try:
    with Guard() as g, Guard(): raise IndexError
except IndexError: print("passed through")
for _ in range(1):
    with Guard(): break
