//! The contract between the loop and a backend.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use socket2::{Domain, SockAddr, Type};

use crate::clock::Nanos;
use crate::op::{Control, End, Op, SocketOption, Token};
use crate::pool::{Chunk, Pool};
use crate::sys;

/// One result of a staged operation.
#[derive(Debug)]
pub struct Completion {
    /// Which operation.
    pub token: Token,
    /// A count, a descriptor, or `-errno`.
    pub result: i32,
    /// More results follow. Without it this is the terminal completion: the operation is over, and the
    /// reactor no longer touches anything that it named.
    pub more: bool,
    /// The bytes of a receive.
    pub chunk: Option<Chunk>,
}

/// How long a turn may wait for the kernel when it has no result to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until this time of [`Reactor::now`].
    Until(Nanos),
    /// Until something happens.
    Forever,
}

impl Wait {
    /// The same, but no longer than until `deadline`.
    pub(crate) fn until_at_most(self, deadline: Nanos) -> Self {
        match self {
            Self::No => Self::No,
            Self::Until(own) => Self::Until(own.min(deadline)),
            Self::Forever => Self::Until(deadline),
        }
    }
}

/// What the loop hands to the reactor for one turn.
pub struct Turn<'a> {
    /// What to perform, in order. Empty afterwards.
    pub staged: &'a mut Vec<(Token, Op)>,
    /// Where results go: immediate ones in staging order, then those of cancelled operations in the order of the
    /// cancels, then events.
    pub done: &'a mut Vec<Completion>,
    /// Where receives find their memory.
    pub pool: &'a Rc<Pool>,
    /// How long to wait.
    pub wait: Wait,
}

/// Ends the wait of a reactor from any thread.
pub trait Unpark: Send + Sync {
    /// Makes the waiting turn return soon or, if there is none, the next one that would wait. Never blocks.
    fn unpark(&self);
}

/// A backend: performs operations, waits, and says what came of them. Runs no user code.
///
/// # What an implementation promises
///
/// - Each staged operation but [`Op::Cancel`] has **exactly one terminal completion**, whatever happens:
///   success, error, cancel, a full queue, a signal. Before it, an [`Op::Accept`] or [`Op::Receive`] may have
///   any number of results with [`Completion::more`].
/// - Staging never fails: an error arrives as a completion.
/// - A cancel is never lost.
/// - Of two operations that wait on the same side of a descriptor (accept and receive; connect and writable) the
///   second may be refused with `-EBUSY`.
/// - A descriptor is not touched after the turn in which [`Op::Close`] was performed.
/// - Nothing completes outside of [`Reactor::turn`].
///
/// # Safety
///
/// Memory that an operation names is not touched after that operation's terminal completion has been
/// reported, nor after the reactor has been dropped.
pub unsafe trait Reactor {
    /// Performs what is staged, waits as told, and appends completions.
    ///
    /// It may return early and without a completion, for instance when a signal arrived or [`Unpark::unpark`]
    /// was called. It does not wait when it has something to report, and may then put off asking the kernel for
    /// more, though not many times running.
    ///
    /// # Errors
    ///
    /// Only what makes going on impossible, such as a descriptor of the reactor itself that no longer works.
    ///
    /// # Safety
    ///
    /// Memory that a staged operation names stays valid until its terminal completion, or until the reactor
    /// is dropped. Descriptors that a staged operation names are open, and [`Op::Close`] owns its own.
    unsafe fn turn(&mut self, turn: Turn<'_>) -> io::Result<()>;

    /// The monotonic time (`CLOCK_MONOTONIC` in a reactor that talks to the kernel).
    fn now(&self) -> Nanos;

    /// What other threads use to end a wait. Made when it is asked for first: a loop that never waits needs none.
    ///
    /// # Errors
    ///
    /// No descriptor left (`EMFILE`, `ENFILE`), or no memory. It may be asked for again.
    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>>;

    /// A new socket, close-on-exec, in the blocking mode that this reactor wants.
    fn open(&mut self, domain: Domain, kind: Type) -> io::Result<OwnedFd>;

    /// Puts a descriptor that was opened elsewhere into the blocking mode that this reactor wants.
    fn adopt(&mut self, fd: BorrowedFd<'_>) -> io::Result<()>;

    /// An attempt to write: never waits (`ErrorKind::WouldBlock`), never raises `SIGPIPE`
    /// (`ErrorKind::BrokenPipe`).
    fn send(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize>;

    /// A request that answers at once. The default asks the kernel.
    fn control(&mut self, fd: BorrowedFd<'_>, request: Control<'_>) -> io::Result<()> {
        sys::control(fd, request)
    }

    /// The value of a socket option. The default asks the kernel.
    fn option(&mut self, fd: BorrowedFd<'_>, option: SocketOption) -> io::Result<u32> {
        sys::option(fd, option)
    }

    /// The address of one end of a socket. The default asks the kernel.
    fn address(&mut self, fd: BorrowedFd<'_>, end: End) -> io::Result<SockAddr> {
        sys::address(fd, end)
    }
}
