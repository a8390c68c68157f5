"""gather, sleep order, exceptions and results."""
import asyncio
async def work(n, d):
    print("start", n); await asyncio.sleep(d); print("end", n); return n * 10
async def bad(): await asyncio.sleep(0); raise ValueError("bad")
async def main():
    print(await work(0, 0), await asyncio.gather(work(1, .03), work(2, .01), work(3, .02)))
    print(await asyncio.gather(bad(), work(4, 0), return_exceptions=True))
    t = asyncio.create_task(work(5, 0.01), name="five"); print(t.get_name(), t.done()); await t; print(t.result(), t.done())
    try: await asyncio.wait_for(asyncio.sleep(5), 0.01)
    except asyncio.TimeoutError as e: print(type(e).__name__)
    return "main result"
print(asyncio.run(main()))
