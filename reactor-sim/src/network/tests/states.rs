//! What a socket can do in each state of its life.

use std::net::Shutdown;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::errno::Errno;

use super::{LOCALHOST, Net, inet, some};
use crate::network::Network;

const EALREADY: Errno = Errno::new(114);

#[test]
fn a_fresh_socket() {
    let net = Net::new();
    let fresh = net.socket();
    assert_eq!(net.recv(fresh), Err(Errno::ENOTCONN));
    assert_eq!(net.send(fresh, b"x"), Err(Errno::EPIPE));
    assert_eq!(net.send(fresh, b""), Err(Errno::EPIPE));
    assert_eq!(net.accept(fresh), Err(Errno::EINVAL));
    assert_eq!(net.shutdown(fresh, Shutdown::Write), Err(Errno::ENOTCONN));
    assert_eq!(net.remote(fresh), Err(Errno::ENOTCONN));
    assert_eq!(net.local(fresh), "0.0.0.0:0");
    assert!(net.is_writable(fresh));
}

#[test]
fn a_listener() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 1);
    assert_eq!(net.accept(listener), Err(Errno::EAGAIN));
    assert_eq!(net.connect(listener, &addr), Err(Errno::EISCONN));
    assert_eq!(net.recv(listener), Err(Errno::ENOTCONN));
    assert_eq!(net.send(listener, b"x"), Err(Errno::EPIPE));
    assert_eq!(net.remote(listener), Err(Errno::ENOTCONN));
    assert_eq!(net.bind(listener, LOCALHOST), Err(Errno::EINVAL));
    assert_eq!(net.listen(listener, 5), Ok(()), "again");
    assert_eq!(net.shutdown(listener, Shutdown::Write), Ok(()));
    assert_eq!(net.accept(listener), Err(Errno::EAGAIN), "it goes on");
    assert_eq!(net.shutdown(listener, Shutdown::Read), Ok(()));
    assert_eq!(net.accept(listener), Err(Errno::EINVAL));
    assert_eq!(net.connect(net.socket(), &addr), Err(Errno::ECONNREFUSED));
    assert_eq!((net.local(listener), net.listen(listener, 1)), (addr, Ok(())), "it may listen again");
}

#[test]
fn a_listener_that_was_not_bound_has_a_port_on_all_addresses() {
    let net = Net::new();
    let listener = net.socket();
    net.listen(listener, 1).unwrap();
    assert_eq!(net.local(listener), "0.0.0.0:32768");
}

#[test]
fn a_connection() {
    let net = Net::new();
    let (client, server) = net.pair();
    assert_eq!(net.remote(client), Ok(net.local(server)));
    assert_eq!(net.remote(server), Ok(net.local(client)));
    assert_eq!(net.connect(client, LOCALHOST), Err(Errno::EISCONN));
    assert_eq!(net.listen(client, 1), Err(Errno::EINVAL));
    assert_eq!(net.bind(client, LOCALHOST), Err(Errno::EINVAL));
    assert_eq!(net.accept(client), Err(Errno::EINVAL));
    assert_eq!(net.recv(client), Err(Errno::EAGAIN));
    assert_eq!(net.send(client, b""), Ok(0));
    assert_eq!(net.send(client, b"hello"), Ok(5));
    assert_eq!((net.recv(server), net.recv(server)), (some("hello"), Err(Errno::EAGAIN)));
    assert_eq!(net.0.next_event(), None, "nothing is under way");
}

#[test]
fn an_attempt_that_goes_on() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 0);
    let first = net.socket();
    assert_eq!(net.connect(first, &addr), Ok(()));
    let second = net.socket();
    assert_eq!(net.connect(second, &addr), Err(Errno::EAGAIN));
    assert_eq!(net.connect(second, &addr), Err(EALREADY));
    assert_eq!(net.recv(second), Err(Errno::EAGAIN));
    assert_eq!(net.send(second, b"x"), Err(Errno::EAGAIN));
    assert_eq!(net.listen(second, 1), Err(Errno::EINVAL));
    assert_eq!(net.remote(second), Err(Errno::ENOTCONN));
    assert_eq!(net.local(second), "127.0.0.1:32770");
    assert!(!net.is_writable(second));
    // Whoever accepts makes room.
    assert_eq!(net.remote(net.accept(listener).unwrap()), Ok(net.local(first)));
    assert_eq!(net.remote(net.accept(listener).unwrap()), Ok(net.local(second)));
    assert!(net.is_writable(second));
}

#[test]
fn an_attempt_that_is_given_up() {
    let net = Net::new();
    let (_listener, addr) = net.listener(LOCALHOST, 0);
    net.connect(net.socket(), &addr).unwrap();
    let waits = net.socket();
    assert_eq!(net.connect(waits, &addr), Err(Errno::EAGAIN));
    assert_eq!(net.0.next_event(), Some(Nanos(131_000_000_000)));
    net.0.advance_to(Nanos(131_000_000_000));
    let connected = |id| net.0.with(|state| state.connected(id));
    assert_eq!(connected(waits), Err(Errno::ETIMEDOUT));
    assert_eq!(net.connect(waits, "127.0.0.1:1"), Err(Errno::ECONNREFUSED), "it may ask somebody else");

    let attempt = net.0.with(|state| state.connect(waits, &inet("127.0.0.1:1")));
    assert_eq!((attempt, net.connect(waits, &addr)), (Ok(()), Err(Errno::ECONNREFUSED)), "of the one before");

    let shut = net.socket();
    assert_eq!(net.connect(shut, &addr), Err(Errno::EAGAIN));
    assert_eq!(net.shutdown(shut, Shutdown::Read), Ok(()));
    assert_eq!(connected(shut), Err(Errno::ECONNRESET));
    assert_eq!((net.recv(shut), net.send(shut, b"x")), (Err(Errno::ENOTCONN), Err(Errno::EPIPE)));
    assert_eq!(net.0.next_event(), None, "nothing is left of them");
}

