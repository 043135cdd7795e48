//! What is peculiar to io_uring. What both backends promise is in the conformance suite.

mod cancels;
mod queues;
mod receives;
mod refusals;
mod strace;
mod teardown;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Completion, Reactor, Turn, Wait};

use crate::UringReactor;
use crate::setup::{CompletionWork, Options};

/// No test waits longer for what must come. Only a failing one waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A reactor, and what a loop would keep for it.
struct Rig {
    reactor: UringReactor,
    pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    tokens: u32,
    turns: u32,
}

impl Rig {
    /// Runs `test` for each way in which a kernel may do completion work, on a machine that has io_uring.
    fn each(options: Options, chunks: u16, chunk_len: usize, test: impl Fn(Rig)) {
        for completion_work in [CompletionWork::Deferred, CompletionWork::Cooperative] {
            match UringReactor::with_options(Options { completion_work, ..options }) {
                Ok(reactor) => {
                    let pool = Pool::new(chunks, chunk_len);
                    test(Rig { reactor, pool, staged: Vec::new(), tokens: 0, turns: 0 });
                }
                Err(error) => eprintln!("skipped with {completion_work:?} completion work: {error}"),
            }
        }
    }

    fn stage(&mut self, op: Op) -> Token {
        let token = Token::new(self.tokens, 7);
        self.tokens += 1;
        self.staged.push((token, op));
        token
    }

    fn receive(&mut self, socket: &impl AsRawFd) -> Token {
        self.stage(Op::Receive { fd: socket.as_raw_fd() })
    }

    fn writable(&mut self, socket: &impl AsRawFd) -> Token {
        self.stage(Op::Writable { fd: socket.as_raw_fd() })
    }

    fn cancel(&mut self, target: Token) {
        self.stage(Op::Cancel { target });
    }

    fn turn(&mut self, wait: Wait) -> Vec<Completion> {
        let mut done = Vec::new();
        let turn = Turn { staged: &mut self.staged, done: &mut done, pool: &self.pool, wait };
        // SAFETY: the tests keep sockets and addresses while operations name them.
        unsafe { self.reactor.turn(turn) }.expect("the ring works");
        assert!(self.staged.is_empty());
        self.turns += 1;
        done
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
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a socket pair")
}

fn tcp_pair() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("a connection");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    (listener.accept().expect("a connection").0.into(), peer)
}

/// `len` bytes in a pattern that shows what is missing or out of order.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn send(socket: &UnixStream, bytes: &[u8]) {
    (&*socket).write_all(bytes).expect("room in the socket");
}

/// The bytes of a receive, in the order of its completions.
fn bytes_of(token: Token, done: &[Completion]) -> Vec<u8> {
    let chunks = done.iter().filter(|one| one.token == token).filter_map(|one| one.chunk.as_ref());
    chunks.flat_map(|chunk| chunk.iter().copied()).collect()
}

/// Every operation of `done` with its result, for operations that have one.
fn results(done: &[Completion]) -> Vec<(Token, i32)> {
    done.iter().map(|one| (one.token, one.result)).collect()
}

#[test]
fn another_thread_ends_a_wait() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        for _ in 0..100 {
            let unparker = rig.reactor.unparker().expect("a descriptor is left");
            let waker = std::thread::spawn(move || unparker.unpark());
            // Hangs if the wake-up is lost, whether it comes before the wait or within.
            let done = rig.turn(Wait::Forever);
            assert!(done.is_empty());
            waker.join().expect("it only wakes");
        }
    });
}

#[test]
fn an_unpark_outlives_turns_that_do_not_wait() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        // Arms the watch.
        let soon = rig.reactor.now().saturating_add(Duration::from_millis(1));
        rig.turn(Wait::Until(soon));
        rig.reactor.unparker().expect("a descriptor is left").unpark();
        for _ in 0..3 {
            rig.turn(Wait::No);
        }
        // Hangs if one of them has swallowed it.
        rig.turn(Wait::Forever);
    });
}

#[test]
fn wakes_once_for_each_unpark() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        rig.reactor.unparker().expect("a descriptor is left").unpark();
        rig.turn(Wait::Forever);
        let deadline = rig.reactor.now().saturating_add(Duration::from_millis(20));
        let mut turns = 0;
        while rig.reactor.now() < deadline {
            rig.turn(Wait::Until(deadline));
            turns += 1;
        }
        // The counter of the eventfd is never read. A level-triggered watch would spin here.
        assert!(turns <= 3, "{turns} turns in one wait");
    });
}
