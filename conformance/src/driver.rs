//! Stands in for the loop: stages operations and takes turns. Every trial talks to its reactor through one.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::call::Call;
use runtime_core::clock::Nanos;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Attempt, Completion, Control, End, Fd, Op, Outcome, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};

use crate::account::Account;
use crate::machine;
use crate::reactor::Env;
use crate::world::World;

/// How long a completion that must come may take before the trial names what is missing.
const PATIENCE: Duration = Duration::from_secs(10);

/// More processor time than a turn takes, on any machine.
const A_TURN: Duration = Duration::from_millis(2);

/// How many waits may end early and empty, beside those that something explains.
const SPARE_WAKES: usize = 64;

/// A reactor at work.
pub(crate) struct Driver {
    world: Rc<dyn World>,
    /// Gone only while the driver is dropped.
    reactor: Option<Box<dyn Reactor>>,
    pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    done: VecDeque<Completion>,
    sent: VecDeque<Completion>,
    account: Account,
    /// What has completed and has not been asked for.
    inbox: VecDeque<Completion>,
    empty_wakes: usize,
    /// How many of them something explains: each operation and each result, and what a trial has announced.
    explained_wakes: usize,
}

impl Driver {
    /// With a pool of 64 chunks of 4 KiB.
    pub(crate) fn new(env: &Env) -> Self {
        Self::with_pool(env, 64, 4096)
    }

    pub(crate) fn with_pool(env: &Env, chunks: u16, chunk_len: usize) -> Self {
        let world = Rc::clone(env.world());
        let reactor = world.reactor().expect("another reactor like the first");
        Self {
            world,
            reactor: Some(reactor),
            pool: Pool::new(chunks, chunk_len).expect("memory for the pool"),
            staged: Vec::new(),
            done: VecDeque::new(),
            sent: VecDeque::new(),
            account: Account::default(),
            inbox: VecDeque::new(),
            empty_wakes: 0,
            explained_wakes: 0,
        }
    }

    /// Where the other ends of its connections are.
    pub(crate) fn world(&self) -> Rc<dyn World> {
        Rc::clone(&self.world)
    }

