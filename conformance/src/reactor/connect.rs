//! Connecting: established, refused, or given up.

use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use runtime_core::errno::Errno;
use runtime_core::op::End;
use runtime_core::reactor::Wait;

use super::loopback::fd_of;
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver};
use crate::machine;
use crate::world::{Listener, Peer, World};

trials![
    established,
    close_on_exec: Exec,
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
    let listener = env.world().listen(1);
    let ours = driver.socket();
    let token = driver.connect(ours, listener.address());
    assert_eq!(driver.end(token), DONE);
    assert_eq!(driver.address(ours, End::Peer).expect("getpeername"), listener.address());
    let mut peer = listener.accept().expect("accept");
    driver.expect_alive(ours, &mut *peer);
}

fn close_on_exec(env: &Env) {
    let mut driver = Driver::new(env);
    let ours = driver.socket();
    let shared = driver.reactor().share(ours).expect("a second owner");
    assert!(machine::is_close_on_exec(shared.as_raw_fd()));
}

fn many_in_one_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(128);
    let accepting = driver.accept(listener);
    let tokens: Vec<_> = (0..100)
        .map(|_| {
            let socket = driver.socket();
            driver.connect(socket, address)
        })
        .collect();
    for &token in &tokens {
        assert_eq!(driver.end(token), DONE);
    }
    for _ in tokens {
        fd_of(driver.next(accepting));
    }
}

fn refused(env: &Env) {
    let mut driver = Driver::new(env);
    let socket = driver.socket();
    let nobody = driver.nobody_listens();
    let token = driver.connect(socket, nobody);
    assert_eq!(driver.end(token), Err(Errno::ECONNREFUSED));
    driver.expect_quiet(Duration::from_millis(20));
}

fn refused_among_others(env: &Env) {
    let mut driver = Driver::new(env);
    let listener = env.world().listen(20);
    let (good, bad) = (listener.address(), driver.nobody_listens());
    let attempts: Vec<_> = (0..40)
        .map(|index| {
            let socket = driver.socket();
            let (to, result) = if index % 2 == 0 { (good, DONE) } else { (bad, Err(Errno::ECONNREFUSED)) };
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
    let full = FullListener::new(&**env.world());
    let socket = driver.socket();
    let token = driver.connect(socket, full.address);
    driver.expect_quiet(Duration::from_millis(20));
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);
    driver.expect_quiet(Duration::from_millis(20));
}

fn cancelled_in_the_same_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let full = FullListener::new(&**env.world());
    let tokens: Vec<_> = (0..20)
        .map(|_| {
            let socket = driver.socket();
            let token = driver.connect(socket, full.address);
            driver.cancel(token);
            token
        })
        .collect();
    for token in tokens {
        assert_eq!(driver.end(token), CANCELED);
    }
}

fn cancel_raced_with_success(env: &Env) {
    let mut driver = Driver::new(env);
    let listener = env.world().listen(128);
    for round in 0..200 {
        let socket = driver.socket();
        let token = driver.connect(socket, listener.address());
        if round % 2 == 0 {
            driver.turn(Wait::No);
        }
        driver.cancel(token);
        match driver.end(token) {
            DONE => {
                let ours = driver.address(socket, End::Local).expect("getsockname");
                let mut peer = listener.accept().expect("accept");
                // The backlog still has those that were established as they were cancelled.
                while peer.remote().ok() != Some(ours) {
                    peer = listener.accept().expect("accept");
                }
                driver.expect_alive(socket, &mut *peer);
            }
            result => assert_eq!(result, CANCELED),
        }
        driver.close(socket);
    }
}

fn closed(env: &Env) {
    let mut driver = Driver::new(env);
    let full = FullListener::new(&**env.world());
    for cancelled in [true, false] {
        let socket = driver.socket();
        let token = driver.connect(socket, full.address);
        driver.turn(Wait::No);
        if cancelled {
            driver.cancel(token);
        }
        let close = driver.close(socket);
        assert_eq!((driver.end(token), driver.end(close)), (CANCELED, DONE));
    }
}

/// Connecting to it neither succeeds nor fails: it drops what its backlog has no room for.
pub(super) struct FullListener {
    pub(super) address: SocketAddr,
    _listener: Box<dyn Listener>,
    _waiting: Box<dyn Peer>,
}

impl FullListener {
    pub(super) fn new(world: &dyn World) -> Self {
        let listener = world.listen(0);
        let address = listener.address();
        let waiting = world.connect(address).expect("connect");
        Self { address, _listener: listener, _waiting: waiting }
    }
}
