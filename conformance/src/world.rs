//! The other end of connections: what trials connect to, and what connects to them.
//!
//! No trial opens a socket of its own or asks the kernel, unless it is registered as one that needs a kernel: so the suite
//! runs against a reactor that has none.

pub(crate) mod kernel;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};

use runtime_core::op::Fd;
use runtime_core::reactor::Reactor;

pub use kernel::KernelWorld;

/// Any free port.
pub(crate) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A network with reactors in it. Each trial has one to itself.
///
/// # Blocking, on one thread
///
/// What waits here waits as a blocking system call does: it takes no turn of a reactor. What the reactor has sent is on
/// its way nevertheless. A world with virtual time lets time pass until there is what is waited for. If it will never
/// be there, since nothing is under way any more, it panics and says so. The kernel's gives up after a while.
///
/// What a call sends has arrived at the other end when the call returns, as far as there is room: trials go on to take a
/// turn that does not wait, and count on results.
///
/// Errors have the kernel's numbers ([`io::Error::raw_os_error`]).
pub trait World {
    /// A reactor in this world.
    ///
    /// # Errors
    ///
    /// Why this machine cannot run it.
    fn reactor(&self) -> Result<Box<dyn Reactor>, String>;

    /// Listens on a port of 127.0.0.1 that nobody has. While `backlog` connections and one wait to be accepted, attempts
    /// to connect are not answered, as with `listen(2)`.
    fn listen(&self, backlog: i32) -> Box<dyn Listener>;

    /// Connects to a listener, where the connection waits to be accepted from then on.
    ///
    /// # Errors
    ///
    /// `ECONNREFUSED` if nobody listens there.
    fn connect(&self, to: SocketAddr) -> io::Result<Box<dyn Peer>>;

    /// A connection whose one end has come to the reactor from elsewhere, by [`Reactor::import`]. `None` in a world
    /// without a kernel.
    fn import(&self, reactor: &mut dyn Reactor) -> Option<(Fd, Box<dyn Peer>)>;

    /// Waits until all that was sent has arrived, and all that it was answered with.
    fn settle(&self);

    /// Waits until the socket has room for more, or will have none before its peer reads. Says whether it has none.
    fn is_full(&self, reactor: &mut dyn Reactor, fd: Fd) -> bool;
}

/// What a reactor connects to. Closed when dropped.
pub trait Listener {
    /// Where it is.
    fn address(&self) -> SocketAddr;

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`.
    fn accept(&self) -> io::Result<Box<dyn Peer>>;
}

/// The other end of a connection over TCP: a blocking socket, which sends at once (`TCP_NODELAY`).
///
/// Closed when dropped: with the end of the stream or, if it has not read all that has arrived, with a reset.
pub trait Peer: Read + Write {
    /// Its own address.
    fn local(&self) -> SocketAddr;

    /// That of the reactor's end.
    ///
    /// # Errors
    ///
    /// `ENOTCONN` if that has reset the connection.
    fn remote(&self) -> io::Result<SocketAddr>;

    /// Reads what is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is; those of `recv(2)`.
    fn try_read(&mut self, bytes: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; those of `send(2)`.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Ends one half, or both.
    ///
    /// # Errors
    ///
    /// Those of `shutdown(2)`.
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()>;

    /// Closes it with a reset, whatever it has read.
    fn reset(self: Box<Self>);
}
