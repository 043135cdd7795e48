//! The reactor on `epoll(7)`: an operation is a non-blocking system call, made when it will not have to wait.
//!
//! A turn has three phases, each over as many sockets as there are: perform what is staged, ask epoll what is
//! ready, then accept and receive. Connects and writes wait in the kernel's hands only; accepts and receives,
//! which have any number of results, also in two queues here, from which each turn takes a fair share. What epoll
//! has no readiness for, threads do.

mod perform;
mod poller;
mod serve;
mod table;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use kernel::event::EventFd;
use kernel::socket::{self, Mode};
use kernel::workers::Workers;
use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::clock::{self, Nanos};
use runtime_core::op::{Attempt, Control, End, Fd, SocketOption, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};

use crate::poller::{Interest, Poller};
use crate::serve::Ready;
use crate::table::{Sort, Table};

/// What the descriptor of [`Unpark`] is watched with. No descriptor's word is the same: none has the number -1.
const UNPARK: u64 = u64::MAX;

/// How many closures run at a time, unless [`EpollReactor::with_workers`] says otherwise. They are thought to wait for
/// something, so it is not the number of processors.
const WORKERS: usize = 64;

/// Performs operations with non-blocking system calls and waits with epoll.
pub struct EpollReactor {
    poller: Poller,
    table: Table,
    ready: Ready,
    workers: Workers,
    /// What cancels, closes and exports ended since results were last reported.
    cancelled: Vec<Token>,
    /// From the first time that it was asked for.
    unparker: Option<Arc<dyn Unpark>>,
    /// A turn that was not to wait came upon an unpark, which is meant for one that is.
    unparked: bool,
}

impl EpollReactor {
    /// A reactor that watches nothing yet, with up to 64 threads for closures that may block.
    ///
    /// # Errors
    ///
    /// Those of `epoll_create1(2)`: no descriptor left (`EMFILE`, `ENFILE`), or no memory.
    pub fn new() -> io::Result<Self> {
        Self::with_workers(WORKERS)
    }

    /// The same, with up to `limit` threads for closures that may block, and at least one.
    ///
    /// # Errors
    ///
    /// As for [`EpollReactor::new`].
    pub fn with_workers(limit: usize) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            table: Table::default(),
            ready: Ready::default(),
            workers: Workers::new(limit),
            cancelled: Vec::new(),
            unparker: None,
            unparked: false,
        })
    }

    /// Whether a turn has something to do now. No event need tell so.
    fn is_busy(&self, pool: &Pool) -> bool {
        self.ready.any(pool) || self.workers.any_ended() || !self.cancelled.is_empty()
    }
}

impl Reactor for EpollReactor {
    fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        let Turn { staged, done, sent, pool, wait } = turn;
        for (token, op) in staged.drain(..) {
            self.perform(token, op, done, sent);
        }
        done.extend(self.cancelled.drain(..).map(perform::cancelled));

        let timeout = if !done.is_empty() || !sent.is_empty() || self.unparked || self.is_busy(pool) {
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

        let table = &mut self.table.descriptors;
        self.workers.collect(|token, answer| done.push_back(answer.into_completion(token, table)));
        self.accept(done);
        self.receive(pool, done);
        Ok(())
    }

    fn idle(&self, pool: &Pool) -> Wait {
        // Not an unpark that a turn came upon: whoever took that turn has been called, and need not be again.
        if self.is_busy(pool) { Wait::No } else { Wait::Forever }
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.poller.as_fd())
    }

    #[inline]
    fn now(&self) -> Nanos {
        clock::monotonic()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        if let Some(unparker) = &self.unparker {
            return Ok(Arc::clone(unparker));
        }
        let event = EventFd::new()?;
        self.poller.add(event.as_fd(), Interest::Reading, UNPARK)?;
        Ok(Arc::clone(self.unparker.insert(Arc::new(event))))
    }

    #[inline]
    fn attempt(&mut self, fd: Fd, attempt: Attempt<'_>) -> io::Result<usize> {
        match attempt {
            Attempt::Send(bytes) => self.send(fd, bytes),
        }
    }

    fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd> {
        let socket = socket::open(family, kind, Mode::NonBlocking)?;
        Ok(self.table.insert(socket, Sort::of_new(family, kind)))
    }

    fn import(&mut self, fd: OwnedFd) -> Result<Fd, (io::Error, OwnedFd)> {
        let welcome = |fd: BorrowedFd<'_>| {
            let sort = Sort::of(fd)?;
            if sort != Sort::File {
                socket::set_mode(fd, Mode::NonBlocking)?;
            }
            Ok(sort)
        };
        match welcome(fd.as_fd()) {
            Ok(sort) => Ok(self.table.insert(fd, sort)),
            Err(error) => Err((error, fd)),
        }
    }

    fn export(&mut self, fd: Fd) -> io::Result<OwnedFd> {
        self.forget(fd)?.into_fd()
    }

    fn share(&mut self, fd: Fd) -> io::Result<Arc<OwnedFd>> {
        Ok(self.table.descriptors.share(fd)?)
    }

    fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()> {
        socket::control(self.table.descriptors.get(fd)?, request)
    }

    fn option(&mut self, fd: Fd, option: SocketOption) -> io::Result<u32> {
        socket::option(self.table.descriptors.get(fd)?, option)
    }

    fn address(&mut self, fd: Fd, end: End) -> io::Result<SockAddr> {
        socket::address(self.table.descriptors.get(fd)?, end)
    }
}
