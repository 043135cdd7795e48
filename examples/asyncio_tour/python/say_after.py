import asyncio
import time

# Define a coroutine
async def say_after(delay, msg):
    await asyncio.sleep(delay)
    print(msg)

# Define a main coroutine that runs other coroutines
async def main():
    print(f"Started at {time.strftime('%X')}")

    # Run the coroutines concurrently using asyncio.gather
    await asyncio.gather(
        say_after(3, 'Hello'),
        say_after(3, 'World'),
    )

    print(f"Finished at {time.strftime('%X')}")

# Run the main coroutine
asyncio.run(main())
