//! Blocking work: where it runs, how much of it at a time, and what its handle says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use carhop::task::{BlockingHandle, spawn_blocking};
use carhop::time::sleep;
use carhop::{spawn, yield_now};
use futures::channel::oneshot;
use futures::future::join_all;
use futures::poll;

use super::support::{OnDrop, cancelled};
use super::{Env, trials};

trials![
    runs_on_another_thread,
    as_many_at_once_as_the_limit,
    no_more_at_once_than_the_limit,
    zero_threads_are_one,
    begins_first_in_first_out,
    aborted_before_it_begins,
    aborted_while_it_runs,
    aborts_that_race_with_the_begin,
    ten_thousand_calls,
    wakes_a_loop_that_sleeps,
    wakes_a_loop_that_is_busy,
    awaited_on_another_thread,
];

/// Lets nobody pass until it is opened.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(super) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |open| !*open).unwrap());
    }
}

/// Blocking work that has begun, and ends when the gate opens.
pub(super) async fn held<T: Send + 'static>(gate: &Gate, value: T) -> BlockingHandle<T> {
    let (gate, (begun, begins)) = (gate.clone(), oneshot::channel());
    let handle = spawn_blocking(move || {
        begun.send(()).unwrap();
        gate.pass();
        value
    });
    begins.await.unwrap();
    handle
}

fn runs_on_another_thread(env: &Env) {
    env.run(async {
        let text = String::from("owned");
        let (id, text) = spawn_blocking(move || (thread::current().id(), text)).await.unwrap();
        assert_ne!(id, thread::current().id());
        assert_eq!(text, "owned");
        // One thread is enough for one call at a time.
        for _ in 0..100 {
            assert_eq!(spawn_blocking(|| thread::current().id()).await.unwrap(), id);
        }
    });
}

fn as_many_at_once_as_the_limit(env: &Env) {
    for limit in [1, 2, 5, 64] {
        let runtime = env.builder().blocking_threads(limit).build().unwrap();
        runtime.block_on(async {
            // Three times as many as may run, and they let each other go only when enough are there at once.
            let barrier = Arc::new(Barrier::new(limit));
            let calls = (0..3 * limit).map(|_| {
                let barrier = Arc::clone(&barrier);
                spawn_blocking(move || barrier.wait().is_leader())
            });
            let leaders = join_all(calls.collect::<Vec<_>>()).await;
            assert_eq!(leaders.into_iter().filter(|leads| *leads.as_ref().unwrap()).count(), 3);
        });
    }
}

fn no_more_at_once_than_the_limit(env: &Env) {
    const LIMIT: usize = 3;
    let runtime = env.builder().blocking_threads(LIMIT).build().unwrap();
    runtime.block_on(async {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // In threes, so that the limit is reached; many, so that it would be passed.
        let barrier = Arc::new(Barrier::new(LIMIT));
        let calls = (0..200 * LIMIT).map(|_| {
            let (running, most, barrier) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&barrier));
            spawn_blocking(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), LIMIT);
    });
}

fn zero_threads_are_one(env: &Env) {
    let runtime = env.builder().blocking_threads(0).build().unwrap();
    assert_eq!(runtime.block_on(async { spawn_blocking(|| 7).await.unwrap() }), 7);
}

fn begins_first_in_first_out(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let gate = Gate::default();
        let first = held(&gate, ()).await;
        let (sender, begun) = mpsc::channel();
        let calls: Vec<_> = (1..=9)
            .map(|name| {
                let sender = sender.clone();
                spawn_blocking(move || sender.send(name).unwrap())
            })
            .collect();
        // Those that are not to be leave no gap and no disorder.
        calls[3].abort();
        calls[7].abort();
        gate.open();
        first.await.unwrap();
        let aborted = join_all(calls).await.into_iter().filter(Result::is_err).count();
        drop(sender);
        assert_eq!((aborted, begun.iter().collect::<Vec<i32>>()), (2, vec![1, 2, 3, 5, 6, 7, 9]));
    });
}

