import asyncio

async def good_task():
    print("good_task started")
    await asyncio.sleep(2)
    print("good_task finished")
    return "good"

async def failing_task():
    print("failing_task started")
    raise ValueError("failing_task failed")

async def main():
    results = await asyncio.gather(
        good_task(),
        failing_task(),
        return_exceptions=True  # Exceptions returned as results
    )
    # results = [success_value, Exception(...)]
    for result in results:
        if isinstance(result, Exception):
            print(f"Exception: {result}")
        else:
            print(f"Result: {result}")

asyncio.run(main())
