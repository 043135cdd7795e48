import asyncio

async def subtask(name, steps):
    for step in range(1, steps + 1):
        print(f"{name}: step {step} of {steps}")
        await asyncio.sleep(0)
    print(f"{name}: done")

async def main():
    await asyncio.gather(subtask("A", 3), subtask("B", 1), subtask("C", 2))
    print("All subtasks are done")

asyncio.run(main())
