//! Connections to test with: one end is the reactor's, the other the world's.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Control, End, Fd, Outcome, SocketOption, Token};

use super::Env;
use crate::driver::{CANCELED, DONE, Driver, count};
use crate::pattern::Pattern;
use crate::world::{ANY, Peer, kernel};

impl Driver {
    pub(super) fn socket(&mut self) -> Fd {
        self.open(Family::V4, Kind::Stream).expect("a socket")
    }

    /// A listener of the reactor's.
    pub(super) fn listener(&mut self, backlog: i32) -> (Fd, SocketAddr) {
        let listener = self.socket();
        self.control(listener, Control::Bind(&SockAddr::from(ANY))).expect("bind");
        self.control(listener, Control::Listen(backlog)).expect("listen");
        (listener, self.address(listener, End::Local).expect("getsockname"))
    }

    /// A connection that the reactor has opened.
    pub(super) fn pair(&mut self) -> (Fd, Box<dyn Peer>) {
        let listener = self.world().listen(1);
        let ours = self.socket();
        let token = self.connect(ours, listener.address());
        assert_eq!(self.end(token), DONE, "connect");
        (ours, listener.accept().expect("accept"))
    }

    /// A connection from each place that one can come from: opened, accepted and, if there is a kernel, imported.
    pub(super) fn pairs(&mut self) -> Vec<(Fd, Box<dyn Peer>)> {
        let (listener, address) = self.listener(1);
        let accepting = self.accept(listener);
        let peer = self.world().connect(address).expect("connect");
        let ours = fd_of(self.next(accepting));
        self.cancel(accepting);
        assert_eq!(self.end(accepting), CANCELED);
        let mut pairs = vec![self.pair(), (ours, peer)];
        pairs.extend(self.imported());
        pairs
    }

    /// A connection whose other end another thread may have. Needs a kernel.
    pub(super) fn std_pair(&mut self) -> (Fd, TcpStream) {
        let (ours, peer) = kernel::connection();
        (self.import(ours), peer)
    }

    /// Another descriptor of the same socket. Needs a kernel.
    pub(super) fn duplicate(&mut self, ours: Fd) -> Fd {
        let shared = self.reactor().share(ours).expect("a second owner");
        self.import(shared.try_clone().expect("dup"))
    }

    /// Receives until `len` bytes have come.
    pub(super) fn receive_exact(&mut self, token: Token, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let completion = self.next(token);
            assert!(completion.more, "ended after {} of {len} bytes: {completion:?}", bytes.len());
            bytes.extend_from_slice(completion.data.as_deref().unwrap_or_default());
        }
        assert_eq!(bytes.len(), len, "more than was sent");
        bytes
    }

    /// Receives until the operation ends: all bytes, and the terminal result.
    pub(super) fn receive_to_end(&mut self, token: Token) -> (Vec<u8>, Result<usize, Errno>) {
        let mut bytes = Vec::new();
        loop {
            let completion = self.next(token);
            bytes.extend_from_slice(completion.data.as_deref().unwrap_or_default());
            if !completion.more {
                return (bytes, count(&completion));
            }
        }
    }

    /// Checks that bytes go both ways.
    pub(super) fn expect_alive(&mut self, ours: Fd, peer: &mut dyn Peer) {
        let (mut here, mut there) = (Pattern::new(1), Pattern::new(2));
        peer.write_all(&there.take(100)).expect("the peer writes");
        let token = self.receive(ours);
        Pattern::new(2).expect(&self.receive_exact(token, 100));
        self.cancel(token);
        assert_eq!(self.receive_to_end(token), (Vec::new(), CANCELED));

        let sent = here.take(100);
        assert_eq!(self.attempt(ours, &sent).expect("send"), sent.len());
        let mut arrived = [0; 100];
        peer.read_exact(&mut arrived).expect("the peer reads");
        Pattern::new(1).expect(&arrived);
    }

    /// An address that refuses: somebody has it, so nobody else gets it, and does not listen.
    pub(super) fn nobody_listens(&mut self) -> SocketAddr {
        let silent = self.socket();
        self.control(silent, Control::Bind(&SockAddr::from(ANY))).expect("bind");
        self.address(silent, End::Local).expect("getsockname")
    }

    /// Sends until nothing more goes in, and will not until the peer reads. Says how many bytes went.
    pub(super) fn fill(&mut self, ours: Fd) -> usize {
        // A buffer whose size was set no longer grows by itself.
        self.control(ours, Control::Set(SocketOption::SendBuffer, 16_384)).expect("SO_SNDBUF");
        let world = self.world();
        let mut sent = 0;
        loop {
            match self.attempt(ours, &[0; 8_192]) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    if world.is_full(self.reactor(), ours) {
                        return sent;
                    }
                }
            }
        }
    }
}

/// A peer that writes as there is room, in between, and then leaves.
pub(super) struct Feed {
    peer: Option<Box<dyn Peer>>,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    pub(super) fn new(peer: Box<dyn Peer>, bytes: Vec<u8>) -> Self {
        Self { peer: Some(peer), bytes, written: 0 }
    }

    /// Goes on until there is no room, or nothing left to write.
    pub(super) fn on(&mut self) {
        while let Some(peer) = &mut self.peer {
            match peer.try_write(&self.bytes[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) => return assert_eq!(error.kind(), ErrorKind::WouldBlock, "the peer writes"),
            }
            if self.written == self.bytes.len() {
                self.peer = None;
            }
        }
    }
}

/// Says whether the stream has ended.
pub(super) fn read_what_is_there(peer: &mut dyn Peer, arrived: &mut Vec<u8>) -> bool {
    let mut space = [0; 8_192];
    loop {
        match peer.try_read(&mut space) {
            Ok(0) => return true,
            Ok(count) => arrived.extend_from_slice(&space[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "the peer reads");
                return false;
            }
        }
    }
}

/// What becomes of an operation where another one waits already.
pub(super) fn expect_refused(env: &Env, driver: &mut Driver, trial: &str, second: Token) {
    match env.otherwise(trial) {
        None => assert_eq!(driver.end(second), Err(Errno::EBUSY)),
        Some(what) => {
            driver.cancel(second);
            assert_eq!(driver.end(second), CANCELED, "{what}");
        }
    }
}

/// The bytes that a completion brings, which a trial may keep.
pub(super) fn bytes(completion: Completion) -> Data {
    completion.data.expect("data")
}

/// The descriptor that a completion brings.
pub(super) fn fd_of(completion: Completion) -> Fd {
    match completion.result {
        Ok(Outcome::Fd(fd)) => fd,
        Ok(Outcome::Done | Outcome::Count(_) | Outcome::Addresses(_) | Outcome::Stat(_)) | Err(_) => {
            panic!("no descriptor: {completion:?}")
        }
    }
}
