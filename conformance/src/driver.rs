//! Stands in for the loop: stages operations and takes turns. Every trial talks to its reactor through one.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Completion, Reactor, Turn, Wait};
use socket2::SockAddr;

use crate::account::Account;
use crate::machine;
use crate::reactor::MakeReactor;

/// How long a completion that must come may take before the trial names what is missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// More processor time than a turn takes, on any machine.
const A_TURN: Duration = Duration::from_millis(2);

/// How many waits may end early and empty, beside those that an operation explains.
const SPARE_WAKES: usize = 64;

/// A reactor at work.
pub(crate) struct Driver {
    /// Gone only while the driver is dropped.
    reactor: Option<Box<dyn Reactor>>,
    pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    done: Vec<Completion>,
    account: Account,
    /// What has completed and has not been asked for.
    inbox: VecDeque<Completion>,
    /// What may have ended a wait with nothing to show for it.
    stirs: usize,
    empty_wakes: usize,
}

impl Driver {
    /// With a pool of 64 chunks of 4 KiB.
    pub(crate) fn new(make: MakeReactor) -> Self {
        Self::with_pool(make, 64, 4096)
    }

    pub(crate) fn with_pool(make: MakeReactor, chunks: u16, chunk_len: usize) -> Self {
        Self {
            reactor: Some(make().expect("another reactor like the first")),
            pool: Pool::new(chunks, chunk_len),
            staged: Vec::new(),
            done: Vec::new(),
            account: Account::default(),
            inbox: VecDeque::new(),
            stirs: 0,
            empty_wakes: 0,
        }
    }

