//! Timers: to insert and cancel one, alone and among many, and to wait for very many.

use std::cell::Cell;
use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use carhop::time::sleep_until;
use criterion::Criterion;
use rustix::time::{ClockId, clock_gettime};

use crate::subject::{Carhop, Group, Subject, bench, run, start};
use crate::{is_test, on_each};

type Timers = Vec<Pin<Box<dyn Future<Output = ()>>>>;

pub fn insert_and_cancel(c: &mut Criterion) {
    let mut group = c.benchmark_group("timer, insert and cancel");
    on_each!([Carhop], alone, &mut group);
    bench::<Carhop>(&mut group, "carhop, sleep_until", |b, runtime| {
        b.iter_custom(|iters| run(runtime, absolute(iters)));
    });
    group.finish();

    let mut group = c.benchmark_group("timer, insert and cancel among 1000000");
    on_each!([Carhop], among_many, &mut group);
    with_many::<Carhop, _>(&mut group, "carhop, sleep_until", absolute);
    group.finish();
}

fn alone<S: Subject>(group: &mut Group<'_>) {
    bench::<S>(group, S::NAME, |b, runtime| b.iter_custom(|iters| run(runtime, relative::<S>(iters))));
}

fn among_many<S: Subject>(group: &mut Group<'_>) {
    with_many::<S, _>(group, S::NAME, relative::<S>);
}

async fn relative<S: Subject>(iters: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..iters {
        register(pin!(S::sleep(black_box(Duration::from_secs(30))))).await;
    }
    start.elapsed()
}

/// The same without a look at the clock.
async fn absolute(iters: u64) -> Duration {
    let deadline = carhop::time::Instant::now() + Duration::from_secs(30);
    let start = Instant::now();
    for _ in 0..iters {
        register(pin!(sleep_until(black_box(deadline)))).await;
    }
    start.elapsed()
}

/// Measures while there are a million timers, spread over an hour.
fn with_many<S: Subject, F: Future<Output = Duration> + 'static>(
    group: &mut Group<'_>,
    name: &str,
    measure: fn(u64) -> F,
) {
    let Some(mut runtime) = start::<S>(name) else { return };
    let live = run(&mut runtime, insert_many::<S>(if is_test() { 1_000 } else { 1_000_000 }));
    group.bench_function(name, |b| b.iter_custom(|iters| run(&mut runtime, measure(iters))));
    // Some find their runtime only from within it.
    run(&mut runtime, async move { drop(live) });
}

async fn insert_many<S: Subject>(count: u64) -> Timers {
    let mut timers = Timers::new();
    for n in 0..count {
        let mut timer = Box::pin(S::sleep(Duration::from_secs(60) + scattered(n, 3_600_000)));
        // They never fire. And glommio counts the wakers of a task with 16 bits.
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

/// Tasks that sleep for up to a second, all at once: what that costs, and how late they wake.
pub fn many_sleeps(c: &mut Criterion) {
    // Not the time that it takes, which is a second whoever does it.
    let mut group = c.benchmark_group("100000 sleeps, CPU time");
    patient(&mut group);
    on_each!([Carhop], cpu_of_sleeps, &mut group);
    group.finish();

    let mut group = c.benchmark_group("100000 sleeps, mean lateness");
    patient(&mut group);
    on_each!([Carhop], lateness_of_sleeps, &mut group);
    group.finish();
}

/// An iteration takes a second.
fn patient(group: &mut Group<'_>) {
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(10));
}

fn cpu_of_sleeps<S: Subject>(group: &mut Group<'_>) {
    bench::<S>(group, S::NAME, |b, runtime| {
        b.iter_custom(|iters| (0..iters).map(|_| sleep_many(runtime).cpu).sum());
    });
}

fn lateness_of_sleeps<S: Subject>(group: &mut Group<'_>) {
    bench::<S>(group, S::NAME, |b, runtime| {
        b.iter_custom(|iters| (0..iters).map(|_| sleep_many(runtime).mean_lateness).sum());
    });
}

struct Slept {
    /// Of the whole process: some have timers in a thread of their own.
    cpu: Duration,
    mean_lateness: Duration,
}

fn sleep_many<S: Subject>(runtime: &mut S) -> Slept {
    let (count, range) = if is_test() { (100, 10) } else { (100_000, 1_000) };
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
