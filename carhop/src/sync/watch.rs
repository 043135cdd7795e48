//! The latest value, for any number of tasks that look at it and wait for changes.
//!
//! ```
//! use carhop::sync::watch;
//!
//! carhop::run(async {
//!     let (sender, mut receiver) = watch::channel("closed");
//!     let guest = carhop::spawn(async move {
//!         receiver.changed().await.unwrap();
//!         *receiver.borrow()
//!     });
//!     sender.send("open").unwrap();
//!     assert_eq!(guest.await.unwrap(), "open");
//! });
//! ```
//!
//! Only the latest value is kept: a receiver that looks rarely misses some.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::fmt;
use std::rc::Rc;

use super::ends::Ends;
pub use super::error::{RecvError, SendError};
use super::waiters::Waiters;

/// A value to watch, with its first receiver, which counts the first value as seen.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: RefCell::new(value),
        version: Cell::new(0),
        receivers: Ends::new(0),
        sender_is_gone: Cell::new(false),
        changes: Waiters::new(),
        closed: Waiters::new(),
    });
    let sender = Sender { shared };
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// The end that changes the value.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// An end that watches the value. A clone has seen what this one has.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

struct Shared<T> {
    value: RefCell<T>,
    version: Cell<u64>,
    receivers: Ends,
    sender_is_gone: Cell<bool>,
    /// Receivers that wait for another version.
    changes: Waiters,
    /// Tasks that wait until the last receiver is gone.
    closed: Waiters,
}

impl<T> Sender<T> {
    /// Replaces the value and wakes the receivers.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the value, if there is no receiver. Then the value stays as it was.
    ///
    /// # Panics
    ///
    /// If the value is borrowed.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Replaces the value, whether there is a receiver or not, and returns the former one.
    ///
    /// # Panics
    ///
    /// If the value is borrowed.
    #[track_caller]
    pub fn send_replace(&self, value: T) -> T {
        let before = std::mem::replace(&mut *self.shared.borrow_mut(), value);
        self.shared.changed();
        before
    }

    /// Changes the value in place, whether there is a receiver or not. If `modify` panics, the change is not reported
    /// to receivers.
    ///
    /// # Panics
    ///
    /// If the value is borrowed. If `modify` uses the channel's value in another way.
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        modify(&mut self.shared.borrow_mut());
        self.shared.changed();
    }

    /// The value. Do not keep it over an `await`: sending would panic meanwhile.
    ///
    /// # Panics
    ///
    /// Within [`send_modify`](Self::send_modify).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// Another receiver, which counts the present value as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.receivers.add();
        Receiver { shared: Rc::clone(&self.shared), seen: self.shared.version.get() }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.count()
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver. Dropping the future changes nothing.
    pub async fn closed(&self) {
        while !self.is_closed() {
            let ready = || self.is_closed().then_some(());
            self.shared.closed.wait("watch::Sender::closed", (), ready, |()| {}).await;
        }
    }
}

impl<T> Receiver<T> {
    /// Waits until there is a value that this receiver has not seen, and counts it as seen. Returns at once if there is
    /// one.
    ///
    /// A future that is dropped misses no change.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if the sender is dropped and the last value was seen.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        while !self.has_changed()? {
            let ready = || (self.has_changed() != Ok(false)).then_some(());
            self.shared.changes.wait("watch::Receiver::changed", (), ready, |()| {}).await;
        }
        self.seen = self.shared.version.get();
        Ok(())
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if the sender is dropped and the last value was seen.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        let changed = self.seen != self.shared.version.get();
        if !changed && self.shared.sender_is_gone.get() { Err(RecvError) } else { Ok(changed) }
    }

    /// The value, without counting it as seen. Do not keep it over an `await`: sending would panic meanwhile.
    ///
    /// # Panics
    ///
    /// Within [`Sender::send_modify`].
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// The value, which then counts as seen. Do not keep it over an `await`: sending would panic meanwhile.
    ///
    /// # Panics
    ///
    /// Within [`Sender::send_modify`].
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.seen = self.shared.version.get();
        self.shared.borrow()
    }
}

impl<T> Shared<T> {
    #[track_caller]
    fn borrow(&self) -> Ref<'_, T> {
        let Ok(value) = self.value.try_borrow() else {
            panic!("the value of a watch channel was used while it was being modified");
        };
        value
    }

    #[track_caller]
    fn borrow_mut(&self) -> RefMut<'_, T> {
        let Ok(value) = self.value.try_borrow_mut() else {
            panic!("the value of a watch channel was sent while it was borrowed");
        };
        value
    }

    fn changed(&self) {
        self.version.set(self.version.get() + 1);
        self.changes.grant_all(());
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.add();
        Self { shared: Rc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender_is_gone.set(true);
        self.shared.changes.grant_all(());
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.remove() {
            self.shared.closed.grant_all(());
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.shared.version.get();
        f.debug_struct("Sender")
            .field("version", &version)
            .field("receivers", &self.receiver_count())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.shared.version.get();
        f.debug_struct("Receiver").field("version", &version).field("seen", &self.seen).finish()
    }
}
