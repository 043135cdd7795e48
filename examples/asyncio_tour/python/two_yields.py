import asyncio

async def task1():
    print("Task 1 started")
    await asyncio.sleep(0)
    print("Task 1 after first yield")
    await asyncio.sleep(0)
    print("Task 1 after second yield")

async def task2():
    print("Task 2 started")
    await asyncio.sleep(0)
    print("Task 2 after first yield")
    await asyncio.sleep(0)
    print("Task 2 after second yield")

async def main():
    await asyncio.gather(task1(), task2())

asyncio.run(main())
