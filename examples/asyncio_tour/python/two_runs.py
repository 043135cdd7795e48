import asyncio

async def task1():
    print("Task 1 started")
    await asyncio.sleep(0)
    print("Task 1 continued")

async def task2():
    print("Task 2 started")
    await asyncio.sleep(0)
    print("Task 2 continued")

# Sequential execution (not concurrent)
asyncio.run(task1())  # Runs to completion first
asyncio.run(task2())  # Then runs separately
