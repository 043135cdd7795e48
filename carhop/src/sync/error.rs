//! Why a channel or a queue did not take a value, or had none to give.

use std::fmt;

use thiserror::Error;

const NO_RECEIVER: &str = "nobody receives any more";
const NO_SENDER: &str = "nobody sends any more";
const SHUT_DOWN: &str = "the queue is shut down";

/// The value was not sent, because there is no receiver any more. Holds the value.
#[derive(Clone, Copy, Error, PartialEq, Eq)]
#[error("{NO_RECEIVER}")]
pub struct SendError<T>(pub T);

/// The value was not sent at once. Holds the value.
#[derive(Clone, Copy, Error, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There is no room.
    #[error("the channel is full")]
    Full(T),
    /// There is no receiver any more.
    #[error("{NO_RECEIVER}")]
    Closed(T),
}

/// Nothing was received and nothing will be, because there is no sender any more.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{NO_SENDER}")]
pub struct RecvError;

/// Nothing was received at once.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryRecvError {
    /// Nothing has arrived.
    #[error("nothing has arrived")]
    Empty,
    /// Nothing has arrived, and nothing will.
    #[error("{NO_SENDER}")]
    Closed,
}

/// The error of `put`: the queue is shut down (`asyncio.QueueShutDown`). Holds the item.
#[derive(Clone, Copy, Error, PartialEq, Eq)]
#[error("{SHUT_DOWN}")]
pub struct PutError<T>(pub T);

/// The error of `try_put`. Holds the item.
#[derive(Clone, Copy, Error, PartialEq, Eq)]
pub enum TryPutError<T> {
    /// There is no room (`asyncio.QueueFull`).
    #[error("the queue is full")]
    Full(T),
    /// The queue is shut down (`asyncio.QueueShutDown`).
    #[error("{SHUT_DOWN}")]
    ShutDown(T),
}

/// The error of `get`: the queue is shut down, and nothing is left in it (`asyncio.QueueShutDown`).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{SHUT_DOWN}")]
pub struct GetError;

/// The error of `try_get`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TryGetError {
    /// There is no item (`asyncio.QueueEmpty`).
    #[error("the queue is empty")]
    Empty,
    /// There is no item, and there will not be one: the queue is shut down (`asyncio.QueueShutDown`).
    #[error("{SHUT_DOWN}")]
    ShutDown,
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        let (Self::Full(value) | Self::Closed(value)) = self;
        value
    }
}

impl<T> TryPutError<T> {
    /// The item that was not put.
    pub fn into_inner(self) -> T {
        let (Self::Full(item) | Self::ShutDown(item)) = self;
        item
    }
}

/// `Debug` for errors that hold a value, which need not be `Debug` itself.
macro_rules! debug_without_value {
    ($($error:ident { $($pattern:path => $text:literal),+ })+) => {$(
        impl<T> fmt::Debug for $error<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($pattern(_) => $text),+ })
            }
        }
    )+};
}

debug_without_value! {
    SendError { Self => "SendError(..)" }
    TrySendError { Self::Full => "Full(..)", Self::Closed => "Closed(..)" }
    PutError { Self => "PutError(..)" }
    TryPutError { Self::Full => "Full(..)", Self::ShutDown => "ShutDown(..)" }
}
