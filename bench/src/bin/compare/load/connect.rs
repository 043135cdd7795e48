//! How clients reach the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections from one address: there are some 28,000 ports for them, and others may use some.
const PER_ADDRESS: u32 = 10_000;

/// Connects to `port` of 127.0.0.1.
///
/// The clients have addresses of their own, from 127.0.0.2 on, and go on to the next one after so many. So
/// there are ports enough, also while those of earlier clients rest (TIME_WAIT); and a connection to a port on
/// which nobody listens yet cannot by chance be one to itself.
pub fn connect(port: u16, timeout: Duration) -> io::Result<TcpStream> {
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let address =
        u32::from(Ipv4Addr::new(127, 0, 0, 2)) + CLIENTS.fetch_add(1, Ordering::Relaxed) / PER_ADDRESS;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::from(address), 0)).into())?;
    socket.set_tcp_nodelay(true)?;
    socket.connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(), timeout)?;
    Ok(socket.into())
}
