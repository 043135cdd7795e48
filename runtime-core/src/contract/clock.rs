//! Time, in whole nanoseconds.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

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

/// The time on the monotonic clock of `std`, since it was first asked for in this process. Reactors on a kernel take it
/// from here, and so does who asks for the time outside of a runtime: a time of the one can be compared with a time of
/// the other.
#[inline]
pub fn monotonic() -> Nanos {
    static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let elapsed = ORIGIN.elapsed();
    // Enough for 584 years.
    Nanos(elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos()))
}
