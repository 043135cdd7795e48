//! A point in time.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use runtime_core::Nanos;

/// A point in monotonic time, as the running loop tells it.
///
/// Unlike [`std::time::Instant`] it saturates: the sum with [`Duration::MAX`] is a point that never comes, and a
/// difference is never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub(crate) Nanos);

impl Instant {
    /// The time now: that of the runtime that runs on this thread or, without one, `CLOCK_MONOTONIC`.
    pub fn now() -> Self {
        Self(runtime_core::sleep::now())
    }

    /// How long ago this was; zero if it is yet to come.
    pub fn elapsed(&self) -> Duration {
        Self::now() - *self
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_since(earlier.0)
    }
}

impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Self {
        let (now, std_now) = (Self::now(), std::time::Instant::now());
        match instant.checked_duration_since(std_now) {
            Some(ahead) => now + ahead,
            None => now - (std_now - instant),
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(duration))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Nanos::NEVER => f.write_str("Instant(never)"),
            Nanos(ns) => write!(f, "Instant({:?})", Duration::from_nanos(ns)),
        }
    }
}
