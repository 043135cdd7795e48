//! What tasks wait for, for those who look at the list of tasks.

use std::cell::Cell;

use crate::clock::Nanos;
use crate::op::Fd;

use super::id::TaskId;

/// What a task waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaits {
    /// Nothing that belongs to this library.
    #[default]
    Unknown,
    /// An operation on a descriptor.
    Operation {
        /// Which one: `receive`, say, or `accept`.
        name: &'static str,
        /// On what.
        fd: Fd,
    },
    /// A timer.
    Timer {
        /// When it fires.
        deadline: Nanos,
    },
    /// The end of another task.
    Task(TaskId),
    /// Something else of this library, by its name: `Mutex::lock`, say.
    Named(&'static str),
}

thread_local! {
    /// What was noted since the poll of the task that runs began.
    static NOTED: Cell<Noted> = const { Cell::new(Noted { last: Awaits::Unknown, count: 0 }) };
}

/// What a task waited for when its last poll ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// The last of them.
    pub(crate) last: Awaits,
    pub(crate) count: u32,
}

/// Notes what the task that is being polled waits for. Futures call it when they leave their waker somewhere. A task
/// may wait for several things: the last one is kept, and the number.
#[inline]
pub fn note(awaits: Awaits) {
    let count = NOTED.get().count.saturating_add(1);
    NOTED.set(Noted { last: awaits, count });
}

/// What was noted since the last time, if anything.
#[inline]
pub(crate) fn take_noted() -> Option<Noted> {
    if NOTED.get().count == 0 { None } else { Some(NOTED.take()) }
}

/// Goes on with what was noted before another task was polled in between.
pub(crate) fn put_back_noted(noted: Option<Noted>) {
    NOTED.set(noted.unwrap_or_default());
}
