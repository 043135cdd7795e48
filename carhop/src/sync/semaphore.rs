//! A number of permits that tasks wait for.

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use thiserror::Error;

use super::waiters::Waiters;

/// A number of permits, each of which lets one task in. asyncio's `Semaphore`.
///
/// It is fair: requests are served in the order in which they come. A request for many permits that is first in the
/// queue waits until there are enough, and no later request overtakes it: neither one for a single permit nor
/// [`try_acquire`](Self::try_acquire). A task that was granted its permits and has not run yet is not overtaken either.
///
/// Dropping a [`Permit`] gives it back, so it cannot be given back more often than it was taken, which is what asyncio
/// has `BoundedSemaphore` for. asyncio's `release` without an `acquire` is [`add_permits`](Self::add_permits).
///
/// ```
/// use carhop::sync::Semaphore;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let seats = Rc::new(Semaphore::new(2));
///     let guests: Vec<_> = (0..5)
///         .map(|_| {
///             let seats = Rc::clone(&seats);
///             carhop::spawn(async move {
///                 let _seat = seats.acquire().await.unwrap();
///                 carhop::yield_now().await;
///             })
///         })
///         .collect();
///     for guest in guests {
///         guest.await.unwrap();
///     }
///     assert_eq!(seats.available_permits(), 2);
/// });
/// ```
pub struct Semaphore {
    available: Cell<usize>,
    /// The available permits and those that are out.
    total: Cell<usize>,
    closed: Cell<bool>,
    /// Each wants a number of permits.
    waiters: Waiters<usize, Result<(), AcquireError>>,
}

impl Semaphore {
    /// A semaphore with so many permits.
    pub const fn new(permits: usize) -> Self {
        Self {
            available: Cell::new(permits),
            total: Cell::new(permits),
            closed: Cell::new(false),
            waiters: Waiters::new(),
        }
    }

    /// Waits for a permit. If one is available and no earlier request waits, it returns at once, without giving way to
    /// other tasks.
    ///
    /// A future that is dropped loses its place; if it has been granted its permit already, the next one gets it.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, before or while it waits.
    pub async fn acquire(&self) -> Result<Permit<'_>, AcquireError> {
        self.acquire_many(1).await
    }

    /// Waits for `permits` permits, which come together. See [`acquire`](Self::acquire).
    ///
    /// If the semaphore has fewer in all, it waits until some are [added](Self::add_permits), and so do all
    /// later requests.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, before or while it waits.
    pub async fn acquire_many(&self, permits: usize) -> Result<Permit<'_>, AcquireError> {
        self.take(permits).await?;
        Ok(Permit(Lease { semaphore: self, permits }))
    }

    /// As [`acquire`](Self::acquire), with a permit that another task may keep.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, before or while it waits.
    pub async fn acquire_owned(self: Rc<Self>) -> Result<OwnedPermit, AcquireError> {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](Self::acquire_many), with a permit that another task may keep.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, before or while it waits.
    pub async fn acquire_many_owned(self: Rc<Self>, permits: usize) -> Result<OwnedPermit, AcquireError> {
        self.take(permits).await?;
        Ok(OwnedPermit(Lease { semaphore: self, permits }))
    }

    /// Takes a permit, if [`acquire`](Self::acquire) would not have to wait for it.
    ///
    /// # Errors
    ///
    /// If it would, or the semaphore is closed.
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `permits` permits, if [`acquire_many`](Self::acquire_many) would not have to wait for them.
    ///
    /// # Errors
    ///
    /// If it would, or the semaphore is closed.
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<'_>, TryAcquireError> {
        self.try_take(permits)?;
        Ok(Permit(Lease { semaphore: self, permits }))
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that another task may keep.
    ///
    /// # Errors
    ///
    /// If it would have to wait, or the semaphore is closed.
    pub fn try_acquire_owned(self: Rc<Self>) -> Result<OwnedPermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with a permit that another task may keep.
    ///
    /// # Errors
    ///
    /// If it would have to wait, or the semaphore is closed.
    pub fn try_acquire_many_owned(self: Rc<Self>, permits: usize) -> Result<OwnedPermit, TryAcquireError> {
        self.try_take(permits)?;
        Ok(OwnedPermit(Lease { semaphore: self, permits }))
    }

    /// How many permits are available.
    pub fn available_permits(&self) -> usize {
        self.available.get()
    }

    /// Adds permits. Waiting tasks get them first.
    ///
    /// # Panics
    ///
    /// If the semaphore would have more than [`usize::MAX`] permits, with those that are out.
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        let total = self.total.get();
        let Some(sum) = total.checked_add(permits) else {
            panic!(
                "a semaphore of {total} permits cannot have {permits} more: at most {} can be",
                usize::MAX
            );
        };
        self.total.set(sum);
        self.put_back(permits);
    }

    /// Closes it, for good: all waiting and all later requests fail. Permits that are out stay valid.
    pub fn close(&self) {
        self.closed.set(true);
        self.waiters.grant_all(Err(AcquireError(())));
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    async fn take(&self, permits: usize) -> Result<(), AcquireError> {
        let ready = || match self.try_take(permits) {
            Ok(()) => Some(Ok(())),
            Err(TryAcquireError::Closed) => Some(Err(AcquireError(()))),
            Err(TryAcquireError::NoPermits) => None,
        };
        if let Some(taken) = ready() {
            return taken;
        }
        // Dropped after this request has left the queue, in whatever way.
        let _next = HandOut(self);
        let give_back = |granted: Result<(), _>| {
            if granted.is_ok() {
                self.available.set(self.available.get() + permits);
            }
        };
        self.waiters.wait("Semaphore::acquire", permits, ready, give_back).await
    }

    fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        if self.is_closed() {
            return Err(TryAcquireError::Closed);
        }
        // As in asyncio: a task that was granted its permits and has not run yet is not overtaken either.
        let first = self.waiters.is_idle();
        let rest = self.available.get().checked_sub(permits).filter(|_| first);
        self.available.set(rest.ok_or(TryAcquireError::NoPermits)?);
        Ok(())
    }

    fn put_back(&self, permits: usize) {
        self.available.set(self.available.get() + permits);
        self.hand_out(permits);
    }

    /// Grants what is available, in the order of the queue, to `limit` waiters at most.
    ///
    /// The limit leaves requests unserved only if they came while a task had been granted permits and had not run: that
    /// task then serves them. Thus tasks are woken in the order of asyncio (of later CPythons; 3.11 then wakes them one
    /// by one).
    fn hand_out(&self, limit: usize) {
        for _ in 0..limit {
            let Some(wanted) = self.waiters.first_wants() else { return };
            let Some(rest) = self.available.get().checked_sub(wanted) else { return };
            self.available.set(rest);
            // The queue is not empty, so the grant is taken.
            let _ = self.waiters.grant(Ok(()));
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Semaphore");
        out.field("available", &self.available.get()).field("closed", &self.closed.get());
        out.field("waiters", &self.waiters.len()).finish()
    }
}

