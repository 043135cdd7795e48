//! A reactor, stepped by hand.

use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use reactor_epoll::EpollReactor;
use runtime_core::op::{Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Completion, Reactor, Turn, Wait};

pub const CHUNKS: u16 = 4;
pub const CHUNK_LEN: usize = 16;

/// Long enough to be sure that a wait came to its end, short enough that epoll does not end it early.
const QUIET: Duration = Duration::from_millis(20);

pub struct Rig {
    pub reactor: EpollReactor,
    pub pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    slots: u32,
}

impl Rig {
    pub fn new() -> Self {
        Self::with_pool(Pool::new(CHUNKS, CHUNK_LEN))
    }

    pub fn with_pool(pool: Rc<Pool>) -> Self {
        let reactor = EpollReactor::new().expect("epoll is there");
        Self { reactor, pool, staged: Vec::new(), slots: 0 }
    }

    pub fn stage(&mut self, op: Op) -> Token {
        self.slots += 1;
        let token = Token::new(self.slots, 7);
        self.staged.push((token, op));
        token
    }

    pub fn receive(&mut self, fd: RawFd) -> Token {
        self.stage(Op::Receive { fd })
    }

    pub fn cancel(&mut self, target: Token) {
        self.stage(Op::Cancel { target });
    }

    pub fn turn(&mut self, wait: Wait) -> Vec<Completion> {
        let mut done = Vec::new();
        let turn = Turn { staged: &mut self.staged, done: &mut done, pool: &self.pool, wait };
        // SAFETY: the tests keep descriptors open while operations wait on them.
        unsafe { self.reactor.turn(turn) }.expect("the reactor works");
        done
    }

    /// A turn that is sure to have something to report, soon.
    pub fn next(&mut self) -> Vec<Completion> {
        let deadline = self.reactor.now().saturating_add(Duration::from_secs(20));
        while self.reactor.now() < deadline {
            let done = self.turn(Wait::Until(deadline));
            if !done.is_empty() {
                return done;
            }
        }
        panic!("nothing completed");
    }

    /// Nothing completes, and nothing so much as ends the wait.
    pub fn assert_quiet(&mut self) {
        let until = self.reactor.now().saturating_add(QUIET);
        assert_eq!(results(&self.turn(Wait::Until(until))), []);
        assert!(self.reactor.now() >= until, "the wait ended early");
    }
}

/// What completions say, without their chunks: token, result, whether more follow.
pub fn results(done: &[Completion]) -> Vec<(Token, i32, bool)> {
    done.iter().map(|c| (c.token, c.result, c.more)).collect()
}

/// The bytes that completions bring, together.
pub fn bytes(done: &[Completion]) -> Vec<u8> {
    done.iter().flat_map(|c| c.chunk.iter().flat_map(|chunk| chunk.iter().copied())).collect()
}
