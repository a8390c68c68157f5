"""Coroutines driven without an event loop."""
import types
@types.coroutine
def ask(q): return (yield q)
async def talk():
    name = await ask("name?"); age = await ask(f"age of {name}?")
    if age < 0: raise ValueError("negative")
    return f"{name} is {age}"
def drive(coro, answers):
    try:
        q = coro.send(None)
        while True: print("Q", q); q = coro.send(answers.pop(0))
    except StopIteration as e: return e.value
print(drive(talk(), ["Al", 5]))
try: drive(talk(), ["Bo", -1])
except ValueError as e: print(e)
class Aw:
    def __await__(self): yield "y"; return "awaited"
async def f(): return await Aw()
c = f(); print(c.send(None))
try: c.send(None)
except StopIteration as e: print(e.value)
async def g(): yield 1
a = g().__anext__()
try: a.send(None)
except StopIteration as e: print("anext", e.value)
c = talk(); c.close(); print(type(c).__name__)