#[test]
fn who_has_given_up_is_not_accepted() {
    let net = Net::new();
    let (listener, addr) = net.listener(LOCALHOST, 0);
    let sockets = [(); 4].map(|()| net.socket());
    let connects = sockets.map(|socket| net.connect(socket, &addr).is_ok());
    assert_eq!(connects, [true, false, false, false]);
    net.close(sockets[1]);
    net.shutdown(sockets[2], Shutdown::Both).unwrap();
    net.accept(listener).unwrap();
    assert_eq!(net.remote(net.accept(listener).unwrap()), Ok(net.local(sockets[3])));
    assert_eq!(net.accept(listener), Err(Errno::EAGAIN));
}

#[test]
fn nobody_listens() {
    let net = Net::new();
    // Linux says EHOSTUNREACH or ENETUNREACH of the last, which is no address of the network's.
    for to in ["127.0.0.1:1", "127.0.0.1:0", "192.0.2.1:80"] {
        let socket = net.socket();
        assert_eq!(net.connect(socket, to), Err(Errno::ECONNREFUSED), "{to}");
        assert_eq!((net.recv(socket), net.send(socket, b"x")), (Err(Errno::ENOTCONN), Err(Errno::EPIPE)));
    }
    // As often as there are ports.
    for _ in 32_768..=60_999 {
        assert_eq!(net.connect(net.socket(), "127.0.0.1:1"), Err(Errno::ECONNREFUSED));
    }
}

#[test]
fn everything_takes_the_latency() {
    let net = Net(Network::builder().latency(Duration::from_nanos(10)).build());
    let (listener, addr) = net.listener(LOCALHOST, 1);
    let client = net.socket();
    assert_eq!(net.connect(client, &addr), Err(Errno::EAGAIN));
    net.0.advance_to(Nanos(19));
    assert_eq!(net.0.with(|state| state.connected(client)), Err(Errno::EAGAIN));
    net.0.advance_to(Nanos(20));
    assert_eq!(net.0.with(|state| state.connected(client)), Ok(()));
    net.send(client, b"hello").unwrap();
    net.close(client);
    net.0.advance_to(Nanos(29));
    assert_eq!(net.accept(listener), Err(Errno::EAGAIN));
    net.0.advance_to(Nanos(30));
    let server = net.accept(listener).unwrap();
    assert_eq!([net.recv(server), net.recv(server)], [some("hello"), some("")]);
    assert_eq!(net.connect(net.socket(), "127.0.0.1:1"), Err(Errno::EAGAIN));
    assert_eq!(net.0.next_event(), Some(Nanos(40)));
}

#[test]
fn who_gives_up_in_the_handshake_makes_room() {
    let net = Net(Network::builder().latency(Duration::from_nanos(10)).build());
    let (listener, addr) = net.listener(LOCALHOST, 0);
    let (hasty, patient) = (net.socket(), net.socket());
    for socket in [hasty, patient] {
        assert_eq!(net.connect(socket, &addr), Err(Errno::EAGAIN));
    }
    net.close(hasty);
    // Asked, answered, and told that nobody is there: then it is the turn of the other.
    net.0.advance_to(Nanos(30));
    assert_eq!(net.0.with(|state| state.connected(patient)), Err(Errno::EAGAIN));
    net.0.advance_to(Nanos(50));
    assert_eq!(net.remote(net.accept(listener).unwrap()), Ok(net.local(patient)));
    assert_eq!(net.accept(listener), Err(Errno::EAGAIN));
}

#[test]
fn an_answer_that_comes_too_late_concerns_nobody() {
    for is_accepted in [true, false] {
        let net = Net::new();
        let (busy, busy_addr) = net.listener(LOCALHOST, 0);
        net.connect(net.socket(), &busy_addr).unwrap();
        let socket = net.socket();
        assert_eq!(net.connect(socket, &busy_addr), Err(Errno::EAGAIN));
        net.0.advance_to(Nanos(131_000_000_000));
        let (other, other_addr) = net.listener(LOCALHOST, 0);
        net.connect(net.socket(), &other_addr).unwrap();
        assert_eq!(net.connect(socket, &other_addr), Err(Errno::ETIMEDOUT), "of the attempt before");
        assert_eq!(net.connect(socket, &other_addr), Err(Errno::EAGAIN));
        if is_accepted {
            net.accept(busy).unwrap();
        } else {
            net.close(busy);
        }
        net.accept(other).unwrap();
        let server = net.accept(other).unwrap();
        assert_eq!((net.remote(server), net.remote(socket)), (Ok(net.local(socket)), Ok(other_addr)));
    }
}

#[test]
fn a_reset_of_another_connection_concerns_nobody() {
    let net = Net(Network::builder().latency(Duration::from_nanos(10)).build());
    let [(former, former_addr), (other, other_addr)] = [(); 2].map(|()| net.listener(LOCALHOST, 1));
    let socket = net.socket();
    assert_eq!(net.connect(socket, &former_addr), Err(Errno::EAGAIN));
    net.shutdown(socket, Shutdown::Both).unwrap();
    assert_eq!(net.connect(socket, &other_addr), Err(Errno::ECONNRESET), "of the attempt before");
    assert_eq!(net.connect(socket, &other_addr), Err(Errno::EAGAIN));
    net.0.advance_to(Nanos(15));
    // It had taken the first attempt for one that goes on.
    net.close(former);
    net.0.advance_to(Nanos(30));
    let server = net.accept(other).unwrap();
    assert_eq!((net.remote(socket), net.remote(server)), (Ok(other_addr), Ok(net.local(socket))));
}
