//! Connections to test with: one end is the reactor's, the other a blocking socket of `std`.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Duration;

use runtime_core::op::{Control, End, SocketOption, Token};
use runtime_core::reactor::Completion;
use socket2::{Domain, SockAddr, SockRef, Type};

use crate::driver::Driver;
use crate::machine;
use crate::pattern::Pattern;

/// Any free port.
pub(super) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl Driver {
    pub(super) fn socket(&mut self) -> OwnedFd {
        self.reactor().open(Domain::IPV4, Type::STREAM).expect("a socket")
    }

    /// A listener of the reactor's.
    pub(super) fn listener(&mut self, backlog: i32) -> (OwnedFd, SocketAddr) {
        let listener = self.socket();
        let any = SockAddr::from(ANY);
        self.reactor().control(listener.as_fd(), Control::Bind(&any)).expect("bind");
        self.reactor().control(listener.as_fd(), Control::Listen(backlog)).expect("listen");
        let address = self.reactor().address(listener.as_fd(), End::Local).expect("getsockname");
        (listener, address.as_socket().expect("an IP address"))
    }

    /// A connection that the reactor has opened.
    pub(super) fn pair(&mut self) -> (OwnedFd, TcpStream) {
        let listener = TcpListener::bind(ANY).expect("bind");
        let ours = self.socket();
        let token = self.connect(&ours, listener.local_addr().expect("getsockname"));
        assert_eq!(self.end(token), 0, "connect");
        let (peer, _) = listener.accept().expect("accept");
        peer.set_nodelay(true).expect("TCP_NODELAY");
        (ours, peer)
    }

    /// A connection that came from elsewhere.
    pub(super) fn adopted_pair(&mut self) -> (OwnedFd, TcpStream) {
        let listener = TcpListener::bind(ANY).expect("bind");
        let peer = TcpStream::connect(listener.local_addr().expect("getsockname")).expect("connect");
        let ours = OwnedFd::from(listener.accept().expect("accept").0);
        self.reactor().adopt(ours.as_fd()).expect("adopt");
        (ours, peer)
    }

    /// Receives until `len` bytes have come.
    pub(super) fn receive_exact(&mut self, token: Token, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let completion = self.next(token);
            assert!(completion.more, "ended after {} of {len} bytes: {completion:?}", bytes.len());
            bytes.extend_from_slice(completion.chunk.as_deref().unwrap_or_default());
        }
        assert_eq!(bytes.len(), len, "more than was sent");
        bytes
    }

    /// Receives until the operation ends: all bytes, and the terminal result.
    pub(super) fn receive_to_end(&mut self, token: Token) -> (Vec<u8>, i32) {
        let mut bytes = Vec::new();
        loop {
            let Completion { result, more, chunk, .. } = self.next(token);
            bytes.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if !more {
                return (bytes, result);
            }
        }
    }

    /// Checks that bytes go both ways.
    pub(super) fn expect_alive(&mut self, ours: &OwnedFd, peer: &mut TcpStream) {
        let (mut here, mut there) = (Pattern::new(1), Pattern::new(2));
        peer.write_all(&there.take(100)).expect("the peer writes");
        let token = self.receive(ours);
        Pattern::new(2).expect(&self.receive_exact(token, 100));
        self.cancel(token);
        assert_eq!(self.receive_to_end(token), (Vec::new(), -libc::ECANCELED));

        let sent = here.take(100);
        assert_eq!(self.reactor().send(ours.as_fd(), &sent).expect("send"), sent.len());
        let mut arrived = [0; 100];
        peer.read_exact(&mut arrived).expect("the peer reads");
        Pattern::new(1).expect(&arrived);
    }
}

/// Closes the peer's end with a reset instead of the end of the stream.
pub(super) fn reset(peer: TcpStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    drop(peer);
}

/// Sends until nothing more goes in, and will not until the peer reads. Says how many bytes went.
pub(super) fn fill(driver: &mut Driver, ours: &OwnedFd) -> usize {
    // A buffer whose size was set no longer grows by itself.
    driver
        .reactor()
        .control(ours.as_fd(), Control::Set(SocketOption::SendBuffer, 16_384))
        .expect("SO_SNDBUF");
    let mut sent = 0;
    loop {
        match driver.reactor().send(ours.as_fd(), &[0; 8_192]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                // What the peer has not acknowledged yet (it may take its time) will make room.
                let settled = machine::unacknowledged(ours) == 0;
                if !machine::writable(ours, Duration::from_millis(1)) && settled {
                    return sent;
                }
            }
        }
    }
}

/// The descriptor that an accept resulted in.
pub(super) fn accepted(completion: Completion) -> OwnedFd {
    assert!(completion.result >= 0, "accept: {completion:?}");
    // SAFETY: a result of an accept is a new descriptor, owned by whoever takes the completion.
    unsafe { OwnedFd::from_raw_fd(completion.result) }
}
