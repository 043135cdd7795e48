//! The reactor on io_uring: an operation becomes a submission queue entry.
//!
//! ```text
//! Turn::staged --submit--> Ring --enter(2)--> kernel --> Ring --complete--> Turn::done
//!                            Flights: what is under way
//!                            Buffers: chunks of the pool, lent to receives
//! ```
//!
//! One system call a turn: it submits, lets the kernel deliver, and waits. Needs Linux 6.0 (multishot
//! receives into a buffer ring) and uses deferred completion work from 6.1 on.

mod buffers;
mod complete;
mod ends;
mod error;
mod flights;
mod ring;
mod setup;
mod submit;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue;
use runtime_core::clock::Nanos;
use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Completion, Reactor, Turn, Unpark, Wait};
use runtime_core::sys::{self, EventFd, Mode};
use socket2::{Domain, Type};

use crate::buffers::Buffers;
use crate::ends::Suspects;
pub use crate::error::SetupError;
use crate::flights::{Flight, Flights, Whereabouts};
use crate::ring::Ring;
use crate::setup::Options;

/// How many more enters a turn makes than its requests need, when the kernel has taken only a part of them or
/// holds back completions: since Linux 6.13 it does deferred work in pieces of 20. Bounds a turn.
const SPARE_ROUNDS: usize = 8;

/// How many chunks the kernel is lent, if the pool has them. What one socket can take in one turn.
const LENT_AT_LEAST: usize = 16;

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
/// It serves one [`Pool`], that of the turn in which it performed its first [`Op::Receive`], and panics when it is
/// given another.
pub struct UringReactor {
    ring: Ring,
    flights: Flights,
    suspects: Suspects,
    /// Parked receives that have been cancelled in this turn.
    withdrawn: Vec<Token>,
    /// From the first receive on.
    buffers: Option<Buffers>,
    /// From the first time that it was asked for.
    unparker: Option<Arc<EventFd>>,
    unpark_armed: bool,
    /// An unpark for which no turn has returned yet.
    unparked: bool,
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
        Self::with_options(Options::default())
    }

    fn with_options(options: Options) -> Result<Self, SetupError> {
        Ok(Self {
            ring: setup::ring(options)?,
            flights: Flights::default(),
            suspects: Suspects::default(),
            withdrawn: Vec::new(),
            buffers: None,
            unparker: None,
            unpark_armed: false,
            unparked: false,
            thread_bound: PhantomData,
        })
    }
}

// SAFETY: the only memory that a request names is the address of a connect and the bytes of a send. The kernel copies
// both when it takes the request (`io_connect_prep`; and a send does not wait), and it takes none after the ring is
// closed. Receives write to chunks that `Buffers` owns until their completion, and that outlive the ring if receives
// might (`drop`).
unsafe impl Reactor for UringReactor {
    unsafe fn turn(&mut self, turn: Turn<'_>) -> io::Result<()> {
        let Turn { staged, done, pool, wait } = turn;
        self.look_for_ends();
        for (token, op) in staged.drain(..) {
            self.perform(token, op, pool, done);
        }
        // After the cancels: a parked receive that is cancelled must not go on first.
        self.feed(pool);
        self.run(wait, done)
    }

    fn now(&self) -> Nanos {
        sys::now()
    }

    fn unparker(&mut self) -> io::Result<Arc<dyn Unpark>> {
        let unparker = match self.unparker.take() {
            Some(unparker) => unparker,
            None => Arc::new(EventFd::new()?),
        };
        Ok(Arc::clone(self.unparker.insert(unparker)) as _)
    }

    /// In blocking mode: with `O_NONBLOCK`, io_uring answers `EAGAIN` where it would have waited.
    fn open(&mut self, domain: Domain, kind: Type) -> io::Result<OwnedFd> {
        sys::open(domain, kind, Mode::Blocking)
    }

    fn adopt(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        sys::set_mode(fd, Mode::Blocking)
    }

    fn send(&mut self, fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        sys::send(fd, bytes)
    }
}

impl UringReactor {
    /// Lends chunks of the pool to the kernel, and as many parked receives as there are chunks go on.
    ///
    /// Two for each receive is enough for all to have a result in one turn. More would only let one socket that
    /// is never short of data take them all, as a multishot receive goes on while there are chunks. And never more than
    /// half of the pool: readers hold the other half, and the fewer there are in use, the more of them are in a
    /// processor's cache.
    fn feed(&mut self, pool: &Rc<Pool>) {
        self.flights.next_round();
        let Some(buffers) = &mut self.buffers else { return };
        assert!(Rc::ptr_eq(buffers.pool(), pool), "a reactor serves one pool");
        let at_least = LENT_AT_LEAST.max(2 * self.flights.receives());
        buffers.fill(at_least.min(usize::from(pool.chunks()).div_ceil(2)));
        for _ in 0..buffers.available() {
            let Some(token) = self.flights.resume() else { break };
            self.start(token);
        }
    }

    fn perform(&mut self, token: Token, op: Op, pool: &Rc<Pool>, done: &mut Vec<Completion>) {
        match op {
            Op::Cancel { target } => self.cancel(target),
            Op::Accept { .. }
            | Op::Connect { .. }
            | Op::Send { .. }
            | Op::Writable { .. }
            | Op::Close { .. } => {
                self.flights.start(token, op);
                self.start(token);
            }
            Op::Receive { .. } => {
                self.flights.start(token, op);
                match self.lend(pool) {
                    Ok(()) => self.start(token),
                    Err(error) => self.end(token, -error.raw_os_error().unwrap_or(libc::ENOMEM), done),
                }
            }
        }
    }

