import asyncio

async def greet():
    await asyncio.sleep(1)

greet()  # ❌ does nothing — it's just a coroutine object, not running
