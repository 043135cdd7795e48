//! Sleeping, deadlines and intervals.
//!
//! Deadlines are kept in nanoseconds. No timer fires early. On an idle machine timers fire well under a millisecond
//! late, with epoll since Linux 5.11. From 64 timers on, idle ones included, timers share wake-ups: those that are due
//! within 50 us after others fired wait until that time is over. [`Duration::MAX`] means never.
//!
//! ```
//! use carhop::time::{Instant, sleep, timeout_at};
//! use std::time::Duration;
//!
//! carhop::run(async {
//!     let started = Instant::now();
//!     sleep(Duration::from_millis(2)).await;
//!     assert!(started.elapsed() >= Duration::from_millis(2));
//!     let deadline = Instant::now() + Duration::from_millis(1);
//!     assert!(timeout_at(deadline, std::future::pending::<()>()).await.is_err());
//! });
//! ```

mod instant;
mod interval;
mod timeout;

use std::time::Duration;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use runtime_core::Nanos;
pub use timeout::{Elapsed, timeout, timeout_at};

use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for `duration` from now, like asyncio's `sleep`. [`Duration::MAX`] is never. Zero is until the loop looks at
/// its timers the next time; ready tasks may be polled several times before that. (asyncio's `sleep(0)` is
/// [`yield_now`](crate::yield_now).)
///
/// The time counts from this call, not from the first poll as with a coroutine.
///
/// # Panics
///
/// Polling it panics outside of a running runtime, unless it is never ready.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(runtime_core::sleep::Sleep::after(duration))
}

/// Waits until `deadline`. If that has passed, it waits for one turn of the loop.
///
/// # Panics
///
/// Polling it panics outside of a running runtime, unless it is never ready.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(runtime_core::sleep::Sleep::until(deadline.0))
}

/// The future of [`sleep`] and [`sleep_until`]. Dropping it takes the timer out of the loop.
///
/// It may be sent to another thread and goes on there, with the same deadline; the loop it came from then keeps the
/// timer until the deadline.
#[derive(Debug)]
#[must_use = "a `Sleep` does nothing unless it is awaited"]
pub struct Sleep(runtime_core::sleep::Sleep);

impl Sleep {
    /// The time at which it will be ready.
    pub fn deadline(&self) -> Instant {
        Instant(self.0.deadline())
    }

    /// Changes the deadline. The new one counts from the next poll on: the waiting task must poll the `Sleep` once
    /// more, as it does when the `Sleep` is part of its own future.
    pub fn reset(&mut self, deadline: Instant) {
        self.0.reset(deadline.0);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}
