//! The timers that are set.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::Duration;

use timers::{Key, Wheel};

use crate::clock::Nanos;
use crate::contain::{drop_contained, wake_contained};
use crate::reactor::Wait;

/// Where timers are many, those that are due sooner than this after others fired wait for it to be over: each would
/// cost a wake-up. It is as long as the kernel's own timer slack (`PR_SET_TIMERSLACK` in prctl(2)), which it adds to.
const GAP: Duration = Duration::from_micros(50);

/// From this many timers on, wake-ups are shared. Fewer are as exact as the kernel is.
const MANY: usize = 64;

/// The timers of one runtime.
pub(crate) struct Timers {
    wheel: RefCell<Wheel<Waker>>,
    /// When timers fired last.
    fired: Cell<Nanos>,
}

impl Timers {
    pub(crate) fn new(start: Nanos) -> Self {
        Self { wheel: RefCell::new(Wheel::new(start.0)), fired: Cell::new(Nanos(0)) }
    }

    /// Has `waker` woken at `deadline`.
    #[inline]
    pub(crate) fn insert(&self, deadline: Nanos, waker: Waker) -> Key {
        self.wheel.borrow_mut().insert(deadline.0, waker)
    }

    /// Takes a timer out before it fires. `None` if it has fired.
    #[inline]
    pub(crate) fn remove(&self, key: Key) -> Option<Waker> {
        self.wheel.borrow_mut().remove(key)
    }

    /// Replaces the waker of a timer, and returns the former. `Err` with the new one if it has fired.
    #[inline]
    pub(crate) fn replace(&self, key: Key, waker: Waker) -> Result<Waker, Waker> {
        match self.wheel.borrow_mut().get_mut(key) {
            Some(registered) => Ok(std::mem::replace(registered, waker)),
            None => Err(waker),
        }
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.wheel.borrow().len()
    }

    /// How long a turn may wait for the next one.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        let wheel = self.wheel.borrow();
        let Some(deadline_ns) = wheel.next_wakeup() else { return Wait::Forever };
        let gap = if wheel.len() < MANY { Duration::ZERO } else { GAP };
        Wait::Until(Nanos(deadline_ns).max(self.fired.get().saturating_add(gap)))
    }

    /// Wakes the wakers of those that are due by `now`, in the order of their deadlines.
    pub(crate) fn fire(&self, now: Nanos) {
        // One borrow each: a waker may be a user's, and set timers.
        while let Some(waker) = self.pop(now) {
            self.fired.set(now);
            wake_contained(waker);
        }
    }

    /// Drops the wakers of all timers that are set now. Whether there were any.
    pub(crate) fn drop_all(&self) -> bool {
        let mut wakers = Vec::new();
        while let Some(waker) = self.pop(Nanos::NEVER) {
            wakers.push(waker);
        }
        let any = !wakers.is_empty();
        // One at a time: should two of them panic, one after the other.
        wakers.into_iter().for_each(drop_contained);
        any
    }

    /// Gives up on the timers that are still there: their wakers are never dropped.
    pub(crate) fn leak(&self) {
        while let Some(waker) = self.pop(Nanos::NEVER) {
            std::mem::forget(waker);
        }
    }

    fn pop(&self, now: Nanos) -> Option<Waker> {
        self.wheel.borrow_mut().pop_expired(now.0)
    }
}
