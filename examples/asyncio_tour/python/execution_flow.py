import asyncio

async def some_io():
    await asyncio.sleep(1)
    print("7. I/O completes")

async def read_data():
    print("3. Task starts running its coroutine")
    print("4. Coroutine reaches await")
    await some_io()  # 5. Task pauses
    print("8. Task resumes")

async def another():
    print("6. Event loop runs another task")

async def main():
    print("1. Event loop starts")
    task = asyncio.create_task(read_data())
    other = asyncio.create_task(another())
    print("2. Task is created")
    await task
    await other

asyncio.run(main())
