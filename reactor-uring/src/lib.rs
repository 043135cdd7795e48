//! The reactor on io_uring: an operation becomes a submission queue entry.
//!
//! ```text
//! Turn::staged --perform--> Flights --submit--> Ring --enter(2)--> kernel --> Ring --complete--> Turn::done, sent
//!                 |                                                                    |
//!                 +---------> Workers (calls for which the kernel has no opcode) ------+
//! ```
//!
//! - `flights`, `work`: what is under way. A flight owns all that its request names.
//! - `table`: the descriptors, and what waits on them.
//! - `buffers`: chunks of the pool, lent to receives.
//! - `opcodes`: what is asked of the kernel.
//!
//! One system call a turn: it submits, lets the kernel deliver, and waits. Needs Linux 6.0 (multishot
//! receives into a buffer ring) and uses deferred completion work from 6.1 on.

mod buffers;
mod complete;
mod error;
mod flights;
mod missed_ends;
mod opcodes;
mod perform;
mod ring;
mod setup;
mod submit;
mod table;
#[cfg(test)]
mod tests;
mod turn;
mod unpark;
mod work;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use kernel::descriptors::Owner;
use kernel::socket::{self, Mode};
use kernel::workers::Workers;
use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::clock::{self, Nanos};
use runtime_core::op::{Attempt, Control, End, Fd, SocketOption, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};
use socket2::SockRef;

use crate::buffers::Buffers;
use crate::complete::Results;
pub use crate::error::SetupError;
use crate::flights::Flights;
use crate::missed_ends::MissedEnds;
use crate::opcodes::Supported;
use crate::ring::Ring;
use crate::setup::Options;
use crate::table::Table;
use crate::unpark::{Bell, Unparker};

/// How many threads make calls that may block, unless it is said.
const WORKERS: usize = 64;

/// How long dropping a reactor waits for operations to end. They need microseconds.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// A [`Reactor`] on io_uring.
///
/// It belongs to the thread that made it:
///
/// ```compile_fail
/// fn send<T: Send>(_: T) {}
/// send(reactor_uring::UringReactor::new().unwrap());
/// ```
///
/// It serves one [`Pool`], that of the turn in which it performed its first
/// [`Op::Receive`](runtime_core::op::Op::Receive), and panics when it is given another.
pub struct UringReactor {
    ring: Ring,
    supported: Supported,
    flights: Flights,
    table: Table,
    workers: Workers,
    missed_ends: MissedEnds,
    /// Operations that have been cancelled in this turn, and that the kernel does not have.
    withdrawn: Vec<Token>,
    /// From the first receive on.
    buffers: Option<Buffers>,
    /// From the first time that it was asked for.
    unparker: Option<Arc<Unparker>>,
    /// An unpark for which no turn that may wait has returned yet.
    unparked: bool,
    bell: Bell,
    /// Descriptors of which duplicates were exported, for as long as a request that names them may be unsubmitted.
    exported: Vec<Owner>,
    /// With deferred completion work the kernel answers other threads with `EEXIST`.
    thread_bound: PhantomData<*mut ()>,
}

impl UringReactor {
    /// A ring with the best options that this kernel knows.
    ///
    /// # Errors
    ///
    /// io_uring is forbidden here, or the kernel is too old, or there is no memory or descriptor left: see
    /// [`SetupError`].
    pub fn new() -> Result<Self, SetupError> {
        Self::with_workers(WORKERS)
    }

    /// The same, with at most `limit` threads for closures that may block.
    ///
    /// # Errors
    ///
    /// See [`UringReactor::new`].
    pub fn with_workers(limit: usize) -> Result<Self, SetupError> {
        Self::with_options(limit, Options::default())
    }

    fn with_options(workers: usize, options: Options) -> Result<Self, SetupError> {
        let (ring, supported) = setup::ring(options)?;
        Ok(Self {
            ring,
            supported,
            flights: Flights::default(),
            table: Table::default(),
            workers: Workers::new(workers),
            missed_ends: MissedEnds::default(),
            withdrawn: Vec::new(),
            buffers: None,
            unparker: None,
            unparked: false,
            bell: Bell::default(),
            exported: Vec::new(),
            thread_bound: PhantomData,
        })
    }
}

