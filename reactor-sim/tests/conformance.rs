//! What every reactor must do, in a simulated network.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;

use conformance::world::{Listener, Peer, World};
use reactor_sim::{Network, PeerListener};
use runtime_core::op::Fd;
use runtime_core::reactor::Reactor;

fn main() {
    conformance::main(vec![conformance::reactor::suite("sim", || Ok(Rc::new(SimWorld(Network::new()))))])
}

/// A network without latency: whatever is sent has arrived.
struct SimWorld(Network);

impl World for SimWorld {
    fn reactor(&self) -> Result<Box<dyn Reactor>, String> {
        Ok(Box::new(self.0.reactor()))
    }

    fn listen(&self, backlog: i32) -> Box<dyn Listener> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Box::new(Near(self.0.listen(any, backlog).expect("a free port")))
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Peer>> {
        Ok(Box::new(Far(self.0.connect(to)?)))
    }

    fn import(&self, _: &mut dyn Reactor) -> Option<(Fd, Box<dyn Peer>)> {
        None
    }

    fn settle(&self) {}

    fn is_full(&self, _: &mut dyn Reactor, _: Fd) -> bool {
        true
    }
}

struct Near(PeerListener);

impl Listener for Near {
    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("getsockname")
    }

    fn accept(&self) -> io::Result<Box<dyn Peer>> {
        Ok(Box::new(Far(self.0.accept()?)))
    }
}

struct Far(reactor_sim::Peer);

impl Peer for Far {
    fn local(&self) -> SocketAddr {
        self.0.local_addr().expect("getsockname")
    }

    fn remote(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    fn reset(self: Box<Self>) {
        self.0.reset();
    }
}

impl Read for Far {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Write for Far {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
