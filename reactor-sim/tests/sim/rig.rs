//! A loop around one reactor, for tests that look at each turn.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use reactor_sim::{Network, SimReactor};
use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::data::Data;
use runtime_core::op::{Completion, Control, End, Fd, Op, Outcome, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Turn, Wait};

/// A node, and what is staged for it.
pub struct Node {
    pub reactor: SimReactor,
    pub pool: Rc<Pool>,
    staged: Vec<(Token, Op)>,
    names: HashMap<Token, &'static str>,
    /// Who has been accepted, and not been asked for.
    accepted: VecDeque<Fd>,
}

impl Node {
    /// With 8 chunks of 8 bytes.
    pub fn new(network: &Network) -> Self {
        Self::with_pool(network, Pool::new(8, 8).unwrap())
    }

    pub fn with_pool(network: &Network, pool: Rc<Pool>) -> Self {
        let reactor = network.reactor();
        Self { reactor, pool, staged: Vec::new(), names: HashMap::new(), accepted: VecDeque::new() }
    }

    /// Stages an operation, which traces call by this name.
    pub fn stage(&mut self, name: &'static str, op: Op) -> Token {
        let token = Token::new(self.names.len() as u32, 0);
        self.names.insert(token, name);
        self.staged.push((token, op));
        token
    }

    pub fn cancel(&mut self, target: Token) {
        self.staged.push((target, Op::Cancel { target }));
    }

    /// One turn. One line for each result: first what was sent.
    pub fn turn(&mut self, wait: Wait) -> Vec<String> {
        self.try_turn(wait).unwrap()
    }

    pub fn try_turn(&mut self, wait: Wait) -> std::io::Result<Vec<String>> {
        let (mut done, mut sent) = (VecDeque::new(), VecDeque::new());
        let Self { reactor, pool, staged, .. } = self;
        reactor.turn(Turn { staged, done: &mut done, sent: &mut sent, pool, wait })?;
        Ok(sent.into_iter().chain(done).map(|completion| self.line(completion)).collect())
    }

    /// The next one that was accepted.
    pub fn accepted(&mut self) -> Fd {
        self.accepted.pop_front().expect("one more was accepted")
    }

    pub fn socket(&mut self) -> Fd {
        self.reactor.open(Family::V4, Kind::Stream).unwrap()
    }

    pub fn listener(&mut self, backlog: i32) -> (Fd, SocketAddr) {
        let listener = self.socket();
        let any = SockAddr::Inet("127.0.0.1:0".parse().unwrap());
        self.reactor.control(listener, Control::Bind(&any)).unwrap();
        self.reactor.control(listener, Control::Listen(backlog)).unwrap();
        (listener, self.local(listener))
    }

    pub fn local(&mut self, fd: Fd) -> SocketAddr {
        self.reactor.address(fd, End::Local).unwrap().as_inet().unwrap()
    }

    fn line(&mut self, completion: Completion) -> String {
        let Completion { token, result, more, data } = completion;
        let what = match result {
            Ok(Outcome::Done) => "done".to_owned(),
            Ok(Outcome::Count(count)) => match data {
                Some(Data::Chunk(chunk)) => String::from_utf8_lossy(&chunk).into_owned(),
                Some(Data::Vec { .. } | Data::Arena(_)) | None => count.to_string(),
            },
            Ok(Outcome::Fd(fd)) => {
                self.accepted.push_back(fd);
                "accepted".to_owned()
            }
            Ok(Outcome::Addresses(found)) => match *found {
                Ok(found) => found.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" "),
                Err(error) => error.to_string(),
            },
            Ok(Outcome::Stat(stat)) => format!("{stat:?}"),
            Err(errno) => errno.number().to_string(),
        };
        format!("{}: {what}{}", self.names[&token], if more { ", more" } else { "" })
    }
}

/// An operation that connects.
pub fn connect(fd: Fd, to: SocketAddr) -> Op {
    Op::Connect { fd, addr: Box::new(SockAddr::Inet(to)) }
}

/// An attempt to write.
pub fn send(fd: Fd, bytes: &[u8]) -> Op {
    Op::Send { fd, data: Data::from(bytes.to_vec()) }
}