impl Reactor for UringReactor {
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        let Turn { staged, done, sent, pool, wait } = turn;
        self.look_for_missed_ends();
        for (token, op) in staged.drain(..) {
            self.perform(token, op, pool);
        }
        // After the cancels: a parked receive that is cancelled must not go on first.
        self.feed(pool);
        self.run(wait, &mut Results { done, sent })
    }

    fn idle(&self, pool: &Pool) -> Wait {
        self.until_next_turn(pool)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        self.bell.watch(&self.ring.submitter())
    }

    fn now(&self) -> Nanos {
        clock::monotonic()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        if self.unparker.is_none() {
            self.unparker = Some(Arc::new(Unparker::new(&self.bell)?));
            self.watch_unpark();
        }
        let unparker = self.unparker.as_ref().expect("it is there now");
        Ok(Arc::clone(unparker) as _)
    }

    #[inline]
    fn attempt(&mut self, fd: Fd, attempt: Attempt<'_>) -> io::Result<usize> {
        let fd = self.table.get(fd)?;
        match attempt {
            Attempt::Send(bytes) => socket::send(fd, bytes),
        }
    }

    /// In blocking mode: with `O_NONBLOCK`, io_uring answers `EAGAIN` where it would have waited.
    fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd> {
        socket::open(family, kind, Mode::Blocking).map(|fd| self.table.insert(fd))
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)> {
        // Only a socket has a type. Files stay as they are.
        let is_socket = SockRef::from(&fd).r#type().is_ok();
        if is_socket && let Err(error) = socket::set_mode(fd.as_fd(), Mode::Blocking) {
            return Err((error, fd));
        }
        Ok(self.table.insert(fd))
    }

    fn export(&mut self, fd: Fd) -> io::Result<OwnedFd> {
        // A request that has not been submitted may name the number, which must not be another descriptor's by then.
        let may_be_named = self.ring.unsubmitted() > 0;
        let duplicate = may_be_named.then(|| self.table.get(fd)?.try_clone_to_owned()).transpose()?;
        let (owner, state) = self.table.remove(fd)?;
        self.cancel_all(&state.waiting);
        match duplicate {
            None => owner.into_fd(),
            Some(duplicate) => {
                self.exported.push(owner);
                Ok(duplicate)
            }
        }
    }

    fn disown(&mut self, fd: Fd) {
        // The ring, and what waits in it, are the parent's as well.
        drop(self.table.remove(fd));
    }

    fn share(&mut self, fd: Fd) -> io::Result<Arc<OwnedFd>> {
        self.table.share(fd).map_err(io::Error::from)
    }

    fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()> {
        socket::control(self.table.get(fd)?, request)
    }

    fn option(&mut self, fd: Fd, option: SocketOption) -> io::Result<u32> {
        socket::option(self.table.get(fd)?, option)
    }

    fn address(&mut self, fd: Fd, end: End) -> io::Result<SockAddr> {
        socket::address(self.table.get(fd)?, end)
    }
}

impl Drop for UringReactor {
    /// Closing a ring is asynchronous in the kernel. So first everything under way is cancelled and awaited, for which
    /// what is still queued is submitted, too. If that takes too long, the memory of what the kernel may still use is
    /// leaked rather than freed under its hands.
    ///
    /// What is accepted or opened meanwhile is closed with the table.
    fn drop(&mut self) {
        self.missed_ends = MissedEnds::default();
        for token in self.flights.tokens() {
            self.cancel(token);
        }
        let deadline = self.now().saturating_add(DROP_PATIENCE);
        while self.flights.len() > 0 && self.now() < deadline {
            let (mut done, mut sent) = (VecDeque::new(), VecDeque::new());
            if self.run(Wait::Until(deadline), &mut Results { done: &mut done, sent: &mut sent }).is_err() {
                break;
            }
        }
        let buffers = self.buffers.take();
        if self.flights.len() > 0 {
            mem::forget(mem::take(&mut self.flights));
            mem::forget(buffers);
        } else if let Some(buffers) = buffers {
            buffers.release(&self.ring.submitter());
        }
    }
}
