import asyncio

async def task(name: str):
    print(f"Task {name} started")
    await asyncio.sleep(1)  # yields control to event loop
    print(f"Task {name} finished")

async def main():
    await asyncio.gather(task("A"), task("B"))

if __name__ == "__main__":
    asyncio.run(main())
