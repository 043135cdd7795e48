//! The trait that a backend implements.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use crate::memory::pool::Pool;

use super::address::{Family, Kind, SockAddr};
use super::clock::Nanos;
use super::op::{Attempt, Completion, Control, End, Fd, Op, SocketOption, Token};

/// How long the kernel may be waited for when there is no result to give.
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
    pub fn until_at_most(self, deadline: Nanos) -> Self {
        match self {
            Self::No => Self::No,
            Self::Until(own) => Self::Until(own.min(deadline)),
            Self::Forever => Self::Until(deadline),
        }
    }

    /// The shorter one of both.
    pub fn at_most(self, other: Wait) -> Self {
        match other {
            Self::No => Self::No,
            Self::Until(deadline) => self.until_at_most(deadline),
            Self::Forever => self,
        }
    }
}

/// What the loop hands to the reactor for one turn.
pub struct Turn<'a> {
    /// What to perform, in order. Empty afterwards.
    pub staged: &'a mut Vec<(Token, Op)>,
    /// Where results go, behind what is there: immediate ones in staging order, then those of cancelled operations in
    /// the order of the cancels, then events.
    pub done: &'a mut VecDeque<Completion>,
    /// Where the results of [`Op::Send`] go, in staging order: apart, since the loop hands out what arrived first.
    pub sent: &'a mut VecDeque<Completion>,
    /// Where receives find their memory.
    pub pool: &'a Rc<Pool>,
    /// How long to wait.
    pub wait: Wait,
}

impl Turn<'_> {
    /// Whether there is a result to report, and so no reason to wait.
    pub fn has_results(&self) -> bool {
        !self.done.is_empty() || !self.sent.is_empty()
    }
}

/// Ends the wait of a reactor from any thread.
pub trait Unpark: Send + Sync {
    /// Makes the waiting turn return soon or, if there is none, the next one that would wait. Never blocks.
    fn unpark(&self);
}

/// A backend: performs operations, waits, and says what came of them. Runs no user code on the thread of the loop.
///
/// It is safe to implement and safe to call: memory and descriptors are passed by value, or borrowed for a call.
///
/// # What an implementation promises
///
/// - It owns an operation, and all that the operation names, until the **one terminal completion** that each staged
///   operation but [`Op::Cancel`] has, whatever happens: success, error, cancel, a full queue, a signal. That gives the
///   data back. Before it, an [`Op::Accept`] or [`Op::Receive`] may have any number of results with
///   [`Completion::more`].
/// - Staging never fails: an error arrives as a completion. A name that is stale or was never given is `EBADF`.
/// - A cancel is never lost.
/// - Of two operations that wait on the same side of a descriptor (accept and receive; connect and writable) the
///   second may be refused with `EBUSY`.
/// - Nothing completes outside of [`Reactor::turn`].
/// - When it is dropped it ends what is under way and closes its descriptors. What the kernel may still use then is
///   leaked rather than freed.
pub trait Reactor {
    /// Performs what is staged, waits as told, and appends completions.
    ///
    /// It may return early and without a completion, for instance when a signal arrived or [`Unpark::unpark`]
    /// was called. It does not wait when it has something to report, and may then put off asking the kernel for
    /// more, though not many times running.
    ///
    /// # Errors
    ///
    /// Only what makes going on impossible, such as a descriptor of the reactor itself that no longer works.
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()>;

    /// How long nobody need take a turn, as long as [`Reactor::descriptor`] is not readable and nothing is staged: `No`
    /// if a turn would have results without waiting.
    fn idle(&self, pool: &Pool) -> Wait;

    /// What a host's own loop may watch: it is readable when a turn would have results, or was unparked.
    ///
    /// # Errors
    ///
    /// `Unsupported` if there is no kernel to watch it.
    fn descriptor(&self) -> io::Result<BorrowedFd<'_>>;

    /// The monotonic time. That of a reactor on a kernel is [`clock::monotonic`](super::clock::monotonic).
    fn now(&self) -> Nanos;

    /// What other threads use to end a wait. Made when it is asked for first: a loop that never waits needs none.
    ///
    /// # Errors
    ///
    /// No descriptor left (`EMFILE`, `ENFILE`), or no memory. It may be asked for again.
    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>>;

    /// Tries something at once.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it would have to wait; those of the system call.
    fn attempt(&mut self, fd: Fd, attempt: Attempt<'_>) -> io::Result<usize>;

    /// A new socket, close-on-exec.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd>;

    /// Takes over a descriptor that was opened elsewhere.
    ///
    /// # Errors
    ///
    /// `Unsupported` in a reactor that has no kernel; those of `fcntl(2)`. The descriptor comes back.
    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)>;

    /// Gives a descriptor up: the name is stale from then on. Operations that still wait on it end with `ECANCELED` in
    /// the next turn. Somebody who shares it ([`Reactor::share`]) may have it open for longer; then it is a duplicate
    /// that is given.
    ///
    /// # Errors
    ///
    /// `EBADF`; `Unsupported` in a reactor that has no kernel; those of `dup(2)`.
    fn export(&mut self, fd: Fd) -> io::Result<OwnedFd>;

    /// Closes this process's copy of a descriptor and touches nothing that is shared with another process: what a child
    /// that `fork` made does with the descriptors of its parent's reactor. The name is stale from then on.
    fn disown(&mut self, fd: Fd);

    /// A second owner of a descriptor, which stays open at least as long as that exists.
    ///
    /// # Errors
    ///
    /// `EBADF`; `Unsupported` in a reactor that has no kernel.
    fn share(&mut self, fd: Fd) -> io::Result<Arc<OwnedFd>>;

    /// A request that answers at once.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()>;

    /// The value of a socket option.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    fn option(&mut self, fd: Fd, option: SocketOption) -> io::Result<u32>;

    /// The address of one end of a socket.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)` and `getpeername(2)`.
    fn address(&mut self, fd: Fd, end: End) -> io::Result<SockAddr>;
}
