//! Operations: work, as data that owns what it names.

use std::fmt;
use std::net::Shutdown;

use super::address::SockAddr;
use super::call::{Call, Resolved, Stat};
use super::data::Data;
use super::errno::Errno;

pub use super::names::{Fd, Token};

/// Work, as data that owns what it names: staged by a task, performed in the reactor's next turn.
///
/// Reactors match on it exhaustively: a new variant is a compile error in each backend until that backend performs it.
#[derive(Debug)]
pub enum Op {
    /// Accept connections until cancelled or failed. Each result is [`Outcome::Fd`].
    Accept {
        /// A listening socket.
        fd: Fd,
    },
    /// Receive into chunks of the pool until cancelled, failed or at the end of the stream. Each result is
    /// [`Outcome::Count`] of at least one byte, with the bytes as [`Data::Chunk`]. The terminal one carries none, and is
    /// [`Outcome::Done`] at the end of the stream.
    ///
    /// While the pool is empty the operation waits inside the reactor, without spinning.
    Receive {
        /// A connected socket.
        fd: Fd,
    },
    /// Attempt to write, in this turn: [`Outcome::Count`], or `EAGAIN` if there is no room. It never waits, and never
    /// raises `SIGPIPE` (`EPIPE`). The data comes back in any case, unchanged.
    Send {
        /// A connected socket.
        fd: Fd,
        /// At least one byte.
        data: Data,
    },
    /// Wait until an attempt to write is worth while: room in the send buffer, an error, or a hang-up. The result is
    /// [`Outcome::Done`], sometimes without cause; the attempt then says what is the case.
    Writable {
        /// A connected socket.
        fd: Fd,
    },
    /// Connect a socket: [`Outcome::Done`].
    Connect {
        /// A fresh stream socket.
        fd: Fd,
        /// Where to.
        addr: Box<SockAddr>,
    },
    /// Do what may block where the kernel has nothing better: see [`Call`] for the outcomes.
    ///
    /// A cancelled call that has not begun is not made. One that has begun goes on if nothing can stop it; its
    /// operation ends nevertheless, and whatever it brings then is dropped.
    Call(Call),
    /// Close a descriptor: [`Outcome::Done`]. The name is stale from then on. Operations that still wait on it end with
    /// `ECANCELED`.
    Close {
        /// What to close.
        fd: Fd,
    },
    /// Ask for the end of another operation. Has no completion of its own: the target's terminal completion says what
    /// happened, `ECANCELED` if the cancel won. An unknown target is ignored.
    Cancel {
        /// The operation to end.
        target: Token,
    },
}

impl Op {
    /// The operation in one word, for reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Op::Accept { .. } => "accept",
            Op::Connect { .. } => "connect",
            Op::Receive { .. } => "receive",
            Op::Send { .. } | Op::Writable { .. } => "write",
            Op::Call(call) => call.name(),
            Op::Close { .. } => "close",
            Op::Cancel { .. } => "cancel",
        }
    }

    /// The descriptor that it is about, if it is about one.
    pub const fn fd(&self) -> Option<Fd> {
        match self {
            Op::Accept { fd }
            | Op::Receive { fd }
            | Op::Send { fd, .. }
            | Op::Writable { fd }
            | Op::Connect { fd, .. }
            | Op::Close { fd } => Some(*fd),
            Op::Call(call) => call.fd(),
            Op::Cancel { .. } => None,
        }
    }

    /// The bytes that it owns, which its terminal completion gives back.
    pub fn into_data(self) -> Option<Data> {
        match self {
            Op::Send { data, .. } => Some(data),
            Op::Call(call) => call.into_bytes().map(Data::from),
            Op::Accept { .. }
            | Op::Receive { .. }
            | Op::Writable { .. }
            | Op::Connect { .. }
            | Op::Close { .. }
            | Op::Cancel { .. } => None,
        }
    }
}

