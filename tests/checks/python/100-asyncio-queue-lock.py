"""Queues, locks, events, cancellation, async iteration and contexts."""
import asyncio, contextlib
async def producer(q):
    for i in range(3): await q.put(i); print("put", i)
    await q.put(None)
async def consumer(q, out):
    while (x := await q.get()) is not None: out.append(x * x)
async def agen(n):
    try:
        for i in range(n): yield i; await asyncio.sleep(0)
    finally: print("agen closed")
class AC:
    async def __aenter__(self): print("aenter"); return self
    async def __aexit__(self, *a): print("aexit", a[0]); return True
async def main():
    q, out = asyncio.Queue(1), []; await asyncio.gather(producer(q), consumer(q, out)); print(out)
    print([x async for x in agen(3)], [x * 2 async for x in agen(2) if x])
    async with AC(): raise KeyError
    async def forever():
        try: await asyncio.sleep(100)
        except asyncio.CancelledError: print("cancelled"); raise
    t = asyncio.create_task(forever()); await asyncio.sleep(0); t.cancel()
    try: await t
    except asyncio.CancelledError: print("seen", t.cancelled())
    lock, log = asyncio.Lock(), []
    async def locked(n):
        async with lock: log.append(n); await asyncio.sleep(0); log.append(n)
    await asyncio.gather(*(locked(i) for i in range(3))); print(log)
    ev = asyncio.Event(); asyncio.get_running_loop().call_later(0.01, ev.set); await ev.wait(); print("event", ev.is_set())
    try:
        async with asyncio.TaskGroup() as tg: tg.create_task(asyncio.sleep(0)); a = tg.create_task(asyncio.sleep(0, "v"))
        print(a.result())
        async with asyncio.timeout(0.01): await asyncio.sleep(3)
    except TimeoutError: print("timeout")
asyncio.run(main())
