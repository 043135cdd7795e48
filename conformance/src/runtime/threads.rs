//! Wakes from other threads, and many runtimes at a time.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::StreamExt;
use futures::channel::{mpsc as channel, oneshot};
use futures::task::AtomicWaker;

use super::support::{Trace, pair};
use super::{Env, trials};

trials![
    a_million_wakes_of_a_busy_owner,
    wakes_of_a_sleeping_owner,
    wakes_of_a_finishing_owner,
    a_wake_ends_a_sleep_soon,
    channels_from_eight_threads,
    wakers_outlive_their_tasks_and_runtimes,
    wakes_of_runtimes_that_come_and_go,
    a_waker_of_one_runtime_woken_within_another,
    a_wake_before_the_first_block_on,
    wakes_from_one_thread_keep_their_order,
    many_runtimes_on_many_threads,
];

const THREADS: usize = 8;

async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

fn a_million_wakes_of_a_busy_owner(env: &Env) {
    const EACH: usize = 125_000;
    env.run(async {
        let state = Arc::new((AtomicUsize::new(0), AtomicWaker::new()));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    for _ in 0..EACH {
                        state.0.fetch_add(1, Ordering::Relaxed);
                        state.1.wake();
                    }
                })
            })
            .collect();
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        poll_fn(|cx| {
            state.1.register(cx.waker());
            if state.0.load(Ordering::Relaxed) == THREADS * EACH { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        busy.abort();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(busy.await.is_err_and(|error: carhop::JoinError| error.is_cancelled()));
    });
}

/// Each wake is answered before the next: a single one that is lost is a hang.
fn wakes_of_a_sleeping_owner(env: &Env) {
    env.run(async {
        let mut tasks = Vec::new();
        for _ in 0..THREADS {
            let (mut to_task, mut from_thread) = channel::channel::<u32>(0);
            let (to_thread, from_task) = mpsc::channel::<u32>();
            let thread = thread::spawn(move || {
                for round in 0..2000 {
                    while to_task.try_send(round).is_err() {
                        thread::yield_now();
                    }
                    assert_eq!(from_task.recv().unwrap(), round);
                }
            });
            tasks.push(spawn(async move {
                for round in 0..2000 {
                    assert_eq!(from_thread.next().await, Some(round));
                    to_thread.send(round).unwrap();
                }
                thread
            }));
        }
        for task in tasks {
            task.await.unwrap().join().unwrap();
        }
    });
}

fn wakes_of_a_finishing_owner(env: &Env) {
    let (ends, begins) = mpsc::channel::<oneshot::Sender<()>>();
    let begins = Arc::new(Mutex::new(begins));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let begins = Arc::clone(&begins);
            thread::spawn(move || {
                loop {
                    let end = begins.lock().unwrap().recv();
                    let Ok(end) = end else { return };
                    end.send(()).unwrap();
                }
            })
        })
        .collect();
    env.run(async {
        for _ in 0..50 {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let (sender, receiver) = oneshot::channel();
                    let task = spawn(receiver);
                    ends.send(sender).unwrap();
                    task
                })
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        }
        drop(ends);
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn a_wake_ends_a_sleep_soon(env: &Env) {
    env.run(async {
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let (sender, receiver) = oneshot::channel();
            let thread = thread::spawn(move || {
                // Long enough for the loop to fall asleep; should it not be, this tries something else.
                thread::sleep(Duration::from_millis(2));
                sender.send(Instant::now()).unwrap();
            });
            let sent = receiver.await.unwrap();
            best = best.min(sent.elapsed());
            thread.join().unwrap();
        }
        assert!(best < Duration::from_millis(100), "{best:?} at best");
    });
}

