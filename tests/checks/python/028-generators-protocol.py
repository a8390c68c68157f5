"""send, throw, close and return values of generators."""
def talk():
    got = []
    try:
        while True:
            try:
                got.append((yield len(got)))
            except ValueError as e:
                got.append(f"caught {e}"); yield "handled"
    finally:
        print("closing with", got)
g = talk(); print(next(g), g.send("a"), g.send("b"), g.throw(ValueError("v")), next(g), next(g)); g.close(); print(list(g))
def inner():
    x = yield 1
    print("inner got", x)
    return "result"
def outer():
    r = yield from inner(); print("returned", r); yield from (2, 3)
g = outer(); print(next(g), g.send("S"), list(g))
def ret():
    yield 1
    return 42
g = ret(); next(g)
try:
    next(g)
except StopIteration as e:
    print("value", e.value)
def stubborn():
    while True:
        try:
            yield
        except GeneratorExit:
            print("ignoring")
            yield "no"
            return
g = stubborn(); next(g)
try:
    g.close()
except RuntimeError as e:
    print(e)
def bad():
    yield next(iter(()))
try:
    list(bad())
except RuntimeError as e:
    print(e, "|", type(e.__cause__).__name__)
g = talk()
try:
    g.send(1)
except TypeError as e:
    print(e)