/// Serves the requests behind one that leaves the queue, served or not: they may have waited only for that.
struct HandOut<'a>(&'a Semaphore);

impl Drop for HandOut<'_> {
    fn drop(&mut self) {
        self.0.hand_out(usize::MAX);
    }
}

/// A number of permits of a [`Semaphore`]. Dropping it gives them back.
#[derive(Debug)]
#[must_use = "the permits go back at once if the permit is not kept"]
pub struct Permit<'a>(Lease<&'a Semaphore>);

impl Permit<'_> {
    /// How many permits it holds.
    pub fn num_permits(&self) -> usize {
        self.0.permits
    }

    /// The permits never come back.
    pub fn forget(self) {
        self.0.forget();
    }
}

/// A [`Permit`] that owns a share of its semaphore, and so may be kept by another task.
///
/// ```
/// use carhop::sync::Semaphore;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let seats = Rc::new(Semaphore::new(1));
///     let seat = Rc::clone(&seats).acquire_owned().await.unwrap();
///     let guest = carhop::spawn(async move { drop(seat) });
///     let _next = seats.acquire().await.unwrap();
///     guest.await.unwrap();
/// });
/// ```
#[derive(Debug)]
#[must_use = "the permits go back at once if the permit is not kept"]
pub struct OwnedPermit(Lease<Rc<Semaphore>>);

impl OwnedPermit {
    /// How many permits it holds.
    pub fn num_permits(&self) -> usize {
        self.0.permits
    }

    /// The permits never come back.
    pub fn forget(self) {
        self.0.forget();
    }
}

/// Permits that are out.
#[derive(Debug)]
struct Lease<S: Borrow<Semaphore>> {
    semaphore: S,
    permits: usize,
}

impl<S: Borrow<Semaphore>> Lease<S> {
    fn forget(mut self) {
        let semaphore = self.semaphore.borrow();
        semaphore.total.set(semaphore.total.get() - self.permits);
        self.permits = 0;
    }
}

impl<S: Borrow<Semaphore>> Drop for Lease<S> {
    fn drop(&mut self) {
        self.semaphore.borrow().put_back(self.permits);
    }
}

/// The error of [`Semaphore::acquire`]: the semaphore is closed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the semaphore is closed")]
pub struct AcquireError(());

/// The error of [`Semaphore::try_acquire`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryAcquireError {
    /// There are too few permits, or others came before.
    #[error("the semaphore has too few permits, or others came before")]
    NoPermits,
    /// The semaphore is closed.
    #[error("{}", AcquireError(()))]
    Closed,
}
