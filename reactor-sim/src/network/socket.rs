//! What the network knows of one socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use runtime_core::address::{Family, SockAddr};
use runtime_core::errno::Errno;
use runtime_core::op::{Fd, SocketOption};

use super::clock::Key;
use super::connection::Connection;
use super::listener::Listener;
use super::nodes::NodeId;

/// Names a socket, and never another one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketId(u64);

impl SocketId {
    pub(crate) const FIRST: Self = Self(0);
    pub(crate) const LAST: Self = Self(u64::MAX);

    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A socket for TCP.
pub(crate) struct Socket {
    family: Family,
    /// Whom to tell when something happens to it: the node and its name there.
    pub(crate) owner: Option<(NodeId, Fd)>,
    /// The owner has been told, and has not looked yet.
    pub(super) is_ready: bool,
    /// The address that it has by `bind` or `listen`. Canonical, as all addresses in the network.
    pub(crate) bound: Option<SocketAddr>,
    pub(crate) settings: Settings,
    /// What went wrong, until the program has been told (`SO_ERROR`, socket(7)).
    pub(crate) error: Option<Errno>,
    pub(crate) role: Role,
    /// The listener in whose handshake it is.
    pub(crate) listener: Option<SocketId>,
    /// The program has closed it, and there were bytes left to send.
    pub(crate) is_orphan: bool,
}

/// What a socket is at present.
pub(crate) enum Role {
    Fresh,
    Listening(Listener),
    Connecting(Attempt),
    /// Also when the connection is over: it never becomes another one's.
    Connected(Connection),
}

/// A connection that is asked for.
pub(crate) struct Attempt {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// When to ask no longer.
    pub(crate) gives_up: Key,
}

impl Socket {
    pub(crate) fn new(family: Family, settings: Settings, role: Role) -> Self {
        Self {
            family,
            owner: None,
            is_ready: false,
            bound: None,
            settings,
            error: None,
            role,
            listener: None,
            is_orphan: false,
        }
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    pub(crate) fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.role {
            Role::Connected(connection) => Some(connection),
            Role::Fresh | Role::Listening(_) | Role::Connecting(_) => None,
        }
    }

    /// The address of this end, if it has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.role {
            Role::Fresh | Role::Listening(_) => self.bound,
            Role::Connecting(attempt) => Some(attempt.local),
            Role::Connected(connection) => Some(connection.local),
        }
    }

    /// The address of this end, as a program sees it.
    pub(crate) fn local(&self) -> SockAddr {
        let none = match self.family {
            Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
            Family::V4 | Family::Unix => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        };
        SockAddr::Inet(self.address().map_or(none, |addr| self.as_seen(addr)))
    }

    /// The address of the other end, as a program sees it.
    pub(crate) fn remote(&self) -> Result<SockAddr, Errno> {
        match &self.role {
            Role::Connected(connection) if !connection.is_over() => {
                Ok(SockAddr::Inet(self.as_seen(connection.remote)))
            }
            Role::Fresh | Role::Listening(_) | Role::Connecting(_) | Role::Connected(_) => {
                Err(Errno::ENOTCONN)
            }
        }
    }

    /// On an IPv6 socket an IPv4 address is wrapped in an IPv6 one (ipv6(7)).
    fn as_seen(&self, addr: SocketAddr) -> SocketAddr {
        match (self.family, addr) {
            (Family::V6, SocketAddr::V4(addr)) => (addr.ip().to_ipv6_mapped(), addr.port()).into(),
            (Family::V4 | Family::V6 | Family::Unix, addr) => addr,
        }
    }
}

/// The options of a socket. A child has those of its listener.
#[derive(Clone)]
pub(crate) struct Settings {
    reuse_address: u32,
    reuse_port: u32,
    no_delay: u32,
    receive_buffer: u32,
    send_buffer: u32,
}

impl Settings {
    /// The largest size that may be asked for: `net.core.rmem_max` and `wmem_max`.
    const LARGEST_BUFFER: u32 = 4 * 1024 * 1024;
    /// `SOCK_MIN_RCVBUF` and `SOCK_MIN_SNDBUF` of include/net/sock.h.
    const SMALLEST_RECEIVE_BUFFER: u32 = 2_304;
    const SMALLEST_SEND_BUFFER: u32 = 4_608;

    pub(crate) fn get(&self, option: SocketOption) -> u32 {
        match option {
            SocketOption::ReuseAddress => self.reuse_address,
            SocketOption::ReusePort => self.reuse_port,
            SocketOption::NoDelay => self.no_delay,
            SocketOption::ReceiveBuffer => self.receive_buffer,
            SocketOption::SendBuffer => self.send_buffer,
        }
    }

    pub(crate) fn set(&mut self, option: SocketOption, value: u32) {
        let doubled = value.min(Self::LARGEST_BUFFER) * 2;
        let switch = u32::from(value != 0);
        match option {
            SocketOption::ReuseAddress => self.reuse_address = switch,
            SocketOption::ReusePort => self.reuse_port = switch,
            SocketOption::NoDelay => self.no_delay = switch,
            SocketOption::ReceiveBuffer => self.receive_buffer = doubled.max(Self::SMALLEST_RECEIVE_BUFFER),
            SocketOption::SendBuffer => self.send_buffer = doubled.max(Self::SMALLEST_SEND_BUFFER),
        }
    }

    /// How many bytes the receive buffer holds: the other half is for what the kernel needs beside them (socket(7)).
    pub(crate) fn receive_capacity(&self) -> usize {
        self.receive_buffer as usize / 2
    }

    /// How many bytes the send buffer holds.
    pub(crate) fn send_capacity(&self) -> usize {
        self.send_buffer as usize / 2
    }
}

impl Default for Settings {
    /// `tcp_rmem` as it begins, and `tcp_wmem` as far as Linux lets it grow by itself (tcp(7)).
    fn default() -> Self {
        Self { reuse_address: 0, reuse_port: 0, no_delay: 0, receive_buffer: 131_072, send_buffer: 4_194_304 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_sizes_are_doubled_within_limits() {
        let mut settings = Settings::default();
        // As Linux 6.18 answers.
        for (set, send, receive) in [
            (0, 4_608, 2_304),
            (2_000, 4_608, 4_000),
            (50_000, 100_000, 100_000),
            (1_000_000_000, 8_388_608, 8_388_608),
        ] {
            settings.set(SocketOption::SendBuffer, set);
            settings.set(SocketOption::ReceiveBuffer, set);
            assert_eq!(settings.get(SocketOption::SendBuffer), send, "{set}");
            assert_eq!(settings.get(SocketOption::ReceiveBuffer), receive, "{set}");
        }
    }

    #[test]
    fn an_address_is_seen_in_the_family_of_its_socket() {
        let mut socket = Socket::new(Family::V6, Settings::default(), Role::Fresh);
        assert_eq!(socket.local(), SockAddr::Inet("[::]:0".parse().unwrap()));
        socket.bound = Some("127.0.0.1:7".parse().unwrap());
        assert_eq!(socket.local(), SockAddr::Inet("[::ffff:127.0.0.1]:7".parse().unwrap()));
        let fresh = Socket::new(Family::V4, Settings::default(), Role::Fresh);
        assert_eq!(fresh.local(), SockAddr::Inet("0.0.0.0:0".parse().unwrap()));
    }
}
