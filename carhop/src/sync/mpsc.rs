//! Channels from many tasks to one.
//!
//! ```
//! use carhop::sync::mpsc;
//!
//! carhop::run(async {
//!     let (sender, mut receiver) = mpsc::channel(1);
//!     for table in [1, 2] {
//!         let sender = sender.clone();
//!         carhop::spawn(async move { sender.send(table).await.unwrap() });
//!     }
//!     drop(sender);
//!     assert_eq!(receiver.recv().await, Some(1));
//!     assert_eq!(receiver.recv().await, Some(2));
//!     assert_eq!(receiver.recv().await, None);
//! });
//! ```
//!
//! Senders that wait for room get it in the order in which they came. No other sender overtakes them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::ends::Ends;
pub use super::error::{SendError, TryRecvError, TrySendError};
use super::waiter::Waiter;
use super::waiters::Waiters;

/// A channel with room for `capacity` values.
///
/// # Panics
///
/// If `capacity` is 0: a channel without room, at which sender and receiver meet, does not exist here.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for one value at least");
    with_room(capacity)
}

/// A channel that always has room.
pub fn unbounded_channel<T>() -> (Sender<T>, Receiver<T>) {
    with_room(UNBOUNDED)
}

/// Memory ends before that.
const UNBOUNDED: usize = usize::MAX;

fn with_room<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        values: RefCell::default(),
        capacity,
        room: Cell::new(capacity),
        senders: Ends::new(1),
        closed: Cell::new(false),
        receiver: Waiter::default(),
        blocked: Waiters::new(),
    });
    (Sender { shared: Rc::clone(&shared) }, Receiver { shared })
}

/// The sending end of a channel. A clone sends to the same receiver. When the last one is dropped, the receiver gets
/// what is left, and then `None`.
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// The receiving end of a channel, of which there is one. It is a [`Stream`] too.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

/// Room for one value, from [`Sender::reserve`]. Dropping it gives the room back.
#[must_use]
pub struct Permit<'a, T> {
    shared: &'a Shared<T>,
}

struct Shared<T> {
    /// Borrowed while values are moved, and never while one is dropped.
    values: RefCell<VecDeque<T>>,
    capacity: usize,
    /// Free places. There is none while senders wait: a place that becomes free is handed to the first of them.
    room: Cell<usize>,
    senders: Ends,
    /// Sending fails.
    closed: Cell<bool>,
    receiver: Waiter,
    blocked: Waiters,
}

impl<T> Sender<T> {
    /// Sends `value`, and waits for room if there is none.
    ///
    /// If the future is dropped before it is done, the value is dropped with it, and the sender loses its place in the
    /// queue.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the value, if the receiver is closed or dropped, even while this waits.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.reserve().await {
            Ok(permit) => permit.send(value),
            Err(SendError(())) => Err(SendError(value)),
        }
    }

    /// Sends `value` if there is room at once.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], with the value, if there is no room or the receiver is closed or dropped.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        match self.shared.try_reserve() {
            Ok(permit) => permit.send(value).map_err(|SendError(value)| TrySendError::Closed(value)),
            Err(TrySendError::Closed(())) => Err(TrySendError::Closed(value)),
            Err(TrySendError::Full(())) => Err(TrySendError::Full(value)),
        }
    }

    /// Waits for room for one value, and reserves it: so that the value can be made when it is sure to be taken.
    ///
    /// If the future is dropped before it is done, it loses its place in the queue.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the receiver is closed or dropped, even while this waits.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let shared = &*self.shared;
        match shared.try_reserve() {
            Ok(permit) => return Ok(permit),
            Err(TrySendError::Closed(())) => return Err(SendError(())),
            Err(TrySendError::Full(())) => {}
        }
        let ready = || match shared.try_reserve() {
            Ok(permit) => {
                // A new one is made below.
                std::mem::forget(permit);
                Some(())
            }
            Err(TrySendError::Closed(())) => Some(()),
            Err(TrySendError::Full(())) => None,
        };
        shared.blocked.wait("mpsc::Sender::send", (), ready, |()| shared.free_place()).await;
        if shared.closed.get() { Err(SendError(())) } else { Ok(Permit { shared }) }
    }

    /// Whether the receiver is closed or dropped.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.get()
    }

    /// How many values were sent and not received.
    pub fn len(&self) -> usize {
        self.shared.values.borrow().len()
    }

    /// Whether all values that were sent have been received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values there is room for in all; `None` if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        (self.shared.capacity != UNBOUNDED).then_some(self.shared.capacity)
    }
}

impl<T> Receiver<T> {
    /// Waits for the next value. `None` means that there will be none: all senders are dropped, or this was
    /// [closed](Self::close), and nothing is left.
    ///
    /// A future that is dropped loses no value.
    pub async fn recv(&mut self) -> Option<T> {
        self.shared.receiver.wait(RECV, || self.shared.next()).await
    }

    /// What [`recv`](Self::recv) awaits. The waker of the last call is woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.receiver.poll(RECV, cx, || self.shared.next())
    }

    /// Returns the next value if it has arrived.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] if nothing has arrived. It says whether a value can still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.next().map_or(Err(TryRecvError::Empty), |next| next.ok_or(TryRecvError::Closed))
    }

    /// Closes the channel: sending fails from now on, also for senders that wait or hold a [`Permit`]. Values that have
    /// arrived can still be received.
    pub fn close(&mut self) {
        self.shared.close();
    }

    /// Whether nothing more can arrive: this was closed, or all senders are dropped.
    pub fn is_closed(&self) -> bool {
        self.shared.is_over()
    }

    /// How many values have arrived and were not received.
    pub fn len(&self) -> usize {
        self.shared.values.borrow().len()
    }

    /// Whether no value has arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const RECV: &str = "mpsc::Receiver::recv";

impl<T> Permit<'_, T> {
    /// Sends `value` to the room that was reserved.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the value, if the receiver was closed or dropped meanwhile.
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        let shared = self.shared;
        if shared.closed.get() {
            return Err(SendError(value));
        }
        // The room is the value's now, until it is received.
        std::mem::forget(self);
        shared.values.borrow_mut().push_back(value);
        shared.receiver.wake();
        Ok(())
    }
}

impl<T> Shared<T> {
    fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        if self.closed.get() {
            return Err(TrySendError::Closed(()));
        }
        let room = self.room.get().checked_sub(1).ok_or(TrySendError::Full(()))?;
        self.room.set(room);
        Ok(Permit { shared: self })
    }

    /// A place has become free: the first sender that waits gets it.
    fn free_place(&self) {
        if !self.closed.get() && self.blocked.grant(()).is_err() {
            self.room.set(self.room.get() + 1);
        }
    }

    /// The next value, or `Some(None)` at the end.
    fn next(&self) -> Option<Option<T>> {
        let value = self.values.borrow_mut().pop_front();
        match value {
            Some(_) => self.free_place(),
            None if self.is_over() => {}
            None => return None,
        }
        Some(value)
    }

    fn is_over(&self) -> bool {
        self.closed.get() || self.senders.count() == 0
    }

    fn close(&self) {
        self.closed.set(true);
        // They look, and see that it is closed.
        self.blocked.grant_all(());
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
            self.shared.receiver.wake();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.receiver.leave();
        let values = self.shared.values.take();
        drop(values);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.shared.free_place();
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
