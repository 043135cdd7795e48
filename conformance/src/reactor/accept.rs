//! Accepting: every connection once, to one owner, until cancelled or failed.

use std::collections::HashSet;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use runtime_core::errno::Errno;
use runtime_core::op::{Control, End, Fd};
use runtime_core::reactor::Wait;

use super::loopback::{expect_refused, fd_of};
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, count};
use crate::machine::{self, Shortage};

trials![
    one,
    many_in_one_batch,
    two_listeners,
    close_on_exec: Exec,
    cancelled,
    cancel_raced_with_connections,
    closed,
    reset_before_accept,
    no_descriptor_left: Limits,
    last_descriptor: Limits,
    a_second_one_is_refused,
    not_listening,
    shut_down,
];

fn one(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(listener);
    driver.expect_quiet(Duration::from_millis(20));
    for _ in 0..3 {
        let mut peer = driver.world().connect(address).expect("connect");
        let completion = driver.next(token);
        assert!(completion.more, "{completion:?}");
        let ours = fd_of(completion);
        assert_eq!(peer_of(&mut driver, ours), peer.local());
        driver.expect_alive(ours, &mut *peer);
    }
}

fn many_in_one_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(128);
    let peers: Vec<_> = (0..100).map(|_| driver.world().connect(address).expect("connect")).collect();
    let token = driver.accept(listener);
    let ours: Vec<_> = peers.iter().map(|_| fd_of(driver.next(token))).collect();
    let there: HashSet<_> = peers.iter().map(|peer| peer.local()).collect();
    let here: HashSet<_> = ours.iter().map(|&ours| peer_of(&mut driver, ours)).collect();
    assert_eq!(here, there);
    driver.expect_quiet(Duration::from_millis(20));
}

fn two_listeners(env: &Env) {
    let mut driver = Driver::new(env);
    let (one, one_address) = driver.listener(16);
    let (two, two_address) = driver.listener(16);
    let (one_token, two_token) = (driver.accept(one), driver.accept(two));
    driver.turn(Wait::No);
    let to_two = driver.world().connect(two_address).expect("connect");
    let to_one = driver.world().connect(one_address).expect("connect");
    for (token, peer) in [(one_token, to_one), (two_token, to_two)] {
        let ours = fd_of(driver.next(token));
        assert_eq!(peer_of(&mut driver, ours), peer.local());
    }
}

fn close_on_exec(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(listener);
    let _peers = [driver.world().connect(address), driver.world().connect(address)];
    for _ in 0..2 {
        let ours = fd_of(driver.next(token));
        let shared = driver.reactor().share(ours).expect("a second owner");
        assert!(machine::is_close_on_exec(shared.as_raw_fd()));
    }
}

fn cancelled(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(listener);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);

    // What comes now is for the next one.
    let mut peer = driver.world().connect(address).expect("connect");
    driver.expect_quiet(Duration::from_millis(20));
    let token = driver.accept(listener);
    let ours = fd_of(driver.next(token));
    driver.expect_alive(ours, &mut *peer);
}

fn cancel_raced_with_connections(env: &Env) {
    const ROUNDS: usize = 200;
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let (mut served, mut peers) = (HashSet::new(), HashSet::new());
    for _ in 0..ROUNDS {
        let token = driver.accept(listener);
        driver.turn(Wait::No);
        let peer = driver.world().connect(address).expect("connect");
        peers.insert(peer.local());
        driver.cancel(token);
        let mut more = true;
        while more {
            let completion = driver.next(token);
            more = completion.more;
            if completion.result.is_ok() {
                let ours = fd_of(completion);
                served.insert(peer_of(&mut driver, ours));
            } else {
                assert_eq!(count(&completion), CANCELED);
            }
        }
        // Those that the cancel left in the backlog.
        let token = driver.accept(listener);
        while served.len() < peers.len() {
            let ours = fd_of(driver.next(token));
            served.insert(peer_of(&mut driver, ours));
        }
        driver.cancel(token);
        assert_eq!(driver.end(token), CANCELED);
        assert_eq!(served, peers);
    }
}

fn closed(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(listener);
    driver.turn(Wait::No);
    driver.cancel(token);
    let close = driver.close(listener);
    assert_eq!((driver.end(token), driver.end(close)), (CANCELED, DONE));
    let refused = driver.world().connect(address).err().expect("nobody listens");
    assert_eq!(Errno::from(refused), Errno::ECONNREFUSED);
    // The port is free at once, also without SO_REUSEADDR.
    let again = driver.socket();
    driver.control(again, Control::Bind(&address.into())).expect("bind to the same port");
}

fn reset_before_accept(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    driver.world().connect(address).expect("connect").reset();
    let token = driver.accept(listener);
    let mut honest = driver.world().connect(address).expect("connect");
    loop {
        // Linux accepts also what has been reset since (accept(2) of other systems: ECONNABORTED).
        let completion = driver.next(token);
        assert!(completion.more, "one bad peer must not end accepting: {completion:?}");
        let ours = fd_of(completion);
        if driver.address(ours, End::Peer).is_ok_and(|peer| peer == honest.local()) {
            return driver.expect_alive(ours, &mut *honest);
        }
    }
}

fn no_descriptor_left(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let mut peer = driver.world().connect(address).expect("connect");
    {
        let _shortage = Shortage::with_spare(0);
        for _ in 0..3 {
            let token = driver.accept(listener);
            assert_eq!(driver.end(token), Err(Errno::EMFILE));
        }
    }
    let token = driver.accept(listener);
    let ours = fd_of(driver.next(token));
    driver.expect_alive(ours, &mut *peer);
}

fn last_descriptor(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let mut peers = [(); 2].map(|()| driver.world().connect(address).expect("connect"));
    let first = {
        let _shortage = Shortage::with_spare(1);
        let token = driver.accept(listener);
        let first = fd_of(driver.next(token));
        assert_eq!(driver.end(token), Err(Errno::EMFILE));
        first
    };
    let token = driver.accept(listener);
    let second = fd_of(driver.next(token));
    driver.expect_alive(first, &mut *peers[0]);
    driver.expect_alive(second, &mut *peers[1]);
}

fn a_second_one_is_refused(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(16);
    let (first, second) = (driver.accept(listener), driver.accept(listener));
    expect_refused(env, &mut driver, "accept::a_second_one_is_refused", second);
    let _peer = env.world().connect(address).expect("connect");
    fd_of(driver.next(first));
}

fn not_listening(env: &Env) {
    let mut driver = Driver::new(env);
    let fresh = driver.socket();
    let (connected, _peer) = driver.pair();
    for socket in [fresh, connected] {
        let token = driver.accept(socket);
        assert_eq!(driver.end(token), Err(Errno::EINVAL));
    }
}

fn shut_down(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, _) = driver.listener(16);
    let token = driver.accept(listener);
    driver.turn(Wait::No);
    driver.control(listener, Control::Shutdown(Shutdown::Both)).expect("shutdown");
    assert_eq!(driver.end(token), Err(Errno::EINVAL));
}

fn peer_of(driver: &mut Driver, ours: Fd) -> SocketAddr {
    driver.address(ours, End::Peer).expect("getpeername")
}
