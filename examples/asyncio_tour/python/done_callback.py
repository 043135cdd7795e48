import asyncio

async def compute(a, b):
    print(f"Computing {a} * {b}")
    await asyncio.sleep(1)
    return a * b

async def main():
    finished = asyncio.get_running_loop().create_future()

    def print_result(future):
        print(f"The callback received {future.result()}")
        finished.set_result(None)

    future = asyncio.ensure_future(compute(6, 7))
    future.add_done_callback(print_result)
    print("main goes on")
    await finished
    print("main ends")

asyncio.run(main())
