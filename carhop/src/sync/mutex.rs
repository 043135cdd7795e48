//! A lock that tasks wait for, around a value.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::waiters::Waiters;

/// A value that one task uses at a time, across its awaits. asyncio's `Lock`.
///
/// It is fair: tasks get the lock in the order in which they come. A guard that is dropped hands the lock over to the
/// first task in the queue. That task may run later, but no other can take the lock in between: neither
/// [`try_lock`](Self::try_lock) nor a task that locks it again at once. (Tasks cannot overtake each other at asyncio's
/// `Lock` either, only its `locked()` says "no" in between.)
///
/// A panic does not poison it: the guard is dropped as the task unwinds, and the next task finds the value as it was
/// left. A guard that is forgotten (`std::mem::forget`) keeps the mutex locked for ever, and a task that locks it twice
/// waits for itself for ever.
///
/// Without an await between taking and giving back, a [`RefCell`] is enough.
///
/// ```
/// use carhop::sync::Mutex;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let tables = Rc::new(Mutex::new(vec![1, 2]));
///     let waiter = carhop::spawn({
///         let tables = Rc::clone(&tables);
///         async move { tables.lock().await.push(3) }
///     });
///     let served = tables.lock().await;
///     carhop::yield_now().await;
///     assert_eq!(*served, [1, 2]);
///     drop(served);
///     waiter.await.unwrap();
///     assert_eq!(*tables.lock().await, [1, 2, 3]);
/// });
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    /// Also from the handing over until the next task runs.
    locked: Cell<bool>,
    waiters: Waiters,
    /// Borrowed by the guard, and by nothing else.
    value: RefCell<T>,
}

impl<T> Mutex<T> {
    /// A mutex that is not locked.
    pub const fn new(value: T) -> Self {
        Self { locked: Cell::new(false), waiters: Waiters::new(), value: RefCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock. If it is free, it returns at once, without giving way to other tasks.
    ///
    /// A future that is dropped loses its place; if it has the lock already, the next one gets it.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        let lock = || (!self.locked.replace(true)).then_some(());
        if lock().is_none() {
            self.waiters.wait("Mutex::lock", (), lock, |()| self.unlock()).await;
        }
        self.guard()
    }

    /// Locks it if it is free, and returns `None` if it is not.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        (!self.locked.replace(true)).then(|| self.guard())
    }

    /// Whether a task has the lock, or will have it with its next poll.
    pub fn is_locked(&self) -> bool {
        self.locked.get()
    }

    /// The value, without locking: `&mut self` says that no other task has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The guard for a lock that was just taken.
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { value: self.value.borrow_mut(), lock: Locked(self) }
    }

    fn unlock(&self) {
        if self.waiters.grant(()).is_err() {
            self.locked.set(false);
        }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => out.field("value", &&*guard),
            None => out.field("value", &format_args!("<locked>")),
        };
        out.field("waiters", &self.waiters.len()).finish()
    }
}

/// The right to use the value of a [`Mutex`]. Dropping it hands the lock over to the first task that waits.
#[must_use = "the mutex is unlocked at once if the guard is not kept"]
pub struct MutexGuard<'a, T: ?Sized> {
    /// Comes first, so it is dropped before the lock.
    value: RefMut<'a, T>,
    lock: Locked<'a, T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The mutex that it locks.
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.lock.0
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Unlocks on drop.
struct Locked<'a, T: ?Sized>(&'a Mutex<T>);

impl<T: ?Sized> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}
