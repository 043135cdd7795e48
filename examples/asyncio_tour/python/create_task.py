import asyncio

async def read_data():
    print("The task runs until it pauses")
    await asyncio.sleep(1)
    print("The task resumes")
    return "data"

async def main():
    task = asyncio.create_task(read_data())
    print("The task is scheduled and has not started")
    await asyncio.sleep(0)
    print("The task has started by itself")
    print(f"The result: {await task}")

asyncio.run(main())
