import asyncio

async def coro1():
    print("coro1 started")
    await asyncio.sleep(2)
    print("coro1 finished")

async def coro2():
    print("coro2 started")
    await asyncio.sleep(1)
    print("coro2 finished")

async def main():
    print("Sequential: t1 + t2")
    await coro1()
    await coro2()
    print("Concurrent: max(t1, t2)")
    await asyncio.gather(coro1(), coro2())
    print("Both finished")

asyncio.run(main())
