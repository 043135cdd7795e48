//! Dropping a runtime: with work in flight, while unwinding, and what outlives it.

use std::cell::RefCell;
use std::future::pending;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use carhop::net::TcpStream;
use carhop::time::sleep;
use carhop::{JoinHandle, Runtime, spawn, yield_now};

use super::support::{
    Count, OnDrop, Trace, connection, fill, limit_send_buffer, listener, pair, panic_of, panic_quietly,
    promptly, short_of_room,
};
use super::{Env, trials};

trials![
    with_hundreds_of_operations_in_flight,
    with_hundreds_of_operations_in_flight_by_a_panic,
    tasks_are_dropped_in_the_order_of_their_spawns,
    panics_in_drops_are_contained,
    panics_in_drops_are_contained_while_unwinding,
    a_drop_may_spawn,
    drops_that_spawn_without_end,
    timers_and_tasks_whose_drops_bring_forth_each_other,
    a_runtime_within_a_task_of_another,
    a_runtime_kept_in_a_thread_local,
    never_run,
];

/// Has its drop counted.
fn counted(drops: &Count, future: impl Future + 'static) -> JoinHandle<()> {
    let drops = drops.clone();
    spawn(async move {
        let _guard = OnDrop(|| drops.add());
        future.await;
    })
}

/// Hundreds of tasks, each of which waits for the kernel. Returns how many.
async fn get_busy(env: &Env, drops: &Count) -> usize {
    let (short_of_room, full) = short_of_room();
    drop(spawn(async move {
        let _kept = short_of_room;
        pending::<()>().await
    }));
    let mut tasks = 0;
    let mut wait = |task: JoinHandle<()>| {
        drop(task);
        tasks += 1;
    };
    let accepting = listener().await;
    for _ in 0..100 {
        let (peer, mut writing) = connection(&accepting).await;
        limit_send_buffer(env, &writing, 4096);
        fill(&mut writing).await;
        wait(counted(drops, async move {
            writing.write_all(&vec![0; 1 << 20]).await.unwrap();
            drop(peer);
        }));
        let (mut reading, peer) = connection(&accepting).await;
        wait(counted(drops, async move {
            reading.read(&mut [0; 64]).await.unwrap();
            drop(peer);
        }));
        let idle = listener().await;
        wait(counted(drops, async move { idle.accept().await.map(drop) }));
        wait(counted(drops, TcpStream::connect(full)));
        wait(counted(drops, sleep(Duration::from_secs(3600))));
        wait(counted(drops, spawn(pending::<()>())));
    }
    for _ in 0..3 {
        yield_now().await;
    }
    tasks
}

fn with_hundreds_of_operations_in_flight(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    let tasks = runtime.block_on(get_busy(env, &drops));
    let ended_before = drops.get();
    // All but the few connects that found room.
    assert!(ended_before < 10, "{ended_before} of {tasks} have ended already");
    promptly(|| drop(runtime));
    assert_eq!(drops.get(), tasks);
}

fn with_hundreds_of_operations_in_flight_by_a_panic(env: &Env) {
    let (drops, tasks) = (Count::default(), RefCell::new(0));
    let text = promptly(|| {
        panic_of(|| {
            let runtime = env.runtime();
            runtime.block_on(async {
                *tasks.borrow_mut() = get_busy(env, &drops).await;
                panic_quietly("boom")
            })
        })
    });
    assert_eq!(text, "boom");
    assert_eq!(drops.get(), tasks.take());
}

fn tasks_are_dropped_in_the_order_of_their_spawns(env: &Env) {
    let trace = Trace::default();
    let runtime = env.runtime();
    for name in 1..=5 {
        let trace = trace.clone();
        drop(runtime.spawn(async move {
            let _guard = OnDrop(|| trace.log(name));
            pending::<()>().await
        }));
    }
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(trace.text(), "1 2 3 4 5");
}

/// Ten tasks that panic when they are dropped.
fn spawn_bombs(runtime: &Runtime, drops: &Count) {
    for _ in 0..10 {
        let drops = drops.clone();
        drop(runtime.spawn(async move {
            let _guard = OnDrop(|| {
                drops.add();
                panic_quietly("boom in a drop")
            });
            pending::<()>().await
        }));
    }
}

fn panics_in_drops_are_contained(env: &Env) {
    let drops = Count::default();
    let runtime = env.runtime();
    spawn_bombs(&runtime, &drops);
    runtime.block_on(yield_now());
    drop(runtime);
    assert_eq!(drops.get(), 10);
}

fn panics_in_drops_are_contained_while_unwinding(env: &Env) {
    let drops = Count::default();
    let text = panic_of(|| {
        let runtime = env.runtime();
        spawn_bombs(&runtime, &drops);
        runtime.block_on(async {
            yield_now().await;
            panic_quietly("boom")
        })
    });
    assert_eq!((text.as_str(), drops.get()), ("boom", 10));
}

