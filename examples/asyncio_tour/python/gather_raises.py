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
    try:
        await asyncio.gather(
            good_task(),
            failing_task(),  # Raises exception
            return_exceptions=False  # Default (raises immediately)
        )
    except Exception as e:
        print(f"Caught: {e}")

asyncio.run(main())
