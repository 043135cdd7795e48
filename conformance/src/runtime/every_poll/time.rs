//! Sleeping, deadlines and intervals.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::time::Duration;

use carhop::spawn;
use carhop::sync::{Mutex, Semaphore};
use carhop::time::{Instant, Interval, interval, sleep, timeout, timeout_at};
use runtime_core::{Nanos, sleep, under_way};

use super::{Probe, futures, yields};

futures!(
    sleeping: "time::Sleep",
    sleeping_below: "sleep::Sleep",
    a_timeout: "timeout::timeout",
    a_timeout_at: "timeout::timeout_at",
    a_timeout_that_is_in_time: "timeout::timeout",
    tick: "interval::Interval::tick",
    poll_tick: "interval::Interval::poll_tick",
);

const A_WHILE: Duration = Duration::from_micros(200);

/// That of the trial itself.
const NO_TIMER: usize = 1;

/// A timer that is not waited for is taken out of the wheel at once.
async fn drive_a_timer<T: 'static>(probe: &Probe, future: impl Future<Output = T> + 'static) -> Option<T> {
    let output = probe.drive(future).await;
    assert_eq!(under_way().timers, NO_TIMER);
    output
}

async fn sleeping(probe: &Probe) {
    let start = Instant::now();
    let slept = drive_a_timer(probe, sleep(A_WHILE)).await;
    assert!(slept.is_none() || start.elapsed() >= A_WHILE);
}

async fn sleeping_below(probe: &Probe) {
    let deadline = sleep::now().saturating_add(A_WHILE);
    let slept = drive_a_timer(probe, sleep::Sleep::until(deadline)).await;
    assert!(slept.is_none() || sleep::now() >= deadline);
    assert!(deadline < Nanos::NEVER);
}

async fn a_timeout(probe: &Probe) {
    let ended = drive_a_timer(probe, timeout(A_WHILE, pending::<()>())).await;
    assert!(ended.is_none_or(|ended| ended.is_err()));
}

async fn a_timeout_at(probe: &Probe) {
    let ended = drive_a_timer(probe, timeout_at(Instant::now() + A_WHILE, pending::<()>())).await;
    assert!(ended.is_none_or(|ended| ended.is_err()));
}

/// What it limits is dropped with it.
async fn a_timeout_that_is_in_time(probe: &Probe) {
    let semaphore = Rc::new(Semaphore::new(0));
    let (adding, tested) = (Rc::clone(&semaphore), Rc::clone(&semaphore));
    let adder = spawn(async move {
        yields(3).await;
        adding.add_permits(1);
    });
    let acquire = async move { drop(tested.acquire().await.unwrap()) };
    let acquired = drive_a_timer(probe, timeout(Duration::from_secs(1000), acquire)).await;
    assert!(acquired.is_none_or(|acquired| acquired.is_ok()));
    adder.await.unwrap();
    drop(semaphore.try_acquire().unwrap());
}

async fn tick(probe: &Probe) {
    ticking(probe, async |interval| interval.tick().await).await;
}

async fn poll_tick(probe: &Probe) {
    ticking(probe, async |interval| poll_fn(|cx| interval.poll_tick(cx)).await).await;
}

/// All ticks come, each once.
async fn ticking(probe: &Probe, next: impl AsyncFn(&mut Interval) -> Instant + 'static) {
    let world = Rc::new(Mutex::new((interval(A_WHILE), vec![])));
    let tested = Rc::clone(&world);
    let two_ticks = async move {
        let (interval, ticks) = &mut *tested.try_lock().unwrap();
        while ticks.len() < 2 {
            ticks.push(next(interval).await);
        }
    };
    // The timer is the interval's.
    probe.drive_a_loan(two_ticks).await;
    let (interval, ticks) = &mut *world.try_lock().unwrap();
    while ticks.len() < 3 {
        ticks.push(interval.tick().await);
    }
    assert!(ticks.iter().zip(&ticks[1..]).all(|(&tick, &next)| next - tick == A_WHILE), "{ticks:?}");
}
