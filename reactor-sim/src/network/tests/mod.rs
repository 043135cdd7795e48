//! What the calls answer, as Linux 6.18 does where nothing else is said.

mod addresses;
mod ends;
mod states;

use std::net::Shutdown;

use runtime_core::address::{Family, SockAddr};
use runtime_core::errno::Errno;
use runtime_core::op::SocketOption;

use super::Network;
use super::socket::SocketId;

const LOCALHOST: &str = "127.0.0.1:0";

/// A network, and the calls of a program that has no node.
struct Net(Network);

impl Net {
    fn new() -> Self {
        Self(Network::new())
    }

    fn socket(&self) -> SocketId {
        self.0.with(|state| state.socket(Family::V4))
    }

    fn v6(&self) -> SocketId {
        self.0.with(|state| state.socket(Family::V6))
    }

    fn bind(&self, id: SocketId, at: &str) -> Result<(), Errno> {
        self.0.with(|state| state.bind(id, &inet(at)))
    }

    fn bound(&self, at: &str) -> SocketId {
        let id = if at.starts_with('[') { self.v6() } else { self.socket() };
        self.bind(id, at).unwrap();
        id
    }

    fn listen(&self, id: SocketId, backlog: i32) -> Result<(), Errno> {
        self.0.with(|state| state.listen(id, backlog))
    }

    fn listener(&self, at: &str, backlog: i32) -> (SocketId, String) {
        let id = self.bound(at);
        self.listen(id, backlog).unwrap();
        (id, self.local(id))
    }

    fn accept(&self, id: SocketId) -> Result<SocketId, Errno> {
        self.0.with(|state| state.accept(id))
    }

    /// As a blocking socket would. `EAGAIN` if it goes on.
    fn connect(&self, id: SocketId, to: &str) -> Result<(), Errno> {
        self.0.with(|state| state.connect(id, &inet(to)))?;
        self.0.with(|state| state.connected(id))
    }

    /// Both ends of a connection: the one that connected first.
    fn pair(&self) -> (SocketId, SocketId) {
        let (listener, addr) = self.listener(LOCALHOST, 1);
        let client = self.socket();
        self.connect(client, &addr).unwrap();
        let server = self.accept(listener).unwrap();
        self.close(listener);
        (client, server)
    }

    fn send(&self, id: SocketId, bytes: &[u8]) -> Result<usize, Errno> {
        self.0.with(|state| state.write(id, bytes))
    }

    fn recv(&self, id: SocketId) -> Result<String, Errno> {
        self.0.with(|state| {
            let mut space = [0; 10];
            match state.read(id, &mut space) {
                0 => state.take_end(id).unwrap_or(Err(Errno::EAGAIN)).map(|()| String::new()),
                count => Ok(String::from_utf8(space[..count].to_vec()).unwrap()),
            }
        })
    }

    fn shutdown(&self, id: SocketId, how: Shutdown) -> Result<(), Errno> {
        self.0.with(|state| state.shutdown(id, how))
    }

    fn close(&self, id: SocketId) {
        self.0.with(|state| state.close(id, false));
    }

    fn abort(&self, id: SocketId) {
        self.0.with(|state| state.close(id, true));
    }

    fn set(&self, id: SocketId, option: SocketOption, value: u32) {
        self.0.with(|state| state.set_option(id, option, value));
    }

    fn local(&self, id: SocketId) -> String {
        self.0.with(|state| state.get(id).local().to_string())
    }

    fn remote(&self, id: SocketId) -> Result<String, Errno> {
        self.0.with(|state| state.get(id).remote()).map(|addr| addr.to_string())
    }

    fn is_writable(&self, id: SocketId) -> bool {
        self.0.with(|state| state.is_writable(id))
    }
}

fn inet(addr: &str) -> SockAddr {
    SockAddr::Inet(addr.parse().unwrap())
}

fn some(text: &str) -> Result<String, Errno> {
    Ok(text.to_owned())
}
