//! One value, promised by one task and awaited by another: `asyncio.Future`.
//!
//! ```
//! use carhop::sync::oneshot;
//!
//! carhop::run(async {
//!     let (promise, future) = oneshot::channel();
//!     carhop::spawn(async move { promise.send("served").unwrap() });
//!     assert_eq!(future.await, Ok("served"));
//! });
//! ```

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub use super::error::{RecvError, TryRecvError};
use super::waiter::Waiter;

/// A promise and the future that it fulfils.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        value: Cell::new(None),
        sender_is_gone: Cell::new(false),
        closed: Cell::new(false),
        receiver: Waiter::default(),
        sender: Waiter::default(),
    });
    (Sender { shared: Rc::clone(&shared) }, Receiver { shared })
}

/// The promise. Dropping it without sending ends the [`Receiver`] with an error.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// The future of the value.
///
/// Its output is a [`RecvError`] if the sender was dropped without sending, and if the future is polled again after the
/// value.
///
/// A future that borrows it can be dropped at any time (`(&mut receiver).await` in a timeout, say); dropping the
/// receiver itself drops the value.
#[must_use = "a receiver that is dropped drops the value"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

struct Shared<T> {
    value: Cell<Option<T>>,
    sender_is_gone: Cell<bool>,
    /// The receiver is dropped or does not want the value any more.
    closed: Cell<bool>,
    receiver: Waiter,
    sender: Waiter,
}

impl<T> Sender<T> {
    /// Sends the value: `set_result`.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is closed or dropped.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.shared.closed.get() {
            return Err(value);
        }
        // Dropping the sender wakes the receiver.
        self.shared.value.set(Some(value));
        Ok(())
    }

    /// Whether the receiver is closed or dropped, so that sending fails.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }

    /// Waits until the receiver is closed or dropped. Dropping the future changes nothing.
    pub async fn closed(&mut self) {
        let shared = &*self.shared;
        shared.sender.wait("oneshot::Sender::closed", || shared.closed.get().then_some(())).await;
    }
}

impl<T> Receiver<T> {
    /// Returns the value if it has been sent.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if not. It says whether a value can still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.outcome() {
            Some(outcome) => outcome.map_err(|RecvError| TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Refuses a value that was not sent yet. A value that was sent can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }
}

impl<T> Shared<T> {
    fn outcome(&self) -> Option<Result<T, RecvError>> {
        match self.value.take() {
            Some(value) => Some(Ok(value)),
            None => (self.sender_is_gone.get() || self.closed.get()).then_some(Err(RecvError)),
        }
    }

    fn close(&self) {
        self.closed.set(true);
        self.sender.wake();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.shared.receiver.poll("oneshot::Receiver", cx, || self.shared.outcome())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.sender_is_gone.set(true);
        self.shared.receiver.wake();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.receiver.leave();
        // A value that was sent is dropped with the last end. That is this one, since sending consumed the other.
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("closed", &self.shared.closed.get()).finish_non_exhaustive()
    }
}
