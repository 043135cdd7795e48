//! Who has which address.

use std::net::{IpAddr, Shutdown, SocketAddr};

use runtime_core::address::{SockAddr, UnixAddr};
use runtime_core::errno::Errno;
use runtime_core::op::SocketOption;

use super::{LOCALHOST, Net, inet, some};

#[test]
fn addresses_are_those_of_the_family() {
    let net = Net::new();
    let (v4, v6) = (inet("127.0.0.1:1"), inet("[::1]:1"));
    let unix = SockAddr::Unix(UnixAddr::Path("/tmp/socket".into()));
    let bind = |id, addr: &SockAddr| net.0.with(|state| state.bind(id, addr));
    let connect = |id, addr: &SockAddr| net.0.with(|state| state.connect(id, addr));
    assert_eq!(bind(net.socket(), &v6), Err(Errno::EAFNOSUPPORT));
    assert_eq!(connect(net.socket(), &v6), Err(Errno::EAFNOSUPPORT));
    assert_eq!(bind(net.v6(), &v4), Err(Errno::EINVAL));
    assert_eq!(connect(net.v6(), &v4), Err(Errno::EINVAL));
    assert_eq!(connect(net.socket(), &unix), Err(Errno::EAFNOSUPPORT));
}

#[test]
fn an_address_is_one_of_the_machine_and_taken_once() {
    let net = Net::new();
    assert_eq!(net.bind(net.socket(), "192.0.2.7:0"), Err(Errno::EADDRNOTAVAIL));
    net.0.add_host("seven", IpAddr::from([192, 0, 2, 7]));
    assert_eq!(net.bind(net.socket(), "192.0.2.7:0"), Ok(()));

    let (first, second) = (net.bound("127.0.0.1:80"), net.socket());
    net.set(second, SocketOption::ReuseAddress, 1);
    assert_eq!(net.bind(second, "127.0.0.1:80"), Err(Errno::EADDRINUSE), "one alone wants to share");
    net.set(first, SocketOption::ReuseAddress, 1);
    assert_eq!(net.bind(second, "127.0.0.1:80"), Ok(()));
    assert_eq!((net.listen(first, 1), net.listen(second, 1)), (Ok(()), Err(Errno::EADDRINUSE)));
    assert_eq!(net.bind(net.socket(), "0.0.0.0:80"), Err(Errno::EADDRINUSE));
    assert_eq!(net.bind(net.socket(), "127.0.0.9:80"), Ok(()));
}

#[test]
fn the_port_of_a_listener_is_free_when_it_and_its_connections_are_gone() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 1);
    let client = net.socket();
    net.connect(client, &addr).unwrap();
    let server = net.accept(listener).unwrap();
    net.close(listener);
    assert_eq!(net.bind(net.socket(), &addr), Err(Errno::EADDRINUSE));
    net.close(client);
    assert_eq!(net.shutdown(server, Shutdown::Write), Ok(()));
    assert_eq!(net.bind(net.socket(), &addr), Ok(()));
}

#[test]
fn a_socket_for_all_addresses_has_the_one_that_was_meant() {
    let net = Net::new();
    let (listener, addr) = net.listener("0.0.0.0:0", 9);
    let port = addr.parse::<SocketAddr>().unwrap().port();
    let client = net.socket();
    net.connect(client, &format!("127.0.0.5:{port}")).unwrap();
    let server = net.accept(listener).unwrap();
    assert_eq!((net.local(server), net.local(listener)), (format!("127.0.0.5:{port}"), addr.clone()));
    assert_eq!(net.local(client), "127.0.0.1:32769");
    // Towards no address in particular is towards this machine.
    assert_eq!(net.connect(net.socket(), &addr), Ok(()));
    assert_eq!(net.local(net.accept(listener).unwrap()), format!("127.0.0.1:{port}"));
}

#[test]
fn an_ipv6_socket_for_all_addresses_takes_ipv4_as_well() {
    let net = Net::new();
    let (listener, addr) = net.listener("[::]:80", 9);
    let client = net.socket();
    net.connect(client, "127.0.0.1:80").unwrap();
    let server = net.accept(listener).unwrap();
    assert_eq!((net.local(server), addr), ("[::ffff:127.0.0.1]:80".into(), "[::]:80".into()));
    assert_eq!(net.remote(server), some("[::ffff:127.0.0.1]:32768"));
    assert_eq!(net.bind(net.socket(), "0.0.0.0:80"), Err(Errno::EADDRINUSE));
    let mapped = net.v6();
    net.connect(mapped, "[::ffff:127.0.0.1]:80").unwrap();
    assert_eq!(net.local(mapped), "[::ffff:127.0.0.1]:32769");
}
