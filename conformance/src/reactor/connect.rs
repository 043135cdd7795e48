//! Connecting: established, refused, or given up.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use runtime_core::op::End;
use runtime_core::reactor::Wait;
use socket2::{Domain, Socket, Type};

use super::Env;
use super::loopback::ANY;
use crate::driver::Driver;
use crate::machine;

trials![
    established,
    many_in_one_batch,
    refused,
    refused_among_others,
    of_the_wrong_family,
    cancelled,
    cancelled_in_the_same_batch,
    cancel_raced_with_success,
    closed,
];

fn established(env: &Env) {
    let mut driver = Driver::new(env);
    let listener = TcpListener::bind(ANY).expect("bind");
    let address = listener.local_addr().expect("getsockname");
    let ours = driver.socket();
    assert!(machine::is_close_on_exec(ours.as_raw_fd()));
    let token = driver.connect(ours, address);
    assert_eq!(driver.end(token), Ok(0));
    let peer_address = driver.reactor().address(ours.as_fd(), End::Peer).expect("getpeername");
    assert_eq!(peer_address.as_socket(), Some(address));
    let (mut peer, _) = listener.accept().expect("accept");
    driver.expect_alive(ours, &mut peer);
}

fn many_in_one_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(128);
    let accepting = driver.accept(listener);
    let sockets: Vec<_> = (0..100).map(|_| driver.socket()).collect();
    let tokens: Vec<_> = sockets.iter().map(|socket| driver.connect(socket, address)).collect();
    for token in tokens {
        assert_eq!(driver.end(token), Ok(0));
    }
    for _ in &sockets {
        drop(super::loopback::accepted(driver.next(accepting)));
    }
}

fn refused(env: &Env) {
    let mut driver = Driver::new(env);
    let socket = driver.socket();
    let token = driver.connect(socket, nobody_listens());
    assert_eq!(driver.end(token), Err(Errno::ECONNREFUSED));
    driver.expect_quiet(Duration::from_millis(20));
}

fn refused_among_others(env: &Env) {
    let mut driver = Driver::new(env);
    let listener = TcpListener::bind(ANY).expect("bind");
    let good = listener.local_addr().expect("getsockname");
    let bad = nobody_listens();
    let sockets: Vec<_> = (0..40).map(|_| driver.socket()).collect();
    let attempts: Vec<_> = (sockets.iter().enumerate())
        .map(|(index, socket)| {
            let (to, result) = if index % 2 == 0 { (good, 0) } else { (bad, Err(Errno::ECONNREFUSED)) };
            (driver.connect(socket, to), result)
        })
        .collect();
    for (token, result) in attempts {
        assert_eq!(driver.end(token), result);
    }
}

fn of_the_wrong_family(env: &Env) {
    let mut driver = Driver::new(env);
    let socket = driver.socket();
    let token = driver.connect(socket, SocketAddr::from((Ipv6Addr::LOCALHOST, 1)));
    assert_eq!(driver.end(token), Err(Errno::EAFNOSUPPORT));
}

fn cancelled(env: &Env) {
    let mut driver = Driver::new(env);
    let full = FullListener::new();
    let socket = driver.socket();
    let token = driver.connect(socket, full.address);
    driver.expect_quiet(Duration::from_millis(20));
    driver.cancel(token);
    assert_eq!(driver.end(token), Err(Errno::ECANCELED));
    driver.expect_quiet(Duration::from_millis(20));
}

fn cancelled_in_the_same_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let full = FullListener::new();
    let sockets: Vec<_> = (0..20).map(|_| driver.socket()).collect();
    let tokens: Vec<_> = (sockets.iter())
        .map(|socket| {
            let token = driver.connect(socket, full.address);
            driver.cancel(token);
            token
        })
        .collect();
    for token in tokens {
        assert_eq!(driver.end(token), Err(Errno::ECANCELED));
    }
}

fn cancel_raced_with_success(env: &Env) {
    let mut driver = Driver::new(env);
    let listener = TcpListener::bind(ANY).expect("bind");
    let address = listener.local_addr().expect("getsockname");
    for round in 0..200 {
        let socket = driver.socket();
        let token = driver.connect(socket, address);
        if round % 2 == 0 {
            driver.turn(Wait::No);
        }
        driver.cancel(token);
        match driver.end(token) {
            0 => {
                let mut peer = listener.accept().expect("accept").0;
                // The backlog still has those that were established as they were cancelled.
                while peer.peer_addr().ok() != local_of(&mut driver, &socket) {
                    peer = listener.accept().expect("accept").0;
                }
                driver.expect_alive(socket, &mut peer);
            }
            result => assert_eq!(result, Err(Errno::ECANCELED)),
        }
    }
}

fn closed(env: &Env) {
    let mut driver = Driver::new(env);
    let full = FullListener::new();
    let socket = driver.socket();
    let token = driver.connect(socket, full.address);
    driver.turn(Wait::No);
    driver.cancel(token);
    let close = driver.close(socket);
    assert_eq!((driver.end(token), driver.end(close)), (Err(Errno::ECANCELED), 0));
}

fn local_of(driver: &mut Driver, socket: impl AsFd) -> Option<SocketAddr> {
    driver.reactor().address(socket.as_fd(), End::Local).ok().and_then(|address| address.as_socket())
}

/// An address that refuses.
fn nobody_listens() -> SocketAddr {
    TcpListener::bind(ANY).and_then(|listener| listener.local_addr()).expect("bind")
}

/// Connecting to it neither succeeds nor fails: it drops what its backlog has no room for.
pub(super) struct FullListener {
    pub(super) address: SocketAddr,
    _listener: Socket,
    _waiting: TcpStream,
}

impl FullListener {
    pub(super) fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&ANY.into()).expect("bind");
        // Room for as many connections as this and one (`sk_acceptq_is_full`).
        listener.listen(0).expect("listen");
        let address = listener.local_addr().expect("getsockname").as_socket().expect("an IP address");
        let waiting = driver.world().connect(address).expect("connect");
        assert!(machine::readable(&listener, Duration::from_secs(10)), "it waits in the backlog");
        Self { address, _listener: listener, _waiting: waiting }
    }
}
