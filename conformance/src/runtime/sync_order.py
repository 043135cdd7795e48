"""The programs whose twins are trials of the same names in mutexes.rs, semaphores.rs, events.rs, condvars.rs, barriers.rs
and callbacks.rs. Run it to see their traces."""

import asyncio


def give_way():
    return asyncio.sleep(0)


def spawn_all(task, names):
    return [asyncio.create_task(task(name)) for name in names]


async def join_all(tasks):
    await asyncio.gather(*tasks, return_exceptions=True)


# mutexes.rs


async def three_tasks_take_turns(log):
    lock = asyncio.Lock()

    async def worker(name):
        for turn in (1, 2):
            async with lock:
                log(f"{name}{turn}+")
                await give_way()
                log(f"{name}{turn}-")

    await join_all(spawn_all(worker, "ABC"))


async def a_released_lock_is_not_overtaken(log):
    lock = asyncio.Lock()

    async def task(name):
        async with lock:
            log(name)

    await lock.acquire()
    waiter = asyncio.create_task(task("waiter"))
    await give_way()
    newcomer = asyncio.create_task(task("newcomer"))
    log("release")
    lock.release()
    async with lock:
        log("releaser")
    await join_all([waiter, newcomer])


async def mutex_waiters_that_are_aborted(log):
    lock = asyncio.Lock()

    async def waiter(name):
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            log(f"{name}x")
            raise
        log(name)
        await give_way()
        lock.release()

    await lock.acquire()
    tasks = spawn_all(waiter, "ABCD")
    await give_way()
    tasks[1].cancel()
    lock.release()
    tasks[0].cancel()
    log("root")
    await join_all(tasks)


# semaphores.rs


async def five_tasks_and_two_permits(log):
    semaphore = asyncio.Semaphore(2)

    async def worker(name):
        async with semaphore:
            log(f"{name}+")
            await give_way()
            log(f"{name}-")

    await join_all(spawn_all(worker, "ABCDE"))


async def who_was_let_in_and_has_not_run_is_not_overtaken(log):
    semaphore = asyncio.Semaphore(0)

    async def worker(name):
        await semaphore.acquire()
        log(name)

    a = asyncio.create_task(worker("A"))
    await give_way()
    b = asyncio.create_task(worker("B"))
    semaphore.release()
    semaphore.release()
    log("released")
    await join_all([a, b])


async def semaphore_waiters_that_are_aborted(log):
    semaphore = asyncio.Semaphore(0)

    async def worker(name):
        try:
            await semaphore.acquire()
        except asyncio.CancelledError:
            log(f"{name}x")
            raise
        log(name)

    tasks = spawn_all(worker, "ABCD")
    await give_way()
    semaphore.release()
    semaphore.release()
    tasks[0].cancel()
    tasks[2].cancel()
    log("root")
    for _ in range(3):
        await give_way()
    log("late")
    semaphore.release()
    await join_all(tasks)
    log(semaphore._value)


# events.rs


async def set_and_cleared_at_once(log):
    event = asyncio.Event()

    async def waiter(name):
        await event.wait()
        log(name)
        await event.wait()
        log(f"{name}again")

    early = spawn_all(waiter, "ABC")
    await give_way()
    event.set()
    log("set")
    event.clear()
    log("clear")
    late = asyncio.create_task(waiter("D"))
    await give_way()
    await give_way()
    log("second")
    event.set()
    await join_all([*early, late])


# condvars.rs


async def one_two_and_all(log):
    condition = asyncio.Condition()

    async def waiter(name):
        async with condition:
            log(f"{name}?")
            await condition.wait()
            log(name)
            await give_way()
            log(f"{name}-")

    waiters = spawn_all(waiter, "ABCDE")
    await give_way()
    async with condition:
        condition.notify()
        log("one")
        await give_way()
        log("held")
    await give_way()
    async with condition:
        log("two")
        condition.notify(2)
    async with condition:
        log("all")
        condition.notify_all()
    await join_all(waiters)


async def three_consumers(log):
    condition, items = asyncio.Condition(), []

    async def consumer(name):
        async with condition:
            await condition.wait_for(lambda: items)
            log(f"{name}{items.pop(0)}")

    consumers = spawn_all(consumer, "ABC")
    await give_way()
    for item in range(3):
        async with condition:
            items.append(item)
            log(f"put{item}")
            condition.notify_all()
        await give_way()
    await join_all(consumers)


# barriers.rs


def parties_of(log, barrier, rounds=1):
    async def party(name):
        for _ in range(rounds):
            try:
                log(f"{name}:{await barrier.wait()}")
            except asyncio.BrokenBarrierError:
                log(f"{name}!")
            except asyncio.CancelledError:
                log(f"{name}x")
                raise

    return party


async def two_rounds_of_three(log):
    await join_all(spawn_all(parties_of(log, asyncio.Barrier(3), 2), "ABC"))


async def more_tasks_than_parties(log):
    await join_all(spawn_all(parties_of(log, asyncio.Barrier(2)), "ABCDEF"))


async def who_comes_before_all_have_left(log):
    barrier = asyncio.Barrier(2)
    twice, once = parties_of(log, barrier, 2), parties_of(log, barrier)
    await join_all(spawn_all(twice, "A") + spawn_all(once, "BC"))


