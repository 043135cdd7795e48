//! What is peculiar to io_uring. What all backends promise is in the conformance suite.

mod calls;
mod cancels;
mod descriptors;
mod queues;
mod receives;
mod refusals;
mod strace;
mod teardown;
mod waits;

use std::collections::VecDeque;
use std::io::Write;
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Outcome, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};

use crate::UringReactor;
use crate::setup::{CompletionWork, Options};

/// No test waits longer for what must come. Only a failing one waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

const CANCELED: Result<usize, Errno> = Err(Errno::ECANCELED);

/// A reactor, and what a loop would keep for it.
struct Rig {
    reactor: UringReactor,
    pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    /// The results of sends.
    sent: VecDeque<Completion>,
    tokens: u32,
    turns: u32,
}

impl Rig {
    /// Runs `test` for each way in which a kernel may do completion work, on a machine that has io_uring.
    fn each(options: Options, chunks: u16, chunk_len: usize, test: impl Fn(Rig)) {
        for completion_work in [CompletionWork::Deferred, CompletionWork::Cooperative] {
            Rig::new(Options { completion_work, ..options }, chunks, chunk_len).map(&test);
        }
    }

    fn new(options: Options, chunks: u16, chunk_len: usize) -> Option<Self> {
        match UringReactor::with_options(4, options) {
            Ok(reactor) => {
                let pool = Pool::new(chunks, chunk_len).expect("a pool");
                let (staged, sent) = (Vec::new(), VecDeque::new());
                Some(Self { reactor, pool, staged, sent, tokens: 0, turns: 0 })
            }
            Err(error) => {
                eprintln!("skipped with {:?} completion work: {error}", options.completion_work);
                None
            }
        }
    }

    fn import(&mut self, fd: impl Into<OwnedFd>) -> Fd {
        self.reactor.import(fd.into()).expect("a socket or a file")
    }

    /// A connection, of which the reactor has the first end.
    fn pair(&mut self) -> (Fd, UnixStream) {
        let (here, there) = UnixStream::pair().expect("a socket pair");
        there.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (self.import(here), there)
    }

    fn pairs(&mut self, count: usize) -> Vec<(Fd, UnixStream)> {
        (0..count).map(|_| self.pair()).collect()
    }

    /// The same over TCP.
    fn tcp_pair(&mut self) -> (Fd, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
        peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        (self.import(listener.accept().expect("a connection").0), peer)
    }

    fn stage(&mut self, op: Op) -> Token {
        let token = Token::new(self.tokens, 7);
        self.tokens += 1;
        self.staged.push((token, op));
        token
    }

    fn receive(&mut self, fd: Fd) -> Token {
        self.stage(Op::Receive { fd })
    }

    fn writable(&mut self, fd: Fd) -> Token {
        self.stage(Op::Writable { fd })
    }

    fn send(&mut self, fd: Fd, bytes: &[u8]) -> Token {
        self.stage(Op::Send { fd, data: Data::from(bytes.to_vec()) })
    }

    fn close(&mut self, fd: Fd) -> Token {
        self.stage(Op::Close { fd })
    }

    fn cancel(&mut self, target: Token) {
        self.stage(Op::Cancel { target });
    }

    /// What a turn brings but for the results of sends, which are left in `sent`.
    fn turn(&mut self, wait: Wait) -> Vec<Completion> {
        let mut done = VecDeque::new();
        let Self { reactor, pool, staged, sent, .. } = self;
        reactor.turn(Turn { staged, done: &mut done, sent, pool, wait }).expect("the ring works");
        assert!(self.staged.is_empty());
        self.turns += 1;
        done.into()
    }

    /// Turns until `enough` of what was completed so far.
    fn turn_until(&mut self, enough: impl Fn(&[Completion]) -> bool) -> Vec<Completion> {
        let deadline = self.reactor.now().saturating_add(PATIENCE);
        let mut done = Vec::new();
        while !enough(&done) {
            assert!(self.reactor.now() < deadline, "it never came; what did: {done:?}");
            done.append(&mut self.turn(Wait::Until(deadline)));
        }
        done
    }

    /// Turns until each of `tokens` has ended; its results, in order.
    fn end_of(&mut self, tokens: &[Token]) -> Vec<Completion> {
        self.turn_until(|done| {
            tokens.iter().all(|token| done.iter().any(|one| one.token == *token && !one.more))
        })
    }

    fn take_sent(&mut self) -> Vec<Completion> {
        mem::take(&mut self.sent).into()
    }
}

/// `len` bytes in a pattern that shows what is missing or out of order.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn write(mut peer: &UnixStream, bytes: &[u8]) {
    peer.write_all(bytes).expect("room in the socket");
}

/// The bytes of a receive, in the order of its completions.
fn bytes_of(token: Token, done: &[Completion]) -> Vec<u8> {
    let data = done.iter().filter(|one| one.token == token).filter_map(|one| one.data.as_deref());
    data.flatten().copied().collect()
}

/// Every operation of `done` with its result, as a number if it has one.
fn results(done: &[Completion]) -> Vec<(Token, Result<usize, Errno>)> {
    done.iter().map(|one| (one.token, result(one))).collect()
}

fn result(one: &Completion) -> Result<usize, Errno> {
    one.result.as_ref().map_err(|errno| *errno).map(|outcome| match outcome {
        Outcome::Done | Outcome::Addresses(_) | Outcome::Stat(_) => 0,
        Outcome::Count(count) => *count,
        Outcome::Fd(fd) => fd.number() as usize,
    })
}

/// The descriptor that an operation brought.
fn fd_of(one: &Completion) -> Fd {
    let Ok(Outcome::Fd(fd)) = one.result else { panic!("no descriptor: {one:?}") };
    fd
}
