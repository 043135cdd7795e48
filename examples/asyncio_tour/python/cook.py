import asyncio

async def cook(order):
    print(f"Started cooking {order}")
    await asyncio.sleep(2)  # simulates cooking time
    print(f"Finished {order}")
    return order

async def main():
    await asyncio.gather(
        cook("Pasta"),
        cook("Pizza"),
        cook("Salad")
    )

asyncio.run(main())