fn channels_from_eight_threads(env: &Env) {
    env.run(async {
        let (sender, mut receiver) = channel::unbounded();
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|id| {
                let sender = sender.clone();
                thread::spawn(move || (0..5000).for_each(|n| sender.unbounded_send((id, n)).unwrap()))
            })
            .collect();
        drop(sender);
        let mut next = [0; THREADS];
        while let Some((id, n)) = receiver.next().await {
            assert_eq!(n, next[id as usize]);
            next[id as usize] += 1;
        }
        assert_eq!(next, [5000; THREADS]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn wakers_outlive_their_tasks_and_runtimes(env: &Env) {
    let runtime = env.runtime();
    let (root, task) = runtime.block_on(async { (own_waker().await, spawn(own_waker()).await.unwrap()) });
    let wake_both = |root: &Waker, task: &Waker| {
        let (root, task) = (root.clone(), task.clone());
        thread::spawn(move || {
            root.wake();
            task.wake_by_ref();
        })
        .join()
        .unwrap();
    };
    wake_both(&root, &task);
    root.wake_by_ref();
    task.wake_by_ref();
    runtime.block_on(async {
        wake_both(&root, &task);
        root.wake_by_ref();
        yield_now().await;
    });
    drop(runtime);
    wake_both(&root, &task);
    // Another one may have the same number by now.
    let next = env.runtime();
    next.block_on(async {
        wake_both(&root, &task);
        task.wake_by_ref();
        spawn(sleep(Duration::from_millis(1))).await.unwrap();
    });
    drop(next);
    root.wake();
    task.wake();
}

fn wakes_of_runtimes_that_come_and_go(env: &Env) {
    let current: Arc<Mutex<Option<Waker>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (current, done) = (Arc::clone(&current), Arc::clone(&done));
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let waker = current.lock().unwrap().clone();
                    if let Some(waker) = waker {
                        (0..10).for_each(|_| waker.wake_by_ref());
                    }
                }
            })
        })
        .collect();
    for _ in 0..100 {
        env.run(async {
            let waker = spawn(own_waker()).await.unwrap();
            *current.lock().unwrap() = Some(waker);
            let (sender, receiver) = oneshot::channel();
            let thread = thread::spawn(move || sender.send(()).unwrap());
            receiver.await.unwrap();
            thread.join().unwrap();
        });
    }
    done.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn a_waker_of_one_runtime_woken_within_another(env: &Env) {
    let (one, other) = (env.runtime(), env.runtime());
    let (sender, receiver) = oneshot::channel();
    let task = one.spawn(receiver);
    // It waits, and its runtime is at rest.
    one.block_on(yield_now());
    other.block_on(async move {
        sender.send("from the other").unwrap();
        yield_now().await;
    });
    assert_eq!(one.block_on(task).unwrap().unwrap(), "from the other");
    // And a handle of one awaited in the other.
    let task = one.spawn(async { "ended" });
    one.block_on(async { yield_now().await });
    assert_eq!(other.block_on(task).unwrap(), "ended");
}

fn a_wake_before_the_first_block_on(env: &Env) {
    let runtime = env.runtime();
    let (sender, receiver) = oneshot::channel();
    let task = runtime.spawn(receiver);
    sender.send(7).unwrap();
    thread::spawn(|| {}).join().unwrap();
    assert_eq!(runtime.block_on(task).unwrap().unwrap(), 7);
}

fn wakes_from_one_thread_keep_their_order(env: &Env) {
    let trace = Trace::default();
    env.run(async {
        let (mut senders, mut tasks) = (Vec::new(), Vec::new());
        for name in 1..=9 {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push(sender);
            let trace = trace.clone();
            tasks.push(spawn(async move {
                receiver.await.unwrap();
                trace.log(name);
            }));
        }
        yield_now().await;
        // While the loop is here, so that it finds them all at once.
        thread::spawn(move || senders.into_iter().for_each(|sender| sender.send(()).unwrap()))
            .join()
            .unwrap();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(trace.text(), "1 2 3 4 5 6 7 8 9");
}

fn many_runtimes_on_many_threads(env: &Env) {
    let env = *env;
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            thread::spawn(move || {
                for _ in 0..10 {
                    let runtimes = [env.runtime(), env.runtime(), env.runtime()];
                    for runtime in &runtimes {
                        runtime.block_on(async {
                            let (mut near, mut far) = pair().await;
                            let task = spawn(async move { far.read_exact(&mut [0; 5]).await });
                            sleep(Duration::from_micros(10)).await;
                            near.write_all(b"hello").await.unwrap();
                            task.await.unwrap().unwrap();
                        });
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