async def a_task_that_leaves(log):
    barrier = asyncio.Barrier(3)
    party = parties_of(log, barrier)
    tasks = spawn_all(party, "AB")
    await give_way()
    log(barrier.n_waiting)
    tasks[1].cancel()
    await give_way()
    log(barrier.n_waiting)
    await join_all(tasks + spawn_all(party, "CD"))
    log(barrier.n_waiting)


async def reset_while_some_wait(log):
    barrier = asyncio.Barrier(3)
    party = parties_of(log, barrier)
    tasks = spawn_all(party, "AB")
    await give_way()
    log(barrier.n_waiting)
    await barrier.reset()
    log(barrier.n_waiting)
    log(str(barrier.broken).lower())
    await join_all(tasks + spawn_all(party, "CDE"))


async def aborted_and_reset(log):
    barrier = asyncio.Barrier(3)
    party = parties_of(log, barrier)
    tasks = spawn_all(party, "AB")
    await give_way()
    await barrier.abort()
    log(str(barrier.broken).lower())
    await join_all(tasks + spawn_all(party, "C"))
    await barrier.reset()
    log(str(barrier.broken).lower())
    await join_all(spawn_all(party, "DEF"))


async def aborted_or_reset_after_it_tripped(log):
    for what in ("abort", "reset"):
        barrier = asyncio.Barrier(2)
        party = parties_of(log, barrier)
        tasks = spawn_all(party, "A")
        await give_way()
        await party("B")
        await getattr(barrier, what)()
        log(what)
        await join_all(tasks)


# callbacks.rs


async def deferred_calls_among_tasks(log):
    loop = asyncio.get_running_loop()

    async def twice(first, second):
        log(first)
        await give_way()
        log(second)

    def nested():
        log("s2")
        loop.call_soon(log, "s3")

    a = asyncio.create_task(twice("A1", "A2"))
    loop.call_soon(log, "s1")
    b = asyncio.create_task(twice("B1", "B2"))
    loop.call_soon(nested)
    log("root1")
    await give_way()
    log("root2")
    await a
    await b
    log("root3")
    await give_way()
    log("root4")


async def calls_at_times(log):
    loop = asyncio.get_running_loop()
    loop.call_later(0.03, log, "late")
    loop.call_later(0.01, log, "early")
    loop.call_later(0.02, log, "middle")
    loop.call_later(0, log, "zero")
    loop.call_soon(log, "soon")
    await give_way()
    log("root")
    await asyncio.sleep(0.05)
    log("end")


async def calls_that_are_due_together(log):
    loop = asyncio.get_running_loop()
    now = loop.time()
    loop.call_at(now + 0.0003, log, "3")
    loop.call_at(now + 0.0001, log, "1")
    loop.call_at(now - 1, log, "past")
    loop.call_at(now + 0.0002, log, "2")
    never = loop.call_at(now + 0.00015, log, "never")
    loop.call_soon(log, "soon")
    never.cancel()
    while loop.time() < now + 0.001:
        pass
    log("root")
    await asyncio.sleep(0.002)
    log("end")


async def a_done_callback_among_others(log):
    loop = asyncio.get_running_loop()

    async def work():
        log("work")
        loop.call_soon(log, "before")

    async def after():
        log("after")

    def done(_):
        log("done")
        loop.call_soon(log, "from_done")

    working = asyncio.create_task(work())
    working.add_done_callback(done)
    afterwards = asyncio.create_task(after())
    loop.call_soon(log, "soon")
    await afterwards
    log("root")
    await give_way()
    await give_way()
    log("end")


async def a_done_callback_of_a_finished_task(log):
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(give_way())
    await task
    loop.call_soon(log, "soon1")
    task.add_done_callback(lambda _: log("done"))
    log("added")
    loop.call_soon(log, "soon2")
    await give_way()
    log("root")


async def a_done_callback_of_an_aborted_task(log):
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(asyncio.sleep(100))
    await give_way()
    task.add_done_callback(lambda task: log("done:cancelled" if task.cancelled() else "done"))
    loop.call_soon(log, "soon1")
    task.cancel()
    loop.call_soon(log, "soon2")
    for name in ("root1", "root2", "root3"):
        await give_way()
        log(name)


for program in (
    three_tasks_take_turns,
    a_released_lock_is_not_overtaken,
    mutex_waiters_that_are_aborted,
    five_tasks_and_two_permits,
    who_was_let_in_and_has_not_run_is_not_overtaken,
    semaphore_waiters_that_are_aborted,
    set_and_cleared_at_once,
    one_two_and_all,
    three_consumers,
    two_rounds_of_three,
    more_tasks_than_parties,
    who_comes_before_all_have_left,
    a_task_that_leaves,
    reset_while_some_wait,
    aborted_and_reset,
    aborted_or_reset_after_it_tripped,
    deferred_calls_among_tasks,
    calls_at_times,
    calls_that_are_due_together,
    a_done_callback_among_others,
    a_done_callback_of_a_finished_task,
    a_done_callback_of_an_aborted_task,
):
    trace = []
    asyncio.run(program(trace.append))
    print(f"{program.__name__}: {' '.join(map(str, trace))}")
