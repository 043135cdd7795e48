//! Sleeps and timeouts.

use std::cell::Cell;
use std::fs;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use carhop::time::{Elapsed, Instant, Sleep, sleep, sleep_until, timeout, timeout_at};
use carhop::{spawn, yield_now};
use futures::{FutureExt, poll};

use crate::pattern::Dice;

use super::support::{Count, OnDrop, join_all};
use super::{Env, trials};

trials![
    a_hundred_thousand_sleeps,
    a_million_sleeps_inserted_and_cancelled,
    a_million_sleeps_at_a_time,
    none_is_early_by_the_clock_of_others: Time,
    an_idle_loop_is_on_time,
    a_crowd_shares_wake_ups,
    never,
    in_the_past,
    reset,
    reset_by_its_own_end,
    polled_on_another_runtime,
    polled_on_another_runtime_it_leaves_nothing_behind,
    ended_on_another_thread,
    dropped_while_its_runtime_does_not_run,
    dropped_by_its_neighbour,
    a_timeout_of_what_is_ready,
    a_timeout_of_what_is_late,
    timeouts_within_timeouts,
    instants,
];

const HOUR: Duration = Duration::from_secs(3600);

fn a_hundred_thousand_sleeps(env: &Env) {
    let ends = Count::default();
    env.run(async {
        let mut dice = Dice::new();
        let start = Instant::now();
        let tasks: Vec<_> = (0..100_000)
            .map(|_| {
                let (ends, deadline) =
                    (ends.clone(), start + Duration::from_nanos(dice.roll(1 << 29) as u64));
                spawn(async move {
                    sleep_until(deadline).await;
                    assert!(Instant::now() >= deadline);
                    ends.add();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(ends.get(), 100_000);
}

/// A waker that does nothing. How many of them there are, the `Arc` tells.
struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

fn a_million_sleeps_inserted_and_cancelled(env: &Env) {
    let counter = Arc::new(Nothing);
    let waker = Waker::from(Arc::clone(&counter));
    let mut cx = Context::from_waker(&waker);
    env.run(async {
        let mut dice = Dice::new();
        for _ in 0..1_000_000 {
            let mut sleep = sleep(HOUR + Duration::from_nanos(dice.roll(1 << 50) as u64));
            assert!(sleep.poll_unpin(&mut cx).is_pending());
            assert_eq!(Arc::strong_count(&counter), 3);
            drop(sleep);
            assert_eq!(Arc::strong_count(&counter), 2);
        }
    });
}

fn a_million_sleeps_at_a_time(env: &Env) {
    let counter = Arc::new(Nothing);
    let waker = Waker::from(Arc::clone(&counter));
    let mut cx = Context::from_waker(&waker);
    env.run(async {
        let mut dice = Dice::new();
        let mut sleeps: Vec<Sleep> = Vec::new();
        for _ in 0..1_000_000 {
            let mut sleep = sleep(HOUR + Duration::from_nanos(dice.roll(1 << 50) as u64));
            assert!(sleep.poll_unpin(&mut cx).is_pending());
            sleeps.push(sleep);
        }
        assert_eq!(Arc::strong_count(&counter), 1_000_002);
        // The loop works among them.
        sleep(Duration::from_micros(10)).await;
        drop(sleeps);
        assert_eq!(Arc::strong_count(&counter), 2);
    });
}

fn none_is_early_by_the_clock_of_others(env: &Env) {
    env.run(async {
        for step in 0..200u64 {
            let duration = Duration::from_nanos(step * step * 50);
            let start = std::time::Instant::now();
            sleep(duration).await;
            assert!(start.elapsed() >= duration, "{duration:?} took {:?}", start.elapsed());
        }
        // So long that epoll may be told less than the truth.
        let start = std::time::Instant::now();
        sleep(Duration::from_millis(120)).await;
        assert!(start.elapsed() >= Duration::from_millis(120));
    });
}

fn an_idle_loop_is_on_time(env: &Env) {
    env.run(async {
        let mut least = Duration::MAX;
        for duration in [1, 3, 60].map(Duration::from_millis).into_iter().cycle().take(15) {
            let deadline = Instant::now() + duration;
            sleep_until(deadline).await;
            least = least.min(deadline.elapsed());
        }
        // On a busy machine some are later, but not all.
        assert!(least < Duration::from_millis(1), "{least:?} late at best");
    });
}

/// That the loop's thread gave up its processor since it began: whoever holds it up makes that less often.
fn sleeps_of_this_thread() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

fn a_crowd_shares_wake_ups(env: &Env) {
    const COUNT: u32 = 10_000;
    const APART: Duration = Duration::from_micros(10);
    env.run(async {
        let start = Instant::now() + Duration::from_millis(50);
        let sleeps: Vec<_> = (0..COUNT).map(|n| spawn(sleep_until(start + APART * n))).collect();
        // An hour's, so that they are many to the end.
        let crowd: Vec<_> = (0..100).map(|_| spawn(sleep(HOUR))).collect();
        yield_now().await;
        let before = sleeps_of_this_thread();
        join_all(sleeps).await;
        let slept = sleeps_of_this_thread() - before;
        // Once in 50 us at most, where a wake-up for each would be 10,000.
        assert!(slept <= 2_100, "{slept}");
        crowd.into_iter().for_each(|task| task.abort());
    });
}

fn never(env: &Env) {
    env.run(async {
        let mut forever = [
            sleep(Duration::MAX),
            sleep_until(Instant::now() + Duration::MAX),
            sleep_until(Instant::now() + HOUR + Duration::MAX),
        ];
        for sleep in &mut forever {
            assert!(poll!(&mut *sleep).is_pending());
            assert_eq!(format!("{:?}", sleep.deadline()), "Instant(never)");
        }
        sleep(Duration::from_millis(2)).await;
        assert!(forever.iter_mut().all(|sleep| sleep.now_or_never().is_none()));
        // It can be changed.
        forever[0].reset(Instant::now());
        (&mut forever[0]).await;
        assert_eq!(timeout(Duration::MAX, yield_now()).await, Ok(()));
    });
}

fn in_the_past(env: &Env) {
    env.run(async {
        for deadline in
            [Instant::now(), Instant::now() - Duration::from_millis(1), Instant::now() - Duration::MAX]
        {
            let mut sleep = sleep_until(deadline);
            assert!(poll!(&mut sleep).is_pending(), "a sleep takes a turn at least");
            sleep.await;
        }
    });
}

fn reset(env: &Env) {
    env.run(async {
        let mut sleep = sleep(HOUR);
        assert!(poll!(&mut sleep).is_pending());
        // Sooner.
        let sooner = Instant::now() + Duration::from_millis(2);
        sleep.reset(sooner);
        assert_eq!(sleep.deadline(), sooner);
        assert!(poll!(&mut sleep).is_pending());
        // Later.
        let later = sooner + Duration::from_millis(2);
        sleep.reset(later);
        (&mut sleep).await;
        assert!(Instant::now() >= later);
        // When it has ended.
        let again = Instant::now() + Duration::from_millis(1);
        sleep.reset(again);
        sleep.await;
        assert!(Instant::now() >= again);
    });
}

fn reset_by_its_own_end(env: &Env) {
    env.run(async {
        let mut sleep = Box::pin(sleep(Duration::from_micros(1)));
        let mut ends = 0;
        poll_fn(|cx| {
            while sleep.as_mut().poll(cx).is_ready() {
                ends += 1;
                if ends == 1000 {
                    return Poll::Ready(());
                }
                sleep.as_mut().reset(Instant::now() + Duration::from_nanos(ends));
            }
            Poll::Pending
        })
        .await;
    });
}

fn polled_on_another_runtime(env: &Env) {
    let (one, other) = (env.runtime(), env.runtime());
    let deadline = Instant::now() + Duration::from_millis(2);
    let mut sleep = sleep_until(deadline);
    for runtime in [&one, &other, &one] {
        runtime.block_on(async { assert!(Instant::now() >= deadline || poll!(&mut sleep).is_pending()) });
    }
    other.block_on(async {
        (&mut sleep).await;
        assert!(Instant::now() >= deadline);
    });
    one.block_on(yield_now());
}

fn polled_on_another_runtime_it_leaves_nothing_behind(env: &Env) {
    struct Idle;
    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }
    let (one, other, idle) = (env.runtime(), env.runtime(), Arc::new(Idle));
    let (mut sleep, waker) = (Box::pin(sleep(HOUR)), Waker::from(Arc::clone(&idle)));
    for runtime in [&one, &other, &one] {
        let poll = async { sleep.as_mut().poll(&mut Context::from_waker(&waker)) };
        assert!(runtime.block_on(poll).is_pending());
        assert_eq!(Arc::strong_count(&idle), 3, "ours, the waker, and one in a wheel");
    }
    drop(sleep);
    assert_eq!(Arc::strong_count(&idle), 2);
}

fn ended_on_another_thread(env: &Env) {
    let env = *env;
    let (mut awaited, mut dropped) = (sleep(Duration::from_millis(2)), sleep(Duration::from_millis(2)));
    let runtime = env.runtime();
    runtime.block_on(async { assert!(poll!(&mut awaited).is_pending() && poll!(&mut dropped).is_pending()) });
    let elsewhere = move || {
        drop(dropped);
        env.run(async {
            let deadline = awaited.deadline();
            awaited.await;
            assert!(Instant::now() >= deadline);
        });
    };
    std::thread::spawn(elsewhere).join().unwrap();
    runtime.block_on(sleep(Duration::from_millis(3)));
}

fn dropped_by_its_neighbour(env: &Env) {
    // Due together: the end of the first drops the others.
    let ended = Count::default();
    env.run(async {
        let deadline = Instant::now() + Duration::from_millis(1);
        let others: Rc<Cell<Vec<carhop::JoinHandle<()>>>> = Rc::default();
        let first = spawn({
            let others = Rc::clone(&others);
            async move {
                sleep_until(deadline).await;
                others.take().iter().for_each(carhop::JoinHandle::abort);
            }
        });
        let sleeper = || {
            let ended = ended.clone();
            spawn(async move {
                sleep_until(deadline).await;
                ended.add();
            })
        };
        others.set((0..10).map(|_| sleeper()).collect());
        first.await.unwrap();
        sleep(Duration::from_millis(1)).await;
    });
    assert_eq!(ended.get(), 0);
}

fn dropped_while_its_runtime_does_not_run(env: &Env) {
    let counter = Arc::new(Nothing);
    let waker = Waker::from(Arc::clone(&counter));
    let (runtime, other) = (env.runtime(), env.runtime());
    let waiting = || {
        let mut sleep = sleep(HOUR);
        runtime.block_on(async {
            assert!(sleep.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
        });
        assert_eq!(Arc::strong_count(&counter), 3);
        sleep
    };
    drop(waiting());
    assert_eq!(Arc::strong_count(&counter), 2, "dropped");
    waiting().reset(Instant::now() + HOUR);
    assert_eq!(Arc::strong_count(&counter), 2, "reset");
    let sleep = waiting();
    other.block_on(async { drop(sleep) });
    assert_eq!(Arc::strong_count(&counter), 2, "dropped on another runtime");
}

fn a_timeout_of_what_is_ready(env: &Env) {
    env.run(async {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(Instant::now() - HOUR, ready(2)).await, Ok(2));
        assert_eq!(timeout(HOUR, async { yield_now().await }).await, Ok(()));
        assert_eq!(timeout(HOUR, spawn(async { 3 })).await.unwrap().unwrap(), 3);
    });
}

fn a_timeout_of_what_is_late(env: &Env) {
    env.run(async {
        let drops = Count::default();
        let dropped = drops.clone();
        let late = async move {
            let _guard = OnDrop(move || dropped.add());
            pending::<()>().await
        };
        let deadline = Instant::now() + Duration::from_millis(1);
        let elapsed: Elapsed = timeout_at(deadline, late).await.unwrap_err();
        assert!(Instant::now() >= deadline);
        assert_eq!(drops.get(), 1);
        assert_eq!(elapsed.to_string(), "the deadline has elapsed");
        assert_eq!(io::Error::from(elapsed).kind(), io::ErrorKind::TimedOut);
        assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
    });
}

fn timeouts_within_timeouts(env: &Env) {
    env.run(async {
        let inner = timeout(Duration::from_millis(1), pending::<()>());
        assert!(timeout(HOUR, inner).await.unwrap().is_err());
        let inner = timeout(HOUR, pending::<()>());
        assert!(timeout(Duration::from_millis(1), inner).await.is_err());
        // A task that is busy for longer: the inner future still has the first word.
        let late = async {
            yield_now().await;
            let until = Instant::now() + Duration::from_millis(1);
            while Instant::now() < until {}
        };
        assert_eq!(timeout(Duration::from_micros(500), late).await, Ok(()));
    });
}

fn instants(env: &Env) {
    env.run(async {
        // Nothing is before the origin of time, which may be now.
        sleep(Duration::from_micros(1)).await;
        let now = Instant::now();
        let never = now + Duration::MAX;
        assert!(now < never && never == never + HOUR && never - now > 100 * HOUR);
        assert_eq!(
            (now - never, now.duration_since(never), never.elapsed()),
            (Duration::ZERO, Duration::ZERO, Duration::ZERO)
        );
        assert_eq!((now + HOUR) - now, HOUR);
        let mut moved = now;
        moved += HOUR;
        moved -= 2 * HOUR;
        assert!(moved < now && (now - Duration::MAX) <= moved);
        let (before, std, after) = (Instant::now(), std::time::Instant::now(), Instant::now());
        let converted = Instant::from(std);
        assert!(
            converted.duration_since(before) < Duration::from_secs(1)
                && after - converted < Duration::from_secs(1)
        );
        assert!(Instant::from(std + HOUR) > after);
    });
}
