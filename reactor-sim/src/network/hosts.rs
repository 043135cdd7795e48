//! Which addresses there are, and which names they have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address book of a network.
pub(crate) struct Hosts {
    /// In lower case.
    names: BTreeMap<String, Vec<IpAddr>>,
    addresses: BTreeSet<IpAddr>,
}

impl Hosts {
    /// With the names and addresses that every machine has.
    pub(crate) fn new() -> Self {
        let localhost = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Self { names: BTreeMap::from([("localhost".to_owned(), localhost)]), addresses: BTreeSet::new() }
    }

    /// Adds an address, with a name. A name may have several.
    pub(crate) fn add(&mut self, name: &str, ip: IpAddr) {
        self.names.entry(name.to_lowercase()).or_default().push(ip);
        self.addresses.insert(ip.to_canonical());
    }

    /// Whether a socket can have this address. It is canonical.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified() || self.addresses.contains(&ip)
    }

    /// The addresses of a host, in the order in which they were added.
    pub(crate) fn resolve(&self, name: &str) -> Option<Vec<IpAddr>> {
        match name.parse() {
            Ok(ip) => Some(vec![ip]),
            Err(_) => self.names.get(&name.to_lowercase()).cloned(),
        }
    }
}

/// The address that a socket without one has towards `remote`: on the loopback device always the same (ip-route(8),
/// the local table).
pub(crate) fn source_towards(remote: IpAddr) -> IpAddr {
    match remote {
        IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => remote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_those_that_were_added_and_localhost() {
        let mut hosts = Hosts::new();
        hosts.add("db.example", ip("10.0.0.1"));
        hosts.add("DB.example", ip("10.0.0.2"));
        assert_eq!(hosts.resolve("db.Example"), Some(vec![ip("10.0.0.1"), ip("10.0.0.2")]));
        assert_eq!(hosts.resolve("localhost"), Some(vec![ip("127.0.0.1"), ip("::1")]));
        assert_eq!(hosts.resolve("192.0.2.1"), Some(vec![ip("192.0.2.1")]));
        assert_eq!(hosts.resolve("::1"), Some(vec![ip("::1")]));
        assert_eq!(hosts.resolve("nobody.example"), None);
    }

    #[test]
    fn addresses_are_those_that_were_added_and_the_loopback() {
        let mut hosts = Hosts::new();
        hosts.add("db", ip("10.0.0.1"));
        for there in ["10.0.0.1", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "::"] {
            assert!(hosts.has(ip(there)), "{there}");
        }
        assert!(!hosts.has(ip("10.0.0.2")));
    }
}
