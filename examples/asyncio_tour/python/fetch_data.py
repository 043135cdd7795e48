import asyncio

async def fetch_data(id, delay):
    print(f"Task {id} started")
    await asyncio.sleep(delay)
    print(f"Task {id} completed")
    return f"data-{id}"

async def main():
    results = await asyncio.gather(
        fetch_data(1, 2),  # Takes 2 seconds
        fetch_data(2, 1),  # Takes 1 second
        fetch_data(3, 3)   # Takes 3 seconds
    )
    print(results)  # ['data-1', 'data-2', 'data-3']

asyncio.run(main())
