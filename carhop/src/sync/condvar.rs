//! Waiting for a change of what a mutex guards.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use super::MutexGuard;
use super::waiters::Waiters;

/// Lets tasks wait until another task notifies them that the value of a [`Mutex`](super::Mutex) has changed. asyncio's
/// `Condition`.
///
/// Unlike with asyncio, a task need not hold the lock to notify, though usually it does. Waiters are notified in the
/// order in which they came, and lock again in that order.
///
/// ```
/// use carhop::sync::{Condvar, Mutex};
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let counter = Rc::new((Mutex::new(Vec::new()), Condvar::new()));
///     let waiter = carhop::spawn({
///         let counter = Rc::clone(&counter);
///         async move {
///             let (dishes, changed) = &*counter;
///             let mut dishes = changed.wait_while(dishes.lock().await, |dishes| dishes.is_empty()).await;
///             dishes.pop()
///         }
///     });
///     let (dishes, changed) = &*counter;
///     dishes.lock().await.push("soup");
///     changed.notify_one();
///     assert_eq!(waiter.await.unwrap(), Some("soup"));
/// });
/// ```
#[derive(Default)]
pub struct Condvar {
    waiters: Waiters<(), Notified>,
}

/// Which kind of notification it was.
#[derive(Clone, Copy)]
enum Notified {
    /// [`Condvar::notify`] and [`Condvar::notify_one`]: for this waiter alone.
    One,
    /// [`Condvar::notify_all`]: for all that waited then.
    All,
}

impl Condvar {
    /// A condition without waiters.
    pub const fn new() -> Self {
        Self { waiters: Waiters::new() }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again. No notification is missed in between.
    /// Other tasks may have had the lock meanwhile: look at the value again, or use [`wait_while`](Self::wait_while).
    ///
    /// If the future is dropped, the mutex is not locked any more (asyncio's `wait` locks it again, so that `async
    /// with` can unlock it). If it had been notified, and not by [`notify_all`](Self::notify_all), the next waiter is
    /// notified in its place.
    pub async fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex = MutexGuard::mutex(&guard);
        let notified = self.unlock_and_wait(guard).await;
        let pass_on = PassOn { condvar: self, notified };
        let guard = mutex.lock().await;
        std::mem::forget(pass_on);
        guard
    }

    /// Waits as long as `condition` is true of the value: looks at once, and again after each notification. asyncio's
    /// `wait_for`, with the opposite condition, as in [`std::sync::Condvar`].
    ///
    /// For a future that is dropped, see [`wait`](Self::wait). `condition` is called with the mutex locked.
    pub async fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// Notifies the task that has waited longest. Without a waiter, nothing happens, now or later.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Notifies the `count` tasks that have waited longest, or all, if they are fewer.
    pub fn notify(&self, count: usize) {
        self.waiters.grant_each(count, || Notified::One);
    }

    /// Notifies all waiting tasks.
    pub fn notify_all(&self) {
        self.waiters.grant_all(Notified::All);
    }

    /// Queues up before it unlocks: the task that gets the lock may notify at once.
    async fn unlock_and_wait<T: ?Sized>(&self, guard: MutexGuard<'_, T>) -> Notified {
        let mut guard = Some(guard);
        // A notification that comes before the mutex is unlocked is not for this waiter.
        let pass_on = |notified| self.pass_on(notified);
        let mut wait = pin!(self.waiters.wait("Condvar::wait", (), || None, pass_on));
        poll_fn(|cx| {
            let poll = wait.as_mut().poll(cx);
            drop(guard.take());
            poll
        })
        .await
    }

    fn pass_on(&self, notified: Notified) {
        match notified {
            Notified::One => self.notify_one(),
            // It is not for later waiters.
            Notified::All => {}
        }
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("waiters", &self.waiters.len()).finish()
    }
}

/// A notification on which no task has acted yet.
struct PassOn<'a> {
    condvar: &'a Condvar,
    notified: Notified,
}

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.condvar.pass_on(self.notified);
    }
}
