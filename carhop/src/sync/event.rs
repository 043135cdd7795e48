//! A flag that tasks wait for.

use std::cell::Cell;
use std::fmt;

use super::waiters::Waiters;

/// A flag that tasks wait for. asyncio's `Event`.
///
/// ```
/// use carhop::sync::Event;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let open = Rc::new(Event::new());
///     let guest = carhop::spawn({
///         let open = Rc::clone(&open);
///         async move { open.wait().await }
///     });
///     open.set();
///     guest.await.unwrap();
/// });
/// ```
#[derive(Default)]
pub struct Event {
    set: Cell<bool>,
    waiters: Waiters,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Self {
        Self { set: Cell::new(false), waiters: Waiters::new() }
    }

    /// Sets it, and wakes all waiting tasks, in the order in which they came.
    pub fn set(&self) {
        if !self.set.replace(true) {
            self.waiters.grant_all(());
        }
    }

    /// From now on, `wait` waits for the next [`set`](Self::set). Tasks that an earlier one has woken go on, even those
    /// that have not run yet.
    pub fn clear(&self) {
        self.set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is set. If it is set already, it returns at once, without giving way to other tasks.
    ///
    /// Dropping the future loses nothing.
    pub async fn wait(&self) {
        if !self.is_set() {
            self.waiters.wait("Event::wait", (), || self.is_set().then_some(()), |()| {}).await;
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (is_set, waiters) = (self.is_set(), self.waiters.len());
        f.debug_struct("Event").field("is_set", &is_set).field("waiters", &waiters).finish()
    }
}
