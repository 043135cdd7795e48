//! Operations: work for the kernel, as plain data.

use std::fmt;
use std::net::Shutdown;
use std::os::fd::RawFd;
use std::ptr::NonNull;

use socket2::SockAddr;

/// Names one operation from the moment it is staged until its terminal completion.
///
/// The generation tells two users of the same slot apart, so a late completion never reaches the wrong one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    slot: u32,
    generation: u32,
}

impl Token {
    /// A token for `slot` in its `generation`th use.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The slot: small and dense, so a reactor may index its own tables by it.
    pub const fn slot(self) -> usize {
        self.slot as usize
    }

    /// Which use of the slot this is.
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// As one word, to travel through the kernel (`user_data`, `epoll_data`).
    ///
    /// The slot is the high half and never `u32::MAX`, so a reactor may use the words from
    /// `u32::MAX << 32` on for its own purposes.
    pub const fn to_bits(self) -> u64 {
        (self.slot as u64) << 32 | self.generation as u64
    }

    /// The inverse of [`Token::to_bits`].
    pub const fn from_bits(bits: u64) -> Self {
        Self { slot: (bits >> 32) as u32, generation: bits as u32 }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.slot, self.generation)
    }
}

/// Work for the kernel, as plain data: staged by a task, performed in the reactor's next turn.
///
/// Reactors match on it exhaustively: a new variant is a compile error in each backend until that backend
/// performs it.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Accept connections until cancelled or failed. Each result is a new descriptor, close-on-exec and in
    /// the blocking mode that this reactor wants; whoever takes the completion owns it.
    Accept {
        /// A listening socket.
        fd: RawFd,
    },
    /// Connect a socket. The result is 0 once it is connected.
    Connect {
        /// A fresh stream socket.
        fd: RawFd,
        /// Where to. Must stay valid and unchanged until the terminal completion.
        addr: NonNull<SockAddr>,
    },
    /// Receive into chunks of the pool until cancelled, failed or at the end of the stream. Each result
    /// carries one chunk, filled with at least one byte; the terminal one carries none, and is 0 at the end of the
    /// stream.
    ///
    /// While the pool is empty the operation waits inside the reactor, without spinning.
    Receive {
        /// A connected socket.
        fd: RawFd,
    },
    /// Attempt to write, in this turn. The result is a count, or `-EAGAIN` if there is no room: it never waits,
    /// and never raises `SIGPIPE` (`-EPIPE`).
    Send {
        /// A connected socket.
        fd: RawFd,
        /// At least one byte. Must stay valid and unchanged until the terminal completion.
        bytes: NonNull<[u8]>,
    },
    /// Wait until an attempt to write is worth while: room in the send buffer, an error, or a hang-up. The
    /// result is 0, sometimes without cause; the attempt then says what is the case.
    Writable {
        /// A connected socket.
        fd: RawFd,
    },
    /// Close a descriptor. Every other operation on it must have ended or be cancelled earlier in the same
    /// or a former turn.
    Close {
        /// Owned by this operation.
        fd: RawFd,
    },
    /// Ask for the end of another operation. Has no completion of its own: the target's terminal completion
    /// says what happened, `-ECANCELED` if the cancel won. An unknown target is ignored.
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
            Op::Close { .. } => "close",
            Op::Cancel { .. } => "cancel",
        }
    }
}

/// What must answer at once: requests that never wait, so they need no token and no completion.
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
