import asyncio

async def greet():
    await asyncio.sleep(1)

asyncio.run(greet())  # ✅ Now it runs