    /// For what answers at once and neither gives nor takes a descriptor.
    pub(crate) fn reactor(&mut self) -> &mut dyn Reactor {
        self.reactor.as_deref_mut().expect("taken only on drop")
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(crate) fn now(&mut self) -> Nanos {
        self.reactor().now()
    }

    /// A deadline for what must come before.
    pub(crate) fn soon(&mut self) -> Nanos {
        self.now().saturating_add(PATIENCE)
    }

    // What answers at once.

    pub(crate) fn open(&mut self, family: Family, kind: Kind) -> io::Result<Fd> {
        let fd = self.reactor().open(family, kind)?;
        self.account.named(fd);
        Ok(fd)
    }

    pub(crate) fn import(&mut self, fd: impl Into<OwnedFd>) -> Fd {
        let fd = self.reactor().import(fd.into()).expect("import");
        self.account.named(fd);
        fd
    }

    pub(crate) fn export(&mut self, fd: Fd) -> OwnedFd {
        let exported = self.reactor().export(fd).expect("export");
        self.account.exported(fd);
        exported
    }

    /// A connection that came from elsewhere, if that is possible, and its other end.
    pub(crate) fn imported(&mut self) -> Option<(Fd, Box<dyn crate::world::Peer>)> {
        let world = self.world();
        let (fd, peer) = world.import(self.reactor())?;
        self.account.named(fd);
        Some((fd, peer))
    }

    pub(crate) fn attempt(&mut self, fd: Fd, bytes: &[u8]) -> io::Result<usize> {
        self.reactor().attempt(fd, Attempt::Send(bytes))
    }

    pub(crate) fn control(&mut self, fd: Fd, request: Control<'_>) -> io::Result<()> {
        self.reactor().control(fd, request)
    }

    /// The address of one end of a socket over IP.
    pub(crate) fn address(&mut self, fd: Fd, end: End) -> io::Result<SocketAddr> {
        self.reactor().address(fd, end).map(|address| address.as_inet().expect("an IP address"))
    }

    // What is staged.

    pub(crate) fn accept(&mut self, fd: Fd) -> Token {
        self.stage(Op::Accept { fd })
    }

    pub(crate) fn connect(&mut self, fd: Fd, to: SocketAddr) -> Token {
        self.stage(Op::Connect { fd, addr: Box::new(SockAddr::from(to)) })
    }

    pub(crate) fn receive(&mut self, fd: Fd) -> Token {
        self.stage(Op::Receive { fd })
    }

    /// A staged attempt to write.
    pub(crate) fn send(&mut self, fd: Fd, bytes: &[u8]) -> Token {
        self.stage(Op::Send { fd, data: Data::from(bytes.to_vec()) })
    }

    pub(crate) fn writable(&mut self, fd: Fd) -> Token {
        self.stage(Op::Writable { fd })
    }

    pub(crate) fn call(&mut self, call: Call) -> Token {
        self.stage(Op::Call(call))
    }

    pub(crate) fn close(&mut self, fd: Fd) -> Token {
        self.stage(Op::Close { fd })
    }

    /// Also of what has ended or never was. A cancel has no completion, hence no token of its own.
    pub(crate) fn cancel(&mut self, target: Token) {
        self.account.cancelled(target);
        self.explained_wakes += 1;
        self.staged.push((target, Op::Cancel { target }));
    }

    pub(crate) fn stage(&mut self, op: Op) -> Token {
        let token = self.account.issue(&op);
        self.explained_wakes += 1;
        self.staged.push((token, op));
        token
    }

    // What comes of it.

    /// One turn. Says how many completions it brought; they are in the inbox.
    pub(crate) fn turn(&mut self, wait: Wait) -> usize {
        let Self { reactor, pool, staged, done, sent, .. } = self;
        let reactor = reactor.as_deref_mut().expect("taken only on drop");
        reactor.turn(Turn { staged, done, sent, pool, wait }).expect("a turn");
        assert!(self.staged.is_empty(), "not performed: {:?}", self.staged);

        let count = self.done.len() + self.sent.len();
        for completion in self.done.drain(..) {
            assert!(!self.account.is_send(completion.token), "a send, among the others: {completion:?}");
            self.account.settle(&completion);
            self.inbox.push_back(completion);
        }
        for completion in self.sent.drain(..) {
            assert!(self.account.is_send(completion.token), "not a send, among the sends: {completion:?}");
            self.account.settle(&completion);
            self.inbox.push_back(completion);
        }
        self.explained_wakes += count;
        let is_early = match wait {
            Wait::No => false,
            Wait::Until(deadline) => self.now() < deadline,
            Wait::Forever => true,
        };
        if is_early && count == 0 {
            self.empty_wakes += 1;
        }
        count
    }

    /// A turn that waits, but not for ever, for what must come.
    fn advance(&mut self, deadline: Nanos) {
        let in_time = self.now() < deadline;
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
        self.run_until(|inbox| inbox.iter().any(|completion| completion.token == token));
        self.try_next(token).expect("one was just seen")
    }

    /// The next result of an operation if it has come.
    pub(crate) fn try_next(&mut self, token: Token) -> Option<Completion> {
        let index = self.inbox.iter().position(|completion| completion.token == token)?;
        self.inbox.remove(index)
    }

    /// The result of an operation that has just one, which is a count or none.
    pub(crate) fn end(&mut self, token: Token) -> Result<usize, Errno> {
        let completion = self.next(token);
        assert!(!completion.more, "{completion:?} should have been terminal");
        count(&completion)
    }

    /// Everything that has come, of all operations.
    pub(crate) fn take_all(&mut self) -> Vec<Completion> {
        self.inbox.drain(..).collect()
    }

    /// Waits this long and checks that nothing comes, and that waiting costs nothing.
    pub(crate) fn expect_quiet(&mut self, duration: Duration) {
        let cpu_before = machine::cpu_time();
        let deadline = self.now().saturating_add(duration);
        let mut turns = 0;
        while self.now() < deadline {
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

    /// Something outside of the account will end waits: an unpark, a signal.
    pub(crate) fn expect_wakes(&mut self, count: usize) {
        self.explained_wakes += count;
    }

    /// What has not had its terminal completion, in a few words.
    fn in_flight(&self) -> String {
        let mut all: Vec<_> = self.account.in_flight().collect();
        all.sort_by_key(|(token, _)| token.slot());
        let first: Vec<_> = all.iter().take(8).map(|(token, name)| format!("{name} {token:?}")).collect();
        format!("{} in flight, such as {}", all.len(), first.join(", "))
    }

    /// Drops the reactor with whatever is in flight, and returns the pool.
    pub(crate) fn abandon(mut self) -> Rc<Pool> {
        self.reactor = None;
        self.inbox.clear();
        self.account.close();
        Rc::clone(&self.pool)
    }
}

/// The only result of an operation that is done.
pub(crate) const DONE: Result<usize, Errno> = Ok(0);

/// The only result of an operation that was cancelled.
pub(crate) const CANCELED: Result<usize, Errno> = Err(Errno::ECANCELED);

/// The last result of an operation on a connection that the peer has reset.
pub(crate) const RESET: Result<usize, Errno> = Err(Errno::ECONNRESET);

/// The count that a completion brings, or 0 if it says that something is done.
pub(crate) fn count(completion: &Completion) -> Result<usize, Errno> {
    match &completion.result {
        Ok(Outcome::Done) => Ok(0),
        Ok(Outcome::Count(count)) => Ok(*count),
        Ok(Outcome::Fd(_) | Outcome::Addresses(_) | Outcome::Stat(_)) => panic!("no count: {completion:?}"),
        Err(errno) => Err(*errno),
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
        self.inbox.clear();
        assert!(
            self.empty_wakes <= self.explained_wakes + SPARE_WAKES,
            "{} waits ended early and empty, with {} operations and results to explain them",
            self.empty_wakes,
            self.explained_wakes
        );
        self.reactor = None;
        assert_eq!(self.pool.available(), usize::from(self.pool.chunks()), "chunks of the pool are lost");
    }
}