    /// For what answers at once.
    pub(crate) fn reactor(&mut self) -> &mut dyn Reactor {
        self.reactor.as_deref_mut().expect("taken only on drop")
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// A deadline for what must come before.
    pub(crate) fn soon(&mut self) -> Nanos {
        self.reactor().now().saturating_add(PATIENCE)
    }

    pub(crate) fn accept(&mut self, listener: &OwnedFd) -> Token {
        self.stage(Op::Accept { fd: listener.as_raw_fd() })
    }

    pub(crate) fn connect(&mut self, socket: &OwnedFd, to: SocketAddr) -> Token {
        let addr = Box::leak(Box::new(SockAddr::from(to)));
        self.stage(Op::Connect { fd: socket.as_raw_fd(), addr: NonNull::from(addr) })
    }

    pub(crate) fn receive(&mut self, socket: impl AsFd) -> Token {
        self.stage(Op::Receive { fd: socket.as_fd().as_raw_fd() })
    }

    /// A staged attempt to write.
    pub(crate) fn send(&mut self, socket: &OwnedFd, bytes: &'static [u8]) -> Token {
        self.stage(Op::Send { fd: socket.as_raw_fd(), bytes: NonNull::from(bytes) })
    }

    pub(crate) fn writable(&mut self, socket: &OwnedFd) -> Token {
        self.stage(Op::Writable { fd: socket.as_raw_fd() })
    }

    pub(crate) fn close(&mut self, fd: OwnedFd) -> Token {
        self.stage(Op::Close { fd: fd.into_raw_fd() })
    }

    /// Also of what has ended or never was. A cancel has no completion, hence no token of its own.
    pub(crate) fn cancel(&mut self, target: Token) {
        self.account.cancelled(target);
        self.stirs += 1;
        self.staged.push((target, Op::Cancel { target }));
    }

    fn stage(&mut self, op: Op) -> Token {
        let token = self.account.issue(op);
        self.stirs += 1;
        self.staged.push((token, op));
        token
    }

    /// One turn. Says how many completions it brought; they are in the inbox.
    pub(crate) fn turn(&mut self, wait: Wait) -> usize {
        let Self { reactor, pool, staged, done, .. } = self;
        let reactor = reactor.as_deref_mut().expect("taken only on drop");
        // SAFETY: the account frees addresses at the terminal completion, or after the reactor is gone. Staged
        // descriptors are those of sockets that trials keep for another turn, but for that of a close, which
        // was given up to it.
        let result = unsafe { reactor.turn(Turn { staged, done, pool, wait }) };
        result.expect("a turn");
        assert!(self.staged.is_empty(), "not performed: {:?}", self.staged);

        let count = self.done.len();
        for completion in mem::take(&mut self.done) {
            self.account.settle(&completion);
            self.inbox.push_back(completion);
        }
        self.stirs += count;
        let asked_to_wait = match wait {
            Wait::No => false,
            Wait::Until(deadline) => self.reactor().now() < deadline,
            Wait::Forever => true,
        };
        if asked_to_wait && count == 0 {
            self.empty_wakes += 1;
        }
        count
    }

    /// A turn that waits, but not for ever, for what must come.
    fn advance(&mut self, deadline: Nanos) {
        let in_time = self.reactor().now() < deadline;
        assert!(in_time, "nothing came in {} s; {}", PATIENCE.as_secs(), self.in_flight());
        self.turn(Wait::Until(deadline));
    }

    /// Takes turns until `enough` says so of everything in the inbox.
    pub(crate) fn run_until(&mut self, mut enough: impl FnMut(&VecDeque<Completion>) -> bool) {
        let deadline = self.soon();
        while !enough(&self.inbox) {
            self.advance(deadline);
        }
    }

    /// The next result of an operation, terminal or not, once there is one.
    pub(crate) fn next(&mut self, token: Token) -> Completion {
        self.run_until(|inbox| inbox.iter().any(|c| c.token == token));
        self.try_next(token).expect("one was just seen")
    }

    /// The next result of an operation if it has come.
    pub(crate) fn try_next(&mut self, token: Token) -> Option<Completion> {
        let index = self.inbox.iter().position(|c| c.token == token)?;
        self.inbox.remove(index)
    }

    /// The result of an operation that has just one.
    pub(crate) fn end(&mut self, token: Token) -> i32 {
        let completion = self.next(token);
        assert!(!completion.more, "{completion:?} should have been terminal");
        completion.result
    }

    /// Everything that has come, of all operations.
    pub(crate) fn take_all(&mut self) -> Vec<Completion> {
        self.inbox.drain(..).collect()
    }

    /// Waits this long and checks that nothing comes, and that waiting costs nothing.
    pub(crate) fn expect_quiet(&mut self, duration: Duration) {
        let cpu_before = machine::cpu_time();
        let deadline = self.reactor().now().saturating_add(duration);
        let mut turns = 0;
        while self.reactor().now() < deadline {
            self.turn(Wait::Until(deadline));
            turns += 1;
            assert!(turns < 16, "{turns} turns, where one wait of {duration:?} was asked for");
        }
        let cpu = machine::cpu_time() - cpu_before;
        assert!(cpu < duration / 2 + A_TURN, "{cpu:?} of processor time to wait for {duration:?}");
        assert!(self.inbox.is_empty(), "nothing was to come: {:?}", self.inbox);
    }

    /// How many waits have ended early and empty.
    pub(crate) fn empty_wakes(&self) -> usize {
        self.empty_wakes
    }

    /// Something outside the account will end a wait: an unpark, a signal.
    pub(crate) fn expect_stirs(&mut self, count: usize) {
        self.stirs += count;
    }

    /// What has not had its terminal completion, in a few words.
    fn in_flight(&self) -> String {
        let mut all: Vec<_> = self.account.in_flight().collect();
        all.sort_by_key(|(token, _)| token.slot());
        let first: Vec<_> =
            all.iter().take(8).map(|(token, op)| format!("{} {token:?}", op.name())).collect();
        format!("{} in flight, such as {}", all.len(), first.join(", "))
    }

    /// Drops the reactor with whatever is in flight, and returns the pool.
    pub(crate) fn abandon(mut self) -> Rc<Pool> {
        self.discard_inbox();
        self.reactor = None;
        self.account.close();
        Rc::clone(&self.pool)
    }

    /// Accepted sockets belong to whoever takes the completion.
    fn discard_inbox(&mut self) {
        for completion in self.inbox.drain(..) {
            if self.account.is_accept(completion.token) && completion.result >= 0 {
                // SAFETY: the result of an accept is a new descriptor, and this drops its only mention.
                drop(unsafe { OwnedFd::from_raw_fd(completion.result) });
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if thread::panicking() || self.reactor.is_none() {
            return;
        }
        let left: Vec<_> = self.account.in_flight().map(|(token, _)| token).collect();
        left.into_iter().for_each(|token| self.cancel(token));
        let deadline = self.soon();
        while self.account.in_flight().next().is_some() {
            self.advance(deadline);
        }
        // A completion too many would come now.
        self.turn(Wait::No);
        self.discard_inbox();
        assert!(
            self.empty_wakes <= self.stirs + SPARE_WAKES,
            "{} waits ended early and empty, with {} operations and results to explain them",
            self.empty_wakes,
            self.stirs
        );
        self.reactor = None;
        assert_eq!(self.pool.available(), usize::from(self.pool.chunks()), "chunks of the pool are lost");
    }
}
