//! Waiting for a change of what a mutex guards.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use super::MutexGuard;
use super::waiters::Waiters;

/// Lets tasks wait until somebody says that the value of a [`Mutex`](super::Mutex) has changed. asyncio's `Condition`.
///
/// Who notifies need not hold the lock, unlike with asyncio, though usually it does. Waiters are notified in the order
/// in which they came, and lock again in that order.
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

/// Who was meant.
#[derive(Clone, Copy)]
enum Notified {
    /// Whoever has waited longest.
    One,
    /// All who waited then.
    All,
}

impl Condvar {
    /// A condition that nobody waits for.
    pub const fn new() -> Self {
        Self { waiters: Waiters::new() }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again. No notification comes to pass in between
    /// unnoticed. Others may have had the lock meanwhile: look at the value again, or use
    /// [`wait_while`](Self::wait_while).
    ///
    /// If the future is dropped, the mutex is not locked any more (asyncio's `wait` locks it again to the end that
    /// `async with` can unlock it). If it had been notified, and not by [`notify_all`](Self::notify_all), the next one
    /// who waits is notified in its place.
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

    /// Notifies the one who has waited longest. If nobody waits, nothing happens, now or later.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Notifies the `count` who have waited longest, or all, if they are fewer.
    pub fn notify(&self, count: usize) {
        self.waiters.grant_each(count, || Notified::One);
    }

    /// Notifies all who wait.
    pub fn notify_all(&self) {
        self.waiters.grant_all(Notified::All);
    }

    /// Queues up before it unlocks: the one who gets the lock may notify at once.
    async fn unlock_and_wait<T: ?Sized>(&self, guard: MutexGuard<'_, T>) -> Notified {
        let mut guard = Some(guard);
        // What is notified before the mutex is unlocked is not meant for this one.
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
            // Nobody who came later was meant.
            Notified::All => {}
        }
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").field("waiters", &self.waiters.len()).finish()
    }
}

/// A notification that nobody has acted upon yet.
struct PassOn<'a> {
    condvar: &'a Condvar,
    notified: Notified,
}

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.condvar.pass_on(self.notified);
    }
}
