import asyncio

async def read_data():
    print("Reading")
    await asyncio.sleep(1)
    return "data"

async def main():
    coro = read_data()
    print("A coroutine object, not a result: nothing has run yet")
    print(f"The result: {await coro}")

asyncio.run(main())
