//! Intervals. What a tick says is when it was due, so nothing here depends on how busy the machine is.

use std::time::Duration;

use carhop::time::{Instant, Interval, MissedTickBehavior, interval, interval_at, sleep, timeout};
use futures::poll;

use super::support::panic_of;
use super::{Env, trials};

trials![
    the_first_tick_comes_at_once,
    ticks_are_a_period_apart,
    a_late_user_catches_up,
    a_late_user_starts_anew,
    a_late_user_skips,
    a_tick_that_nobody_awaits_to_the_end_is_not_lost,
    reset,
    periods_that_make_no_sense,
];

const PERIOD: Duration = Duration::from_millis(2);

/// An interval whose user was away for more than three periods after the first tick.
async fn neglected(missed: MissedTickBehavior) -> (Interval, Instant) {
    let mut interval = interval(PERIOD);
    assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
    interval.set_missed_tick_behavior(missed);
    let first = interval.tick().await;
    sleep(PERIOD * 7 / 2).await;
    (interval, first)
}

fn the_first_tick_comes_at_once(env: &Env) {
    env.run(async {
        let before = Instant::now();
        let mut regular = interval(Duration::from_secs(3600));
        let first = regular.tick().await;
        assert!(before <= first && first <= Instant::now());
        assert!(poll!(Box::pin(regular.tick())).is_pending());
        let start = Instant::now() + PERIOD;
        let mut later = interval_at(start, Duration::from_secs(3600));
        assert_eq!(later.tick().await, start);
        assert!(Instant::now() >= start);
    });
}

fn ticks_are_a_period_apart(env: &Env) {
    env.run(async {
        let mut interval = interval(Duration::from_micros(300));
        assert_eq!(interval.period(), Duration::from_micros(300));
        let first = interval.tick().await;
        for n in 1..50 {
            let due = interval.tick().await;
            assert_eq!(due, first + n * Duration::from_micros(300));
            assert!(Instant::now() >= due);
        }
    });
}

fn a_late_user_catches_up(env: &Env) {
    env.run(async {
        let (mut interval, first) = neglected(MissedTickBehavior::Burst).await;
        for n in 1..6 {
            assert_eq!(interval.tick().await, first + n * PERIOD);
        }
    });
}

fn a_late_user_starts_anew(env: &Env) {
    env.run(async {
        let (mut interval, first) = neglected(MissedTickBehavior::Delay).await;
        let away_until = Instant::now();
        assert_eq!(interval.tick().await, first + PERIOD);
        let next = interval.tick().await;
        assert!(next >= away_until + PERIOD);
    });
}

fn a_late_user_skips(env: &Env) {
    env.run(async {
        let (mut interval, first) = neglected(MissedTickBehavior::Skip).await;
        let away_until = Instant::now();
        assert_eq!(interval.tick().await, first + PERIOD);
        let next = interval.tick().await;
        assert!(next > away_until);
        assert_eq!((next - first).as_nanos() % PERIOD.as_nanos(), 0);
    });
}

fn a_tick_that_nobody_awaits_to_the_end_is_not_lost(env: &Env) {
    env.run(async {
        let mut interval = interval(PERIOD);
        let first = interval.tick().await;
        for n in 1..4 {
            // A sleep takes a turn at least, so the first polls come too early, however late it is.
            for _ in 0..3 {
                assert!(poll!(Box::pin(interval.tick())).is_pending());
            }
            assert_eq!(interval.tick().await, first + n * PERIOD);
        }
    });
}

fn reset(env: &Env) {
    env.run(async {
        let mut interval = interval(PERIOD);
        interval.tick().await;
        sleep(PERIOD * 3).await;
        let before = Instant::now();
        interval.reset();
        let next = interval.tick().await;
        assert!(next >= before + PERIOD);
    });
}

fn periods_that_make_no_sense(env: &Env) {
    assert_eq!(panic_of(|| interval(Duration::ZERO)), "the period of an interval must not be zero");
    env.run(async {
        let mut never_again = interval(Duration::MAX);
        never_again.tick().await;
        assert!(timeout(PERIOD, never_again.tick()).await.is_err());
        let mut hasty = interval(Duration::from_nanos(1));
        let first = hasty.tick().await;
        for n in 1..1000 {
            assert_eq!(hasty.tick().await, first + Duration::from_nanos(n));
        }
    });
}
