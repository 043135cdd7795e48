//! Who has which port, and who listens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::socket::SocketId;

/// Where ports are taken from for who does not ask for one (`ip_local_port_range`, ip(7)).
const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

/// The ports of a network. Addresses are canonical: an IPv4 address is never wrapped in an IPv6 one.
pub(crate) struct Ports {
    /// Everybody who has a port: by `bind`, by connecting, or from its listener.
    taken: BTreeSet<(u16, SocketId)>,
    listeners: BTreeMap<SocketAddr, SocketId>,
    /// Where to look for a free port next.
    next: u16,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self { taken: BTreeSet::new(), listeners: BTreeMap::new(), next: *EPHEMERAL.start() }
    }

    pub(crate) fn take(&mut self, port: u16, id: SocketId) {
        self.taken.insert((port, id));
    }

    pub(crate) fn release(&mut self, port: u16, id: SocketId) {
        self.taken.remove(&(port, id));
    }

    /// Who has that port.
    pub(crate) fn holders(&self, port: u16) -> impl Iterator<Item = SocketId> {
        self.taken.range((port, SocketId::FIRST)..=(port, SocketId::LAST)).map(|&(_, id)| id)
    }

    /// A port that nobody has, if there is one.
    pub(crate) fn find_free(&mut self) -> Option<u16> {
        for _ in EPHEMERAL {
            let port = self.next;
            self.next = if port == *EPHEMERAL.end() { *EPHEMERAL.start() } else { port + 1 };
            if self.holders(port).next().is_none() {
                return Some(port);
            }
        }
        None
    }

    pub(crate) fn add_listener(&mut self, addr: SocketAddr, id: SocketId) {
        self.listeners.insert(addr, id);
    }

    pub(crate) fn remove_listener(&mut self, addr: SocketAddr) {
        self.listeners.remove(&addr);
    }

    /// Who listens there: for exactly this address, else for all of its family, else for all.
    pub(crate) fn listener(&self, addr: SocketAddr) -> Option<SocketId> {
        let any_v4 = addr.is_ipv4().then(|| (Ipv4Addr::UNSPECIFIED, addr.port()).into());
        let any = (Ipv6Addr::UNSPECIFIED, addr.port()).into();
        [Some(addr), any_v4, Some(any)]
            .into_iter()
            .flatten()
            .find_map(|addr| self.listeners.get(&addr))
            .copied()
    }
}

/// Whether two addresses with the same port have an address in common.
pub(crate) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    // `::` stands for the addresses of both families (`IPV6_V6ONLY`, ipv6(7)).
    let covers =
        |any: SocketAddr, one: SocketAddr| any.ip().is_unspecified() && (any.is_ipv6() || one.is_ipv4());
    a == b || covers(a, b) || covers(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_nearest_listener_is_asked() {
        let mut ports = Ports::new();
        let [exact, any_v4, any] = [1, 2, 3].map(SocketId::new);
        ports.add_listener(addr("[::]:1"), any);
        assert_eq!(ports.listener(addr("127.0.0.1:1")), Some(any));
        ports.add_listener(addr("0.0.0.0:1"), any_v4);
        assert_eq!(ports.listener(addr("127.0.0.1:1")), Some(any_v4));
        ports.add_listener(addr("127.0.0.1:1"), exact);
        assert_eq!(ports.listener(addr("127.0.0.1:1")), Some(exact));
        assert_eq!(ports.listener(addr("127.0.0.2:1")), Some(any_v4));
        assert_eq!(ports.listener(addr("[::1]:1")), Some(any));
        assert_eq!(ports.listener(addr("127.0.0.1:2")), None);
        ports.remove_listener(addr("127.0.0.1:1"));
        assert_eq!(ports.listener(addr("127.0.0.1:1")), Some(any_v4));
    }

    #[test]
    fn free_ports_are_given_out_once_around() {
        let mut ports = Ports::new();
        assert_eq!((ports.find_free(), ports.find_free()), (Some(32_768), Some(32_769)));
        ports.take(32_770, SocketId::new(1));
        assert_eq!(ports.find_free(), Some(32_771));
        for port in EPHEMERAL.skip(1) {
            ports.take(port, SocketId::new(1));
        }
        assert_eq!((ports.find_free(), ports.find_free()), (Some(32_768), Some(32_768)));
        ports.take(32_768, SocketId::new(1));
        assert_eq!(ports.find_free(), None);
    }

    #[test]
    fn addresses_overlap_as_linux_has_it() {
        for (a, b, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("0.0.0.0:1", "[::]:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::]:1", "[::1]:1", true),
            ("[::1]:1", "127.0.0.1:1", false),
        ] {
            assert_eq!(overlap(addr(a), addr(b)), expected, "{a} {b}");
            assert_eq!(overlap(addr(b), addr(a)), expected, "{b} {a}");
        }
    }
}
