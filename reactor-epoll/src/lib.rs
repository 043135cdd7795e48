//! The reactor on `epoll(7)`: an operation is a non-blocking system call, made when it will not have to wait.
//!
//! A turn has three phases, each over as many sockets as there are: perform what is staged, ask epoll what is
//! ready, then accept and receive. Connects and writes wait in the kernel's hands only; accepts and receives,
//! which have any number of results, also in two queues here, from which each turn takes a fair share.

mod perform;
mod poller;
mod serve;
mod table;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::Token;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};
use runtime_core::sys::{self, EventFd, Mode};
use socket2::{Domain, Type};

use crate::poller::{Interest, Poller};
use crate::serve::Ready;
use crate::table::Table;

/// What the descriptor of [`Unpark`] is watched with. No descriptor's word is the same: none has the number -1.
const UNPARK: u64 = u64::MAX;

/// Performs operations with non-blocking system calls and waits with epoll.
pub struct EpollReactor {
    poller: Poller,
    table: Table,
    ready: Ready,
    /// What this turn's cancels ended: an event, and so reported after the immediate results, as io_uring does.
    cancelled: Vec<Token>,
    /// From the first time that it was asked for.
    unparker: Option<Arc<EventFd>>,
    /// A turn that was not to wait came upon an unpark, which is meant for one that is.
    unparked: bool,
}

impl EpollReactor {
    /// A reactor that watches nothing yet.
    ///
    /// # Errors
    ///
    /// Those of `epoll_create1(2)`: no descriptor left (`EMFILE`, `ENFILE`), or no memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            table: Table::default(),
            ready: Ready::default(),
            cancelled: Vec::new(),
            unparker: None,
            unparked: false,
        })
    }
}

// SAFETY: the only memory that an operation names is the address of a connect and the bytes of a send, which are
// read while the operation is performed and never after. Chunks are written to by `recv` calls that have returned.
unsafe impl Reactor for EpollReactor {
    unsafe fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        let Turn { staged, done, pool, wait } = turn;
        for (token, op) in staged.drain(..) {
            // SAFETY: the caller's promise about what staged operations name is the one that is asked for.
            unsafe { self.perform(token, op, done) };
        }
        done.extend(self.cancelled.drain(..).map(perform::cancelled));

        let timeout = if !done.is_empty() || self.unparked || self.ready.any(pool) {
            Some(Duration::ZERO)
        } else {
            match wait {
                Wait::No => Some(Duration::ZERO),
                Wait::Until(Nanos::NEVER) | Wait::Forever => None,
                Wait::Until(deadline) => Some(deadline.saturating_since(self.now())),
            }
        };
        for index in 0..self.poller.wait(timeout)? {
            let event = self.poller.event(index);
            if event.data == UNPARK {
                self.unparked = true;
            } else {
                self.observe(event, done);
            }
        }
        if wait != Wait::No {
            self.unparked = false;
        }

        self.accept(done);
        self.receive(pool, done);
        Ok(())
    }

    fn now(&self) -> Nanos {
        sys::now()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        if let Some(unparker) = &self.unparker {
            return Ok(Arc::clone(unparker) as _);
        }
        let unparker = Arc::new(EventFd::new()?);
        self.poller.add(unparker.as_fd(), Interest::Reading, UNPARK)?;
        Ok(Arc::clone(self.unparker.insert(unparker)) as _)
    }

    fn open(&mut self, domain: Domain, kind: Type) -> io::Result<OwnedFd> {
        let fd = sys::open(domain, kind, Mode::NonBlocking)?;
        self.welcome(fd.as_raw_fd());
        Ok(fd)
    }

    fn adopt(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.welcome(fd.as_raw_fd());
        sys::set_mode(fd, Mode::NonBlocking)
    }

    fn send(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let result = sys::send(fd, bytes);
        let is_full = match &result {
            Ok(count) => *count < bytes.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_full {
            self.table.get_or_insert(fd).full = true;
        }
        result
    }
}