/// What came of an operation. `F` is how a descriptor is named: by [`Fd`] when it leaves the reactor, by something
/// that closes it on drop when the loop hands it on.
pub enum Outcome<F = Fd> {
    /// It is done.
    Done,
    /// So many bytes.
    Count(usize),
    /// A new descriptor.
    Fd(F),
    /// The answer to a look-up.
    Addresses(Box<Resolved>),
    /// What the file system knows.
    Stat(Box<Stat>),
}

impl<F> fmt::Debug for Outcome<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("Done"),
            Outcome::Count(count) => write!(f, "Count({count})"),
            Outcome::Fd(_) => f.write_str("Fd"),
            Outcome::Addresses(resolved) => write!(f, "Addresses({resolved:?})"),
            Outcome::Stat(stat) => write!(f, "{stat:?}"),
        }
    }
}

/// One result of an operation.
#[derive(Debug)]
pub struct Completion<F = Fd> {
    /// Which operation.
    pub token: Token,
    /// What came of it.
    pub result: Result<Outcome<F>, Errno>,
    /// More results follow. Without it this is the terminal completion: the operation is over.
    pub more: bool,
    /// The bytes that were received, or those that the operation owned.
    pub data: Option<Data>,
}

impl<F> Completion<F> {
    /// One of several results.
    #[inline]
    pub const fn one(token: Token, outcome: Outcome<F>, data: Option<Data>) -> Self {
        Self { token, result: Ok(outcome), more: true, data }
    }

    /// The last result, without data.
    #[inline]
    pub const fn last(token: Token, result: Result<Outcome<F>, Errno>) -> Self {
        Self { token, result, more: false, data: None }
    }

    /// The last result, which gives the data back.
    #[inline]
    pub const fn last_with(token: Token, result: Result<Outcome<F>, Errno>, data: Data) -> Self {
        Self { token, result, more: false, data: Some(data) }
    }

    /// The same, with the descriptor, if it brings one, as what `own` makes of it.
    #[inline]
    pub fn map_fd<G>(self, own: impl FnOnce(F) -> G) -> Completion<G> {
        let Self { token, result, more, data } = self;
        let result = match result {
            Ok(Outcome::Done) => Ok(Outcome::Done),
            Ok(Outcome::Count(count)) => Ok(Outcome::Count(count)),
            Ok(Outcome::Fd(fd)) => Ok(Outcome::Fd(own(fd))),
            Ok(Outcome::Addresses(resolved)) => Ok(Outcome::Addresses(resolved)),
            Ok(Outcome::Stat(stat)) => Ok(Outcome::Stat(stat)),
            Err(errno) => Err(errno),
        };
        Completion { token, result, more, data }
    }
}

/// What is tried at once with borrowed memory: it never waits, so it needs no token and no completion.
#[derive(Debug)]
pub enum Attempt<'a> {
    /// Write to a connected socket. Never raises `SIGPIPE`.
    Send(&'a [u8]),
}

/// What must answer at once: requests that never wait.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// `bind(2)`.
    Bind(&'a SockAddr),
    /// `listen(2)` with this backlog.
    Listen(i32),
    /// `shutdown(2)`.
    Shutdown(Shutdown),
    /// `setsockopt(2)`.
    Set(SocketOption, u32),
}

/// A socket option that has a number for a value; 0 and 1 for a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_REUSEADDR`, a switch.
    ReuseAddress,
    /// `SO_REUSEPORT`, a switch.
    ReusePort,
    /// `TCP_NODELAY`, a switch.
    NoDelay,
    /// `SO_RCVBUF`, in bytes; the kernel doubles what it is given (socket(7)).
    ReceiveBuffer,
    /// `SO_SNDBUF`, in bytes; the kernel doubles what it is given (socket(7)).
    SendBuffer,
}

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This one: `getsockname(2)`.
    Local,
    /// The other one: `getpeername(2)`.
    Peer,
}
