//! Ticks in a fixed rhythm.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::{Instant, Sleep, sleep_until};

/// Ticks every `period`, the first time at once. Unlike a loop around `sleep` it does not drift.
///
/// ```
/// use carhop::time::{MissedTickBehavior, interval};
/// use std::time::Duration;
///
/// carhop::run(async {
///     let mut interval = interval(Duration::from_millis(1));
///     interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
///     let first = interval.tick().await;
///     let second = interval.tick().await;
///     assert_eq!(second - first, Duration::from_millis(1));
/// });
/// ```
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`, the first time at `start`.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    Interval { next: sleep_until(start), period, missed: MissedTickBehavior::default() }
}

/// What an [`Interval`] does about ticks that were due while no task waited for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Tick at once for each tick that was missed, until none is left.
    #[default]
    Burst,
    /// Count the period anew from the late tick.
    Delay,
    /// Leave out the ticks that were missed, and go on at the next whole multiple of the period.
    Skip,
}

/// Ticks in a fixed rhythm. Made by [`interval`] and [`interval_at`].
#[derive(Debug)]
pub struct Interval {
    next: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick and returns when it was due. A future that is dropped loses no tick.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`Interval::tick`], for hand-written futures. The task that polls last is woken.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let due = self.next.deadline();
        ready!(Pin::new(&mut self.next).poll(cx));
        self.next.reset(self.after(due, Instant::now()));
        Poll::Ready(due)
    }

    /// The time from one tick to the next.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Sets the next tick to one period from now.
    pub fn reset(&mut self) {
        self.next.reset(Instant::now() + self.period);
    }

    /// What happens to ticks that were missed.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Chooses what happens to ticks that were missed.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }

    /// When the tick after the one that was due at `due` and noticed at `now` is due.
    fn after(&self, due: Instant, now: Instant) -> Instant {
        let regular = due + self.period;
        if now <= regular {
            return regular;
        }
        match self.missed {
            MissedTickBehavior::Burst => regular,
            MissedTickBehavior::Delay => now + self.period,
            MissedTickBehavior::Skip => {
                // Less than `now - due`, which 64 bits hold.
                let into_period_ns = (now - due).as_nanos() % self.period.as_nanos();
                now + self.period - Duration::from_nanos(into_period_ns as u64)
            }
        }
    }
}
