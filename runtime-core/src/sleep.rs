//! Waiting for a time.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use timers::Key;

use crate::clock::{self, Nanos};
use crate::contain::drop_contained;
use crate::context;
use crate::core::Core;
use crate::remote::registry::Serial;
use crate::task::{Awaits, note};

/// The time of the runtime that runs on this thread; without one, that of [`clock::monotonic`].
pub fn now() -> Nanos {
    context::try_with(|core| core.now()).unwrap_or_else(clock::monotonic)
}

/// Ready once its deadline has passed: never early, and never in its first poll.
///
/// Plain data, so it can be sent to other threads. Polled on another runtime than before, it starts anew
/// there. Dropping it takes the timer out of the wheel at once, unless that happens on another thread: then
/// the timer stays until its deadline, and may cause one spurious poll.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
#[derive(Debug)]
#[must_use = "a `Sleep` does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Nanos,
    /// Where it is in which runtime's wheel. The wheel forgets the key when the timer fires.
    timer: Option<(Serial, Key)>,
}

impl Sleep {
    /// Ready at `deadline`; [`Nanos::NEVER`] is never.
    pub fn until(deadline: Nanos) -> Self {
        Self { deadline, timer: None }
    }

    /// Ready in `duration` from now; never, if that is beyond what [`Nanos`] can say.
    pub fn after(duration: Duration) -> Self {
        Self::until(now().saturating_add(duration))
    }

    /// When it will be ready.
    pub fn deadline(&self) -> Nanos {
        self.deadline
    }

    /// Changes the deadline. It counts from the next poll on.
    pub fn reset(&mut self, deadline: Nanos) {
        self.cancel();
        self.deadline = deadline;
    }

    /// Sees to it that `waker` is woken at the deadline, unless that has passed. Returns the waker that is not
    /// needed any more.
    #[inline]
    fn register(&mut self, core: &Core, waker: Waker) -> (Poll<()>, Option<Waker>) {
        if self.timer.is_some_and(|(serial, _)| serial != core.serial()) {
            // It was polled in another runtime before.
            self.cancel();
        }
        match self.timer {
            Some((_, key)) => match core.timers().replace(key, waker) {
                Ok(former) => (Poll::Pending, Some(former)),
                Err(unused) => (Poll::Ready(()), Some(unused)),
            },
            None => {
                self.timer = Some((core.serial(), core.timers().insert(self.deadline, waker)));
                (Poll::Pending, None)
            }
        }
    }

    #[inline]
    fn cancel(&mut self) {
        let Some((serial, key)) = self.timer.take() else { return };
        let waker = context::with_serial(serial, |core| core.timers().remove(key)).flatten();
        // Here, with nothing borrowed: it may be a user's own.
        if let Some(waker) = waker {
            drop_contained(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline == Nanos::NEVER {
            note(Awaits::Timer { deadline: Nanos::NEVER });
            return Poll::Pending;
        }
        // A waker may be a user's own, so it is cloned and dropped with nothing borrowed.
        let waker = cx.waker().clone();
        let (poll, unused) = context::with("a timer", |core| self.register(core, waker));
        drop(unused);
        if poll.is_pending() {
            note(Awaits::Timer { deadline: self.deadline });
        }
        poll
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
