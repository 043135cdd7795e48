//! Time, in whole nanoseconds.

use std::time::Duration;

/// A point in monotonic time: nanoseconds since an origin that the reactor chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The end of time: a timer with this deadline never fires.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// This time plus `duration`; [`Nanos::NEVER`] if that is more than 64 bits hold (584 years).
    pub fn saturating_add(self, duration: Duration) -> Nanos {
        u64::try_from(duration.as_nanos()).map_or(Nanos::NEVER, |ns| Nanos(self.0.saturating_add(ns)))
    }

    /// This time less `duration`; the origin if that is before it.
    pub fn saturating_sub(self, duration: Duration) -> Nanos {
        u64::try_from(duration.as_nanos()).map_or(Nanos(0), |ns| Nanos(self.0.saturating_sub(ns)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn saturating_since(self, earlier: Nanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The time of `CLOCK_MONOTONIC` (clock_gettime(2)), for which Linux needs no system call. (`std`'s clock is the same, but
/// takes three times the instructions to be asked for a number.) Reactors on a kernel take it from
/// here, and so does who asks for the time outside of a runtime: a time of the one can be compared with a time of the other.
#[inline]
pub fn monotonic() -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result. The call cannot fail: Linux always has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
