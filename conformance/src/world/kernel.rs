//! The kernel's network, on the loopback interface.

use std::cell::OnceCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use runtime_core::op::Fd;
use runtime_core::reactor::Reactor;
use socket2::{Domain, SockRef, Socket, Type};

use super::{ANY, Listener, Peer, World};
use crate::machine;

/// More time than what happens on this machine takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The size that is set, which the kernel doubles.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// What all peers are: connections of `std`, in blocking mode.
pub struct KernelWorld {
    make: MakeReactor,
    /// A connection to itself, from the first time on that somebody waits for what is under way.
    probe: OnceCell<(TcpStream, TcpStream)>,
}

type MakeReactor = fn() -> Result<Box<dyn Reactor>, String>;

impl KernelWorld {
    /// With reactors that `make` makes.
    pub fn shared(make: MakeReactor) -> Rc<dyn World> {
        Rc::new(Self { make, probe: OnceCell::new() })
    }
}

impl World for KernelWorld {
    fn reactor(&self) -> Result<Box<dyn Reactor>, String> {
        (self.make)()
    }

    fn listen(&self, backlog: i32) -> Box<dyn Listener> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&ANY.into()).expect("bind");
        listener.listen(backlog).expect("listen");
        // accept(2) heeds it, too.
        listener.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        Box::new(TcpListener::from(listener))
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Peer>> {
        let peer = TcpStream::connect_timeout(&to, PATIENCE)?;
        // The listener has the connection only when the answer to its answer has arrived.
        self.settle();
        Ok(Box::new(patient(peer)))
    }

    fn import(&self, reactor: &mut dyn Reactor) -> Option<(Fd, Box<dyn Peer>)> {
        let (ours, peer) = connection();
        let fd = reactor.import(OwnedFd::from(ours)).expect("import");
        Some((fd, Box::new(peer)))
    }

    /// The loopback interface delivers as a rule while the sender's system call runs, and else in the order of sending:
    /// what was sent before a byte of our own is there when that is. The second round is for the answers.
    fn settle(&self) {
        let (here, there) = self.probe.get_or_init(|| {
            let (here, there) = connection();
            (patient(here), there)
        });
        for _ in 0..2 {
            for (mut from, mut to) in [(here, there), (there, here)] {
                from.write_all(b"?").expect("the probe writes");
                to.read_exact(&mut [0]).expect("the probe reads");
            }
        }
    }

    fn is_full(&self, reactor: &mut dyn Reactor, fd: Fd) -> bool {
        let socket = reactor.share(fd).expect("a second owner");
        loop {
            // What the peer has not acknowledged yet (it may take its time) will make room.
            let settled = machine::unacknowledged(&*socket) == 0;
            if machine::writable(&*socket, Duration::from_millis(1)) {
                return false;
            }
            if settled {
                return true;
            }
        }
    }
}

impl Listener for TcpListener {
    fn address(&self) -> SocketAddr {
        self.local_addr().expect("getsockname")
    }

    fn accept(&self) -> io::Result<Box<dyn Peer>> {
        let (peer, _) = TcpListener::accept(self)?;
        Ok(Box::new(patient(peer)))
    }
}

impl Peer for TcpStream {
    fn local(&self) -> SocketAddr {
        self.local_addr().expect("getsockname")
    }

    fn remote(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }

    fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        without_waiting(self, |peer| peer.read(bytes))
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        without_waiting(self, |peer| peer.write(bytes))
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        TcpStream::shutdown(self, how)
    }

    fn reset(self: Box<Self>) {
        SockRef::from(&*self).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
}

fn without_waiting<T>(
    peer: &mut TcpStream,
    attempt: impl FnOnce(&mut TcpStream) -> io::Result<T>,
) -> io::Result<T> {
    peer.set_nonblocking(true)?;
    let result = attempt(peer);
    peer.set_nonblocking(false)?;
    result
}

/// Both ends of a connection, the one that was accepted first.
pub(crate) fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(ANY).expect("bind");
    let far = TcpStream::connect(listener.local_addr().expect("getsockname")).expect("connect");
    let (near, _) = listener.accept().expect("accept");
    (near, patient(far))
}

/// As a [`Peer`] is to be: it sends at once, and fails rather than hang. Its receive buffer does not grow, for whoever
/// fills that would be at it ever longer.
pub(crate) fn patient(peer: TcpStream) -> TcpStream {
    peer.set_nodelay(true).expect("TCP_NODELAY");
    SockRef::from(&peer).set_recv_buffer_size(RECEIVE_BUFFER).expect("SO_RCVBUF");
    peer.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
    peer.set_write_timeout(Some(PATIENCE)).expect("SO_SNDTIMEO");
    peer
}
