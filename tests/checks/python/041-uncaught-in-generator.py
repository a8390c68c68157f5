"""The frames go through the generator."""
def gen(n):
    for i in range(n):
        yield 10 // (2 - i)
def use():
    for v in gen(5): print(v)
try:
    use()
except ZeroDivisionError:
    print("caught once")
def bad():
    yield 1
    raise LookupError("inside")
def use2(): return sum(bad())
use2()