    /// Makes sure that there is a buffer ring.
    fn lend(&mut self, pool: &Rc<Pool>) -> io::Result<()> {
        if self.buffers.is_none() {
            self.buffers = Some(Buffers::register(&self.ring.submitter(), pool)?);
        }
        Ok(())
    }

    fn cancel(&mut self, target: Token) {
        match self.flights.cancel(target) {
            Some(Whereabouts::Kernel) => {
                self.finish_accepting(target);
                self.request(submit::cancel(target));
            }
            Some(Whereabouts::Parked) => self.withdrawn.push(target),
            None => {}
        }
    }

    /// Before an accept is cancelled, lets it take the connections of which the kernel has told it. Of all who
    /// wait for a listener the kernel tells only one (`EPOLLEXCLUSIVE`): if that one gives up instead, another
    /// runtime that shares the listener does not hear of them.
    fn finish_accepting(&mut self, target: Token) {
        let flight = self.flights.get_mut(target).expect("what is cancelled is under way");
        if let Op::Accept { .. } = flight.op {
            // Should it fail, so will the enter of this turn, which says so.
            let _ = self.ring.submit(Wait::No);
        }
    }

    /// Hands an operation to the kernel, for the first time or again.
    fn start(&mut self, token: Token) {
        let flight = self.flights.get_mut(token).expect("only what is under way is started");
        (flight.recalled, flight.fed) = (false, false);
        // SAFETY: the operation was staged and has not ended, so what it names is valid (`Reactor::turn`).
        let request = unsafe { submit::request(flight) };
        self.request(request);
    }

    /// Asks the kernel for the end of its request, though the operation is not over.
    fn recall(&mut self, token: Token) {
        let flight = self.flights.get_mut(token).expect("only what is under way is recalled");
        if !mem::replace(&mut flight.recalled, true) {
            self.request(submit::cancel(token));
        }
    }

    fn request(&mut self, request: squeue::Entry) {
        // SAFETY: memory is named by the requests of `start` only, and valid as said there.
        unsafe { self.ring.push(request) };
    }

    /// Submits everything and collects what has ended. Waits once at most, and only with no news to report.
    fn run(&mut self, wait: Wait, done: &mut Vec<Completion>) -> io::Result<()> {
        let may_wait = wait != Wait::No;
        // Without deferred completion work any system call may have delivered something.
        self.reap(done);
        let mut wait = if self.has_news(done) { Wait::No } else { self.no_later_than_suspicion(wait) };
        if wait != Wait::No {
            self.watch_unpark();
        }
        let mut rounds = self.ring.rounds() + SPARE_ROUNDS;
        while rounds > 0 && (wait != Wait::No || self.has_more(done)) {
            rounds -= 1;
            let all = self.ring.rounds() <= 1;
            self.ring.submit(wait)?;
            self.reap(done);
            if all || self.has_news(done) {
                wait = Wait::No;
            }
        }
        // Where the kernel's answers to cancels are, too: behind what was immediate.
        for token in mem::take(&mut self.withdrawn) {
            self.end(token, -libc::ECANCELED, done);
        }
        if may_wait {
            self.unparked = false;
        }
        Ok(())
    }

    /// Whether this turn has more to do. With results to report, what the kernel still holds back is for the next
    /// turn: a socket that is never short of data would otherwise fill all chunks of the pool in this one.
    fn has_more(&mut self, done: &[Completion]) -> bool {
        if done.is_empty() { self.ring.has_work() } else { self.ring.unsubmitted() > 0 }
    }

    /// Whether there is a reason not to wait: results, an unpark, or parked receives that end or can go on.
    fn has_news(&self, done: &[Completion]) -> bool {
        let chunks = self.buffers.as_ref().map_or(0, Buffers::available);
        let parked_can_go_on = self.flights.parked() > 0 && chunks > 0;
        !done.is_empty() || !self.withdrawn.is_empty() || self.unparked || parked_can_go_on
    }

    fn watch_unpark(&mut self) {
        if let Some(unparker) = &self.unparker
            && !self.unpark_armed
        {
            self.unpark_armed = true;
            let request = submit::watch_unpark(unparker.as_fd().as_raw_fd());
            self.request(request);
        }
    }
}

impl Drop for UringReactor {
    /// Closing a ring is asynchronous in the kernel. So first everything under way is cancelled and awaited;
    /// failing that, the memory of receives is leaked rather than freed under the kernel's hands.
    fn drop(&mut self) {
        let flights: Vec<Flight> = self.flights.iter().copied().collect();
        let accepts = flights.iter().filter(|flight| matches!(flight.op, Op::Accept { .. }));
        let accepts: HashSet<Token> = accepts.map(|flight| flight.token).collect();
        for flight in flights {
            self.cancel(flight.token);
        }
        let deadline = self.now().saturating_add(DROP_PATIENCE);
        while self.flights.in_kernel() > 0 && self.now() < deadline {
            let mut done = Vec::new();
            if self.run(Wait::Until(deadline), &mut done).is_err() {
                break;
            }
            for one in done.iter().filter(|one| one.result >= 0 && accepts.contains(&one.token)) {
                // SAFETY: the result of an accept is a new descriptor, which nobody else has seen.
                drop(unsafe { OwnedFd::from_raw_fd(one.result) });
            }
        }
        if let Some(buffers) = self.buffers.take() {
            if self.flights.in_kernel() == 0 {
                buffers.release(&self.ring.submitter());
            } else {
                mem::forget(buffers);
            }
        }
    }
}
