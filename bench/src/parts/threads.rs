//! Wakes from another thread.

use std::future::poll_fn;
use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::task::AtomicWaker;
use futures::{SinkExt, StreamExt};

use super::subject::{Subject, run};
use super::{Part, contenders};

pub const PARTS: &[Part] = &[
    Part::new("cross-thread wake, round trip, asleep", contenders!(run wake_asleep)),
    // Where no other task runs while one does nothing but yield, it would take for ever: monoio lets such a task
    // go first.
    Part::new(
        "cross-thread wake, round trip, busy",
        contenders!(run wake_busy, [OnEpoll, OnUring], [Tokio, Compio, Glommio, TokioUring, Smol]),
    ),
];

/// A message to another runtime in another thread and back. Both sleep in the kernel meanwhile.
fn wake_asleep<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    let (mut there, mut arrivals) = mpsc::channel::<()>(0);
    let (mut back, mut answers) = mpsc::channel::<()>(0);
    let other = thread::spawn(move || {
        run(&mut S::start().expect("it could be started before"), async move {
            while arrivals.next().await.is_some() {
                back.send(()).await.unwrap();
            }
        });
    });
    let time = run(runtime, async move {
        // The other one has its runtime when the first answer comes.
        there.send(()).await.unwrap();
        answers.next().await.unwrap();
        let start = Instant::now();
        for _ in 0..iters {
            there.send(()).await.unwrap();
            answers.next().await.unwrap();
        }
        start.elapsed()
    });
    other.join().unwrap();
    time
}

/// A request to another thread, which looks for it all the time and answers with a wake. The runtime has
/// something else to do meanwhile, so that nothing sleeps.
fn wake_busy<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
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
