import asyncio
import time

async def blocking():
    print("Blocking started")
    time.sleep(1)  # stops the entire event loop
    print("Blocking finished")

async def non_blocking():
    print("Non-blocking started")
    await asyncio.sleep(1)  # yields control to event loop
    print("Non-blocking finished")

async def other():
    print("Other task runs")

async def main():
    await asyncio.gather(blocking(), other())
    await asyncio.gather(non_blocking(), other())

asyncio.run(main())