fn a_drop_may_spawn(env: &Env) {
    fn spawner(left: u32, drops: Count) -> JoinHandle<()> {
        spawn(async move {
            let _guard = OnDrop(|| {
                drops.add();
                if left > 0 {
                    drop(spawner(left - 1, drops.clone()));
                }
            });
            pending::<()>().await
        })
    }
    let drops = Count::default();
    let runtime = env.runtime();
    runtime.block_on(async {
        (0..5).for_each(|_| drop(spawner(10, drops.clone())));
        yield_now().await;
    });
    drop(runtime);
    // Those that were spawned by drops were never polled: their guards did not come to be.
    assert_eq!(drops.get(), 5);

    struct Chain(u32, Count);
    impl Drop for Chain {
        fn drop(&mut self) {
            self.1.add();
            if self.0 > 0 {
                let next = Chain(self.0 - 1, self.1.clone());
                drop(spawn(async move { drop(next) }));
            }
        }
    }
    let drops = Count::default();
    let runtime = env.runtime();
    for _ in 0..5 {
        let chain = Chain(10, drops.clone());
        drop(runtime.spawn(async move {
            let _chain = chain;
            pending::<()>().await
        }));
    }
    drop(runtime);
    assert_eq!(drops.get(), 5 * 11);
}

fn drops_that_spawn_without_end(env: &Env) {
    struct Hydra;
    impl Drop for Hydra {
        fn drop(&mut self) {
            let next = Hydra;
            drop(spawn(async move { drop(next) }));
        }
    }
    let runtime = env.runtime();
    for _ in 0..3 {
        let hydra = Hydra;
        drop(runtime.spawn(async move {
            let _hydra = hydra;
            pending::<()>().await
        }));
    }
    // It says so on stderr, and ends.
    promptly(|| drop(runtime));
}

fn timers_and_tasks_whose_drops_bring_forth_each_other(env: &Env) {
    /// A waker that spawns a task when it is dropped.
    struct Egg(Arc<AtomicU32>);
    impl Wake for Egg {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Egg {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            drop(spawn(hen(Arc::clone(&self.0))));
        }
    }
    /// A task that sets a timer when it is dropped, and leaves it with such a waker.
    fn hen(eggs: Arc<AtomicU32>) -> impl Future<Output = ()> {
        let lay = OnDrop(move || {
            let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
            let waker = Waker::from(Arc::new(Egg(Arc::clone(&eggs))));
            assert!(timer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            mem::forget(timer);
        });
        async move {
            let _lay = lay;
            pending().await
        }
    }
    let (runtime, eggs) = (env.runtime(), Arc::default());
    drop(runtime.spawn(hen(Arc::clone(&eggs))));
    // It says so on stderr, and ends.
    promptly(|| drop(runtime));
    let eggs = eggs.load(Ordering::Relaxed);
    assert!(eggs > 1, "a timer has gone and brought forth a task, and so on: {eggs}");
}

fn a_runtime_within_a_task_of_another(env: &Env) {
    let drops = Count::default();
    let inner = env.runtime();
    let in_flight = drops.clone();
    drop(inner.spawn(async move {
        let _guard = OnDrop(|| in_flight.add());
        let (_near, mut far) = pair().await;
        far.read(&mut [0]).await
    }));
    for _ in 0..3 {
        inner.block_on(yield_now());
    }
    let outer = env.runtime();
    let (mut near, mut far) = outer.block_on(pair());
    let task = outer.spawn(async move {
        yield_now().await;
        drop(inner);
        // The context is that of the outer one again.
        spawn(async {}).await.unwrap();
        far.write_all(b"still here").await.unwrap();
    });
    outer.block_on(async {
        near.read_exact(&mut [0; 10]).await.unwrap();
        task.await.unwrap();
    });
    assert_eq!(drops.get(), 1);

    // Owned by a task that is dropped with the outer one.
    let inner = env.runtime();
    drop(inner.spawn(pending::<()>()));
    drop(outer.spawn(async move {
        let _inner = inner;
        pending::<()>().await
    }));
    outer.block_on(yield_now());
    promptly(|| drop((near, outer)));
}

fn a_runtime_kept_in_a_thread_local(env: &Env) {
    thread_local! {
        static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    let env = *env;
    std::thread::spawn(move || {
        KEPT.with(|kept| {
            let mut kept = kept.borrow_mut();
            let runtime = kept.insert(env.runtime());
            drop(runtime.spawn(async {
                let (_near, mut far) = pair().await;
                far.read(&mut [0]).await
            }));
            runtime.block_on(async { sleep(Duration::from_millis(1)).await });
        });
        // It is dropped after this thread's other locals, carhop's own among them.
    })
    .join()
    .unwrap();
}

fn never_run(env: &Env) {
    drop(env.runtime());
    let runtime = env.runtime();
    let task = runtime.spawn(async { unreachable!() });
    drop(runtime);
    let mut cx = Context::from_waker(Waker::noop());
    let mut task: JoinHandle<()> = task;
    assert!(matches!(std::pin::Pin::new(&mut task).poll(&mut cx), Poll::Ready(Err(_))));
}
