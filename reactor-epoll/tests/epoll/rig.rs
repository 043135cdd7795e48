//! A reactor, stepped by hand.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use reactor_epoll::EpollReactor;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Outcome, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

pub const CHUNKS: u16 = 4;
pub const CHUNK_LEN: usize = 16;

/// Long enough to be sure that a wait came to its end, short enough that epoll does not end it early.
const QUIET: Duration = Duration::from_millis(20);

pub struct Rig {
    pub reactor: EpollReactor,
    pub pool: Rc<Pool>,
    /// The results of sends, apart from those that a turn returns.
    pub sent: VecDeque<Completion>,
    staged: Vec<(Token, Op)>,
    slots: u32,
}

/// What came of an operation, without what it brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    Done,
    Count(usize),
    Fd,
    Addresses,
    Stat,
    Failed(Errno),
}

pub use Said::{Count, Done, Failed};

impl Rig {
    pub fn new() -> Self {
        Self::with_pool(Pool::new(CHUNKS, CHUNK_LEN).expect("memory for a small pool"))
    }

    pub fn with_pool(pool: Rc<Pool>) -> Self {
        let reactor = EpollReactor::new().expect("epoll is there");
        Self { reactor, pool, sent: VecDeque::new(), staged: Vec::new(), slots: 0 }
    }

    pub fn import(&mut self, fd: impl Into<OwnedFd>) -> Fd {
        self.reactor.import(fd.into()).expect("the kernel knows it")
    }

    /// Two sockets that are connected, one of them the reactor's.
    pub fn unix(&mut self) -> (Fd, UnixStream) {
        let (ours, peer) = UnixStream::pair().expect("two descriptors");
        (self.import(ours), peer)
    }

    pub fn stage(&mut self, op: Op) -> Token {
        self.slots += 1;
        let token = Token::new(self.slots, 7);
        self.staged.push((token, op));
        token
    }

    pub fn receive(&mut self, fd: Fd) -> Token {
        self.stage(Op::Receive { fd })
    }

    pub fn cancel(&mut self, target: Token) {
        self.stage(Op::Cancel { target });
    }

    pub fn turn(&mut self, wait: Wait) -> Vec<Completion> {
        let mut done = VecDeque::new();
        let turn =
            Turn { staged: &mut self.staged, done: &mut done, sent: &mut self.sent, pool: &self.pool, wait };
        self.reactor.turn(turn).expect("the reactor works");
        done.into()
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

/// What completions say, without their data: token, result, whether more follow.
pub fn results(done: &[Completion]) -> Vec<(Token, Said, bool)> {
    let said = |completion: &Completion| match &completion.result {
        Ok(Outcome::Done) => Said::Done,
        Ok(Outcome::Count(count)) => Said::Count(*count),
        Ok(Outcome::Fd(_)) => Said::Fd,
        Ok(Outcome::Addresses(_)) => Said::Addresses,
        Ok(Outcome::Stat(_)) => Said::Stat,
        Err(errno) => Said::Failed(*errno),
    };
    done.iter().map(|completion| (completion.token, said(completion), completion.more)).collect()
}

/// The bytes that completions bring, together.
pub fn bytes(done: &[Completion]) -> Vec<u8> {
    done.iter().flat_map(|c| c.data.iter().flat_map(|data| data.iter().copied())).collect()
}

/// Lets a system call of this thread fail with `errno` from now on.
pub fn refuse(syscall: libc::c_long, errno: i32) {
    let filter = SeccompFilter::new(
        [(syscall, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().expect("an architecture that seccompiler knows"),
    );
    let filter: BpfProgram = filter.and_then(SeccompFilter::try_into).expect("a valid filter");
    apply_filter(&filter).expect("the kernel takes the filter");
}
