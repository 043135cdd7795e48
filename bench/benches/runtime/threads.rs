//! Wakes from another thread.

use std::future::poll_fn;
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Instant;

use criterion::Criterion;
use futures::channel::mpsc;
use futures::task::AtomicWaker;
use futures::{SinkExt, StreamExt};

use crate::on_each;
use crate::subject::{Group, OnEpoll, OnUring, Subject, bench, run};

pub fn wakes(c: &mut Criterion) {
    let mut group = c.benchmark_group("cross-thread wake, round trip, asleep");
    on_each!([OnEpoll, OnUring], wake_asleep, &mut group);
    group.finish();

    let mut group = c.benchmark_group("cross-thread wake, round trip, busy");
    on_each!([OnEpoll, OnUring], wake_busy, &mut group);
    group.finish();
}

/// A message to another runtime in another thread and back. Both sleep in the kernel meanwhile.
fn wake_asleep<S: Subject>(group: &mut Group<'_>) {
    bench::<S>(group, S::NAME, |b, runtime| {
        let (there, mut arrivals) = mpsc::channel::<()>(0);
        let (mut back, answers) = mpsc::channel::<()>(0);
        let other = thread::spawn(move || {
            run(&mut S::start().unwrap(), async move {
                while arrivals.next().await.is_some() {
                    back.send(()).await.unwrap();
                }
            });
        });
        let mut ends = Some((there, answers));
        b.iter_custom(|iters| {
            let (mut there, mut answers) = ends.take().expect("given back each time");
            let (time, returned) = run(runtime, async move {
                let start = Instant::now();
                for _ in 0..iters {
                    there.send(()).await.unwrap();
                    answers.next().await.unwrap();
                }
                (start.elapsed(), (there, answers))
            });
            ends = Some(returned);
            time
        });
        drop(ends);
        other.join().unwrap();
    });
}

/// A request to another thread, which looks for it all the time and answers with a wake. The runtime has
/// something else to do meanwhile, so that nothing sleeps.
fn wake_busy<S: Subject>(group: &mut Group<'_>) {
    if !S::IS_FAIR {
        return eprintln!("skipped: {}: no other task runs while one does nothing but yield", S::NAME);
    }
    bench::<S>(group, S::NAME, |b, runtime| {
        b.iter_custom(|iters| {
            let desk = Arc::new(Desk::default());
            let theirs = Arc::clone(&desk);
            let other = thread::spawn(move || (1..=iters).for_each(|n| theirs.answer(n)));
            let time = run(runtime, async move {
                let busy = Arc::clone(&desk);
                let work = S::spawn(async move {
                    while !busy.closed.load(Ordering::Relaxed) {
                        S::yield_now().await;
                    }
                });
                let start = Instant::now();
                for n in 1..=iters {
                    desk.ask(n).await;
                }
                let time = start.elapsed();
                desk.closed.store(true, Ordering::Relaxed);
                work.await;
                time
            });
            other.join().unwrap();
            time
        });
    });
}

/// Where one thread asks and another answers.
#[derive(Default)]
struct Desk {
    asked: AtomicU64,
    answered: AtomicU64,
    waker: AtomicWaker,
    closed: AtomicBool,
}

impl Desk {
    async fn ask(&self, n: u64) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            self.asked.store(n, Ordering::Release);
            if self.answered.load(Ordering::Acquire) == n { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn answer(&self, n: u64) {
        let mut tries = 0;
        while self.asked.load(Ordering::Acquire) < n {
            tries += 1;
            // The other one may be waiting for this core.
            if tries % 1_000 == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
        self.answered.store(n, Ordering::Release);
        self.waker.wake();
    }
}
