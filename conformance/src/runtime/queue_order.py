"""The programs whose twins are the trials of queue_order.rs. Run it to see their traces."""

import asyncio


async def producers_and_consumers(log):
    queue = asyncio.Queue(2)

    async def producer(name):
        for i in range(1, 5):
            await queue.put(f"{name}{i}")
            log(f"+{name}{i}")

    async def consumer(name):
        while True:
            item = await queue.get()
            log(f"{name}:{item}")
            if item in ("B2", "A3"):
                await asyncio.sleep(0)
            queue.task_done()

    producers = [asyncio.create_task(producer(name)) for name in "ABC"]
    consumers = [asyncio.create_task(consumer(name)) for name in "xy"]
    for task in producers:
        await task
    log("put")
    await queue.join()
    log("done")
    for task in consumers:
        task.cancel()


async def who_runs_takes_what_another_was_woken_for(log):
    queue = asyncio.Queue()

    async def getter(name):
        log(f"{name}:{await queue.get()}")

    getters = [asyncio.create_task(getter(name)) for name in "abc"]
    await asyncio.sleep(0)
    queue.put_nowait(1)
    log(f"len{queue.qsize()}")
    log(f"main:{await queue.get()}")
    await asyncio.sleep(0)
    for i in (2, 3, 4):
        queue.put_nowait(i)
    for task in getters:
        await task


async def cancelled_getters(log):
    queue = asyncio.Queue()

    async def getter(name):
        try:
            log(f"{name}:{await queue.get()}")
        except asyncio.CancelledError:
            log(f"{name}!")
            raise

    a, b, c, d = [asyncio.create_task(getter(name)) for name in "abcd"]
    await asyncio.sleep(0)
    b.cancel()
    await asyncio.sleep(0)
    queue.put_nowait(1)
    a.cancel()  # Woken, and cancelled before it runs.
    log("put1")
    await asyncio.sleep(0)
    queue.put_nowait(2)
    log("put2")
    await c
    await d


async def cancelled_putters(log):
    queue = asyncio.Queue(1)
    await queue.put("0")

    async def putter(name):
        try:
            await queue.put(name)
            log(f"+{name}")
        except asyncio.CancelledError:
            log(f"{name}!")
            raise

    tasks = [asyncio.create_task(putter(name)) for name in "abcd"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    log(queue.get_nowait())
    tasks[0].cancel()  # Woken, and cancelled before it runs.
    for _ in range(2):
        log(await queue.get())
    log(f"len{queue.qsize()}")


async def joiners(log):
    queue = asyncio.Queue()

    async def joiner(name):
        await queue.join()
        log(name)

    async def worker(name):
        while True:
            item = await queue.get()
            log(f"{name}{item}")
            await asyncio.sleep(0)
            queue.task_done()
            log(f"{name}{item}.")

    await joiner("0")
    for i in range(3):
        queue.put_nowait(i)
    tasks = [asyncio.create_task(joiner(name)) for name in "ab"]
    workers = [asyncio.create_task(worker(name)) for name in "xy"]
    for task in tasks:
        await task
    log("end")
    for task in workers:
        task.cancel()


class Ranked:
    def __init__(self, rank, name):
        self.rank, self.name = rank, name

    def __lt__(self, other):
        return self.rank < other.rank


async def the_smallest_first(log):
    queue = asyncio.PriorityQueue(12)

    async def consumer():
        while True:
            item = await queue.get()
            log(f"{item.rank}{item.name}")
            if item.rank == 0:
                return
            if item.rank % 3 == 0:
                await asyncio.sleep(0)

    task = asyncio.create_task(consumer())
    await asyncio.sleep(0)
    dice = 12345
    for name in "abcdefghijklmnopqrstuvwxyz":
        dice = (dice * 1103515245 + 12345) % 2**31
        await queue.put(Ranked(1 + (dice >> 16) % 5, name))
    await queue.put(Ranked(9, "!"))
    await queue.put(Ranked(0, "."))
    await task
    while not queue.empty():
        item = queue.get_nowait()
        log(f"{item.rank}{item.name}")


async def the_last_first(log):
    queue = asyncio.LifoQueue(3)

    async def producer():
        for i in range(1, 9):
            await queue.put(i)
            log(f"+{i}")

    task = asyncio.create_task(producer())
    for _ in range(8):
        log(str(await queue.get()))
        await asyncio.sleep(0)
    await task


for program in (
    producers_and_consumers,
    who_runs_takes_what_another_was_woken_for,
    cancelled_getters,
    cancelled_putters,
    joiners,
    the_smallest_first,
    the_last_first,
):
    trace = []
    asyncio.run(program(trace.append))
    print(f"{program.__name__}: {' '.join(trace)}")
