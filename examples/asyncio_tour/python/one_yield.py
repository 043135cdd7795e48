import asyncio

async def task1():
    print("Task 1 started")
    await asyncio.sleep(0)  # Yield control
    print("Task 1 continued")

async def task2():
    print("Task 2 started")
    await asyncio.sleep(0)  # Yield control
    print("Task 2 continued")

async def main():
    await asyncio.gather(task1(), task2())

asyncio.run(main())
