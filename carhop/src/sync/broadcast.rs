//! Channels from many tasks to many, where each receiver gets each value.
//!
//! ```
//! use carhop::sync::broadcast;
//!
//! carhop::run(async {
//!     let (sender, mut first) = broadcast::channel(16);
//!     let mut second = sender.subscribe();
//!     sender.send("order up").unwrap();
//!     assert_eq!(first.recv().await, Ok("order up"));
//!     assert_eq!(second.recv().await, Ok("order up"));
//! });
//! ```
//!
//! Sending never waits. A receiver that has more to read than the channel has room for misses the oldest values, and is
//! [told how many](RecvError::Lagged).

mod ring;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use runtime_core::contain::drop_contained;
use thiserror::Error;

use super::ends::Ends;
pub use super::error::SendError;
use super::waiters::Waiters;
use ring::{Found, Ring};

/// A channel that keeps `capacity` values for receivers that have not read them, with its first receiver.
///
/// # Panics
///
/// If `capacity` is 0: such a channel would lose every value.
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a broadcast channel needs room for one value at least");
    let shared = Rc::new(Shared {
        ring: RefCell::new(Ring::new(capacity)),
        senders: Ends::new(1),
        receivers: Ends::new(0),
        waiting: Waiters::new(),
    });
    let sender = Sender { shared };
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// The end that sends to all receivers. A clone sends to the same.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// An end that gets all values sent since it was made.
///
/// A value is cloned for each receiver but the last, which gets the value itself.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The number of the value that it reads next.
    next: u64,
}

struct Shared<T> {
    /// Borrowed while values are moved, and never while one is cloned or dropped.
    ring: RefCell<Ring<T>>,
    senders: Ends,
    receivers: Ends,
    waiting: Waiters,
}

impl<T> Sender<T> {
    /// Sends `value` to all receivers, and returns how many they are.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the value, if there is no receiver.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let receivers = self.receiver_count();
        if receivers == 0 {
            return Err(SendError(value));
        }
        let too_old = self.shared.ring.borrow_mut().push(value, receivers);
        self.shared.waiting.grant_all(());
        drop(too_old);
        Ok(receivers)
    }

    /// Another receiver. It gets the values that are sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.receivers.add();
        Receiver { shared: Rc::clone(&self.shared), next: self.shared.ring.borrow().end() }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.count()
    }
}

impl<T> Receiver<T> {
    /// How many values it has yet to read, without those that it has lost.
    pub fn len(&self) -> usize {
        self.shared.ring.borrow().unread_from(self.next)
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next value.
    ///
    /// A future that is dropped loses no value.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] if values were lost; the next call goes on with the oldest that is left.
    /// [`RecvError::Closed`] if all senders are dropped and everything was read.
    ///
    /// # Panics
    ///
    /// If `T::clone` does. The value counts as read.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Lagged(lost)) => return Err(RecvError::Lagged(lost)),
                Err(TryRecvError::Closed) => return Err(RecvError::Closed),
                Err(TryRecvError::Empty) => {
                    let Self { shared, next } = &*self;
                    let ready = || shared.has_news(*next).then_some(());
                    shared.waiting.wait("broadcast::Receiver::recv", (), ready, |()| {}).await;
                }
            }
        }
    }

    /// Returns the next value if there is one.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`], as [`recv`](Self::recv), or because nothing has arrived.
    ///
    /// # Panics
    ///
    /// If `T::clone` does. The value counts as read.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let found = self.shared.ring.borrow_mut().read(&mut self.next);
        match found {
            Found::Value(value) => Ok(value),
            Found::Shared(value) => Ok(value.as_ref().clone().expect("there while anybody has not read it")),
            Found::Lost(count) => Err(TryRecvError::Lagged(count)),
            Found::Nothing if self.shared.senders.count() == 0 => Err(TryRecvError::Closed),
            Found::Nothing => Err(TryRecvError::Empty),
        }
    }
}

impl<T> Shared<T> {
    /// Whether there is a value from number `next` on, or will never be one.
    fn has_news(&self, next: u64) -> bool {
        self.ring.borrow().end() != next || self.senders.count() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.add();
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.remove() {
            self.shared.waiting.grant_all(());
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.remove();
        self.shared.ring.borrow_mut().forget_reader(self.next);
        loop {
            let unwanted = self.shared.ring.borrow_mut().pop_unwanted();
            match unwanted {
                Some(value) => drop_contained(value),
                None => break,
            }
        }
    }
}

/// The error of [`Receiver::recv`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RecvError {
    /// So many values came and went before this receiver read them. It goes on with the oldest that is left.
    #[error("{0} values were lost, because they were not received in time")]
    Lagged(u64),
    /// All senders are dropped, and everything was read.
    #[error("nobody sends any more")]
    Closed,
}

/// The error of [`Receiver::try_recv`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing has arrived.
    #[error("nothing has arrived")]
    Empty,
    /// As [`RecvError::Lagged`].
    #[error("{}", RecvError::Lagged(*.0))]
    Lagged(u64),
    /// All senders are dropped, and everything was read.
    #[error("{}", RecvError::Closed)]
    Closed,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish()
    }
}
