//! The other end of a connection, for tests: a socket of the network that belongs to no node.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use runtime_core::address::{Family, SockAddr};
use runtime_core::errno::Errno;

use crate::network::Network;
use crate::network::socket::SocketId;
use crate::network::state::State;

impl Network {
    /// Connects, as a program outside of all nodes does. It waits as [`Peer`] says.
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`.
    pub fn connect(&self, to: SocketAddr) -> io::Result<Peer> {
        let peer = Peer(Handle::new(self, to));
        peer.0.with(|state, socket| state.connect(socket, &to.into()))?;
        peer.0.block("an answer to its connect", State::connected)?;
        Ok(peer)
    }

    /// Listens, as a program outside of all nodes does. Port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// Those of `bind(2)` and `listen(2)`.
    pub fn listen(&self, at: SocketAddr, backlog: i32) -> io::Result<PeerListener> {
        let listener = PeerListener(Handle::new(self, at));
        listener.0.with(|state, socket| state.bind(socket, &at.into()))?;
        listener.0.with(|state, socket| state.listen(socket, backlog))?;
        Ok(listener)
    }
}

/// One end of a connection that belongs to no node. Closed when it is dropped.
///
/// Its calls wait as those of a blocking socket do: they let time pass in the network until they are done. The nodes do
/// nothing meanwhile, so a call that waits for what only a node could bring would wait for ever. It panics.
pub struct Peer(Handle);

impl Peer {
    /// Ends one direction, or both (`shutdown(2)`).
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is no connection any more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.with(|state, socket| state.shutdown(socket, how))
    }

    /// Closes it with a reset, as `close(2)` does with `SO_LINGER` of zero seconds.
    pub fn reset(mut self) {
        self.0.aborts = true;
    }

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is; those of `recv(2)`.
    pub fn try_read(&self, space: &mut [u8]) -> io::Result<usize> {
        self.0.with(|state, socket| read(state, socket, space))
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; those of `send(2)`.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.with(|state, socket| state.write(socket, bytes))
    }

    /// `getsockname(2)`.
    ///
    /// # Errors
    ///
    /// None, as yet.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// `getpeername(2)`.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is no connection any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.with(|state, socket| inet(state.get(socket).remote()?))
    }
}

impl Read for &Peer {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.block("something to read", |state, socket| read(state, socket, space))
    }
}

impl Read for Peer {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        (&*self).read(space)
    }
}

impl Write for &Peer {
    /// Writes as much as there is room for, and waits only while there is none.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.block("room to write", |state, socket| state.write(socket, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A listener that belongs to no node. Closed when it is dropped.
pub struct PeerListener(Handle);

impl PeerListener {
    /// The next connection. It waits as [`Peer`] says.
    ///
    /// # Errors
    ///
    /// None, as yet.
    pub fn accept(&self) -> io::Result<Peer> {
        let socket = self.0.block("a connection to accept", State::accept)?;
        Ok(Peer(Handle { network: self.0.network.clone(), socket, aborts: false }))
    }

    /// `getsockname(2)`.
    ///
    /// # Errors
    ///
    /// None, as yet.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A socket, and the one who closes it.
struct Handle {
    network: Network,
    socket: SocketId,
    aborts: bool,
}

impl Handle {
    fn new(network: &Network, addr: SocketAddr) -> Self {
        let family = if addr.is_ipv4() { Family::V4 } else { Family::V6 };
        let socket = network.with(|state| state.socket(family));
        Self { network: network.clone(), socket, aborts: false }
    }

    fn with<R>(&self, act: impl FnOnce(&mut State, SocketId) -> Result<R, Errno>) -> io::Result<R> {
        Ok(self.network.with(|state| act(state, self.socket))?)
    }

    /// Tries again after each event, as long as the answer is `EAGAIN`.
    fn block<R>(
        &self,
        what: &str,
        mut act: impl FnMut(&mut State, SocketId) -> Result<R, Errno>,
    ) -> io::Result<R> {
        loop {
            match self.network.with(|state| act(state, self.socket)) {
                Err(Errno::EAGAIN) => {}
                result => return Ok(result?),
            }
            let next = self.network.next_event();
            let next = next.unwrap_or_else(|| {
                panic!("a peer waits for {what}, which never comes: nothing is under way in the simulated network")
            });
            self.network.advance_to(next);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.with(|state, socket| inet(state.get(socket).local()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.network.with(|state| state.close(self.socket, self.aborts));
    }
}

fn read(state: &mut State, socket: SocketId, space: &mut [u8]) -> Result<usize, Errno> {
    if state.unread(socket) > 0 {
        return Ok(state.read(socket, space));
    }
    state.take_end(socket).unwrap_or(Err(Errno::EAGAIN)).map(|()| 0)
}

fn inet(addr: SockAddr) -> Result<SocketAddr, Errno> {
    addr.as_inet().ok_or(Errno::EAFNOSUPPORT)
}
