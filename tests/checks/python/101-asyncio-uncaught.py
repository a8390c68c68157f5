"""An error that leaves asyncio.run."""
import asyncio
async def inner(): await asyncio.sleep(0); raise LookupError("from a coroutine")
async def main(): print("main"); await inner()
asyncio.run(main())
