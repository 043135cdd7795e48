//! Timers: to insert and cancel one, alone and among many, and to wait for very many.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::subject::{Deadlines, Subject, run};
use super::{Measured, Part, Size, Unit, contenders};

/// The contenders that have timers with a deadline.
macro_rules! by_deadline {
    ($how:ident $function:ident) => {
        contenders!($how $function, [OnEpoll, OnUring], [Tokio, Monoio, Compio, TokioUring, Smol])
    };
}

pub const PARTS: &[Part] = &[
    Part::new("timer, insert and cancel, by deadline", by_deadline!(run alone_by_deadline)),
    Part::new("timer, insert and cancel, by duration", contenders!(run alone_by_duration)),
    Part::new("timer among 1000000, by deadline", by_deadline!(prepare among_many_by_deadline)),
    Part::new("timer among 1000000, by duration", contenders!(prepare among_many_by_duration)),
    // Not the time that they take, which is a second whoever does it.
    Part {
        unit: Unit::Ms,
        takes_a_second: true,
        ..Part::new("100000 sleeps, CPU time", contenders!(prepare cpu_of_sleeps))
    },
    Part {
        unit: Unit::Us,
        takes_a_second: true,
        ..Part::new("100000 sleeps, mean lateness", contenders!(prepare lateness_of_sleeps))
    },
];

type Timers = Vec<Pin<Box<dyn Future<Output = ()>>>>;

fn alone_by_deadline<S: Deadlines>(runtime: &mut S, iters: u64) -> Duration {
    run(runtime, async move {
        // Once, so that what is measured does not look at the clock.
        let deadline = S::after(Duration::from_secs(30));
        let start = Instant::now();
        for _ in 0..iters {
            register(pin!(S::sleep_until(black_box(deadline)))).await;
        }
        start.elapsed()
    })
}

fn alone_by_duration<S: Subject>(runtime: &mut S, iters: u64) -> Duration {
    run(runtime, async move {
        let start = Instant::now();
        for _ in 0..iters {
            register(pin!(S::sleep(black_box(Duration::from_secs(30))))).await;
        }
        start.elapsed()
    })
}

fn among_many_by_deadline<S: Deadlines>(size: Size) -> io::Result<Measured> {
    among_many(size, alone_by_deadline::<S>)
}

fn among_many_by_duration<S: Subject>(size: Size) -> io::Result<Measured> {
    among_many(size, alone_by_duration::<S>)
}

/// Measures while there are a million timers, spread over an hour.
fn among_many<S: Subject>(size: Size, measure: fn(&mut S, u64) -> Duration) -> io::Result<Measured> {
    let mut runtime = S::start()?;
    let live = run(&mut runtime, insert_many::<S>(if size == Size::Small { 1_000 } else { 1_000_000 }));
    let mut crowd = Crowd { runtime, live };
    Ok(Box::new(move |iters| measure(&mut crowd.runtime, iters)))
}

/// A runtime with its timers.
struct Crowd<S: Subject> {
    runtime: S,
    live: Timers,
}

impl<S: Subject> Drop for Crowd<S> {
    fn drop(&mut self) {
        // Some find their runtime only from within it.
        let live = mem::take(&mut self.live);
        run(&mut self.runtime, async move { drop(live) });
    }
}

async fn insert_many<S: Subject>(count: u64) -> Timers {
    let mut timers = Timers::new();
    for n in 0..count {
        let mut timer = Box::pin(S::sleep(Duration::from_secs(3600) + scattered(n, 3_600_000)));
        // They fire in an hour at the earliest. And glommio counts the wakers of a task with 16 bits.
        assert!(timer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        timers.push(timer);
    }
    timers
}

/// One of `range` milliseconds. A multiplicative hash (Knuth's) scatters them.
fn scattered(n: u64, range: u64) -> Duration {
    Duration::from_millis(n.wrapping_mul(2_654_435_761) % range)
}

/// Polls a timer once, which inserts it.
async fn register(mut timer: Pin<&mut impl Future<Output = ()>>) {
    poll_fn(|cx| {
        assert!(timer.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

fn cpu_of_sleeps<S: Subject>(size: Size) -> io::Result<Measured> {
    many_sleeps::<S>(size, |slept| slept.cpu)
}

fn lateness_of_sleeps<S: Subject>(size: Size) -> io::Result<Measured> {
    many_sleeps::<S>(size, |slept| slept.mean_lateness)
}

/// Tasks that sleep for up to a second, all at once: what that costs, and how late they wake.
fn many_sleeps<S: Subject>(size: Size, figure: fn(Slept) -> Duration) -> io::Result<Measured> {
    let mut runtime = S::start()?;
    Ok(Box::new(move |iters| (0..iters).map(|_| figure(sleep_many(&mut runtime, size))).sum()))
}

struct Slept {
    /// Of the whole process: some have timers in a thread of their own.
    cpu: Duration,
    mean_lateness: Duration,
}

fn sleep_many<S: Subject>(runtime: &mut S, size: Size) -> Slept {
    let (count, range) = if size == Size::Small { (100, 10) } else { (100_000, 1_000) };
    run(runtime, async move {
        let before = cpu_time();
        let late = Rc::new(Cell::new(Duration::ZERO));
        let mut sleepers = Vec::new();
        for n in 0..count {
            let late = Rc::clone(&late);
            sleepers.push(S::spawn(async move {
                let duration = scattered(n.into(), range);
                let deadline = Instant::now() + duration;
                S::sleep(duration).await;
                late.set(late.get() + deadline.elapsed());
            }));
        }
        for sleeper in sleepers {
            sleeper.await;
        }
        Slept { cpu: cpu_time() - before, mean_lateness: late.get() / count }
    })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
