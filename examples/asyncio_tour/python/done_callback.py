import asyncio

async def compute(a, b):
    print(f"Computing {a} * {b}")
    await asyncio.sleep(1)
    return a * b

def print_result(future):
    print(f"The callback received {future.result()}")

async def main():
    future = asyncio.ensure_future(compute(6, 7))
    future.add_done_callback(print_result)
    print("main goes on")
    await asyncio.sleep(2)
    print("main ends")

asyncio.run(main())