fn aborted_before_it_begins(env: &Env) {
    let runtime = env.builder().blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let gate = Gate::default();
        let first = held(&gate, 1).await;
        let (sender, dropped) = mpsc::channel();
        let guard = OnDrop(move || sender.send(thread::current().id()).unwrap());
        let mut second = spawn_blocking(move || drop(guard));
        assert!(poll!(&mut second).is_pending());
        assert!(!second.is_finished() && dropped.try_recv().is_err());
        second.abort();
        // At once, and here.
        assert_eq!(dropped.try_recv(), Ok(thread::current().id()));
        assert!(second.is_finished());
        second.abort();
        assert!(cancelled(second.await));
        gate.open();
        assert_eq!(first.await.unwrap(), 1);
        assert!(dropped.try_recv().is_err());
    });
}

fn aborted_while_it_runs(env: &Env) {
    env.run(async {
        let gate = Gate::default();
        let call = held(&gate, "went on").await;
        call.abort();
        assert!(!call.is_finished());
        gate.open();
        assert_eq!(call.await.unwrap(), "went on");
        let call = spawn_blocking(|| ());
        while !call.is_finished() {
            yield_now().await;
        }
        call.abort();
        call.await.unwrap();
    });
}

fn aborts_that_race_with_the_begin(env: &Env) {
    let runtime = env.builder().blocking_threads(2).build().unwrap();
    runtime.block_on(async {
        let (calls, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for round in 0..2000 {
            let (called, dropped) = (Arc::clone(&calls), Arc::clone(&drops));
            let guard = OnDrop(move || _ = dropped.fetch_add(1, Ordering::SeqCst));
            let before = calls.load(Ordering::SeqCst);
            let call = spawn_blocking(move || {
                called.fetch_add(1, Ordering::SeqCst);
                drop(guard);
            });
            (0..round % 100 * 20).for_each(|_| std::hint::spin_loop());
            call.abort();
            // Either it was called, or it was dropped uncalled: not both, and not neither.
            let called = usize::from(call.await.is_ok());
            assert_eq!(
                (calls.load(Ordering::SeqCst), drops.load(Ordering::SeqCst)),
                (before + called, round + 1)
            );
        }
    });
}

fn ten_thousand_calls(env: &Env) {
    env.run(async {
        let calls: Vec<_> = (0..10_000u64).map(|n| spawn_blocking(move || 2 * n)).collect();
        let mut sum = 0;
        for call in calls {
            sum += call.await.unwrap();
        }
        assert_eq!(sum, 10_000 * 9_999);
    });
}

/// Each answer is awaited before the next call: a single one that is lost is a hang.
fn wakes_a_loop_that_sleeps(env: &Env) {
    env.run(async {
        for round in 0..5000 {
            assert_eq!(spawn_blocking(move || round).await.unwrap(), round);
        }
        // Several tasks, each with its own.
        let tasks = (0..8).map(|_| {
            spawn(async {
                for round in 0..500 {
                    assert_eq!(spawn_blocking(move || round).await.unwrap(), round);
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

fn wakes_a_loop_that_is_busy(env: &Env) {
    env.run(async {
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        let ticks = spawn(async {
            loop {
                sleep(Duration::from_micros(100)).await;
            }
        });
        for round in 0..1000 {
            assert_eq!(spawn_blocking(move || round).await.unwrap(), round);
        }
        busy.abort();
        ticks.abort();
        assert!(cancelled::<()>(busy.await) && cancelled::<()>(ticks.await));
    });
}

fn awaited_on_another_thread(env: &Env) {
    env.run(async {
        let gate = Gate::default();
        let call = held(&gate, 5).await;
        let thread = thread::spawn(move || futures::executor::block_on(call));
        gate.open();
        assert_eq!(spawn_blocking(move || thread.join().unwrap()).await.unwrap().unwrap(), 5);
    });
}
