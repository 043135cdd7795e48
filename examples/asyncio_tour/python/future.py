import asyncio

async def finish_later(success, failure):
    await asyncio.sleep(1)
    print("Setting a result and an exception")
    success.set_result("a value")
    failure.set_exception(ValueError("no value"))

async def main():
    loop = asyncio.get_running_loop()
    success = loop.create_future()
    failure = loop.create_future()
    task = asyncio.create_task(finish_later(success, failure))

    print("Done" if success.done() else "Pending")
    print(f"Result: {await success}")
    try:
        await failure
    except ValueError as e:
        print(f"Exception: {e}")
    await task

asyncio.run(main())
