//! Where sockets are.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `AF_INET`, see ip(7).
    V4,
    /// `AF_INET6`, see ipv6(7).
    V6,
    /// `AF_UNIX`, see unix(7).
    Unix,
}

/// How a socket carries its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `SOCK_STREAM`: a sequence of bytes.
    Stream,
    /// `SOCK_DGRAM`: messages, each for itself.
    Datagram,
    /// `SOCK_SEQPACKET`: messages over a connection.
    SeqPacket,
}

/// The address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SockAddr {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// A Unix socket's.
    Unix(UnixAddr),
}

/// The address of a Unix socket (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UnixAddr {
    /// None: it was never bound, or made by `socketpair(2)`.
    Unnamed,
    /// A file.
    Path(PathBuf),
    /// A name in the abstract namespace, without the leading zero.
    Abstract(Vec<u8>),
}

impl SockAddr {
    /// The family of sockets that have such addresses.
    pub fn family(&self) -> Family {
        match self {
            SockAddr::Inet(SocketAddr::V4(_)) => Family::V4,
            SockAddr::Inet(SocketAddr::V6(_)) => Family::V6,
            SockAddr::Unix(_) => Family::Unix,
        }
    }

    /// The address, if it is an IP address and a port.
    pub fn as_inet(&self) -> Option<SocketAddr> {
        match self {
            SockAddr::Inet(addr) => Some(*addr),
            SockAddr::Unix(_) => None,
        }
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(addr: SocketAddr) -> Self {
        SockAddr::Inet(addr)
    }
}

impl fmt::Display for SockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SockAddr::Inet(addr) => addr.fmt(f),
            SockAddr::Unix(UnixAddr::Unnamed) => f.write_str("(unnamed)"),
            SockAddr::Unix(UnixAddr::Path(path)) => path.display().fmt(f),
            SockAddr::Unix(UnixAddr::Abstract(name)) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}
