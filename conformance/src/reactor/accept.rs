//! Accepting: every connection once, to one owner, until cancelled or failed.

use std::collections::HashSet;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use runtime_core::op::{Control, End};
use runtime_core::reactor::Wait;

use super::MakeReactor;
use super::loopback::{accepted, reset};
use crate::driver::Driver;
use crate::machine::{self, Shortage};

super::trials![
    one,
    many_in_one_batch,
    two_listeners,
    close_on_exec,
    cancelled,
    cancel_raced_with_connections,
    closed,
    reset_before_accept,
    no_descriptor_left,
    last_descriptor,
    not_listening,
    shut_down,
];

fn one(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(&listener);
    driver.expect_quiet(Duration::from_millis(20));
    for _ in 0..3 {
        let mut peer = TcpStream::connect(address).expect("connect");
        let completion = driver.next(token);
        assert!(completion.more, "{completion:?}");
        let ours = accepted(completion);
        assert_eq!(peer_of(&mut driver, &ours), peer.local_addr().expect("getsockname"));
        driver.expect_alive(&ours, &mut peer);
    }
}

fn many_in_one_batch(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(128);
    let peers: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("connect")).collect();
    let token = driver.accept(&listener);
    let ours: Vec<_> = peers.iter().map(|_| accepted(driver.next(token))).collect();
    let there: HashSet<_> = peers.iter().map(|peer| peer.local_addr().expect("getsockname")).collect();
    let here: HashSet<_> = ours.iter().map(|ours| peer_of(&mut driver, ours)).collect();
    assert_eq!(here, there);
    driver.expect_quiet(Duration::from_millis(20));
}

fn two_listeners(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (one, one_address) = driver.listener(16);
    let (two, two_address) = driver.listener(16);
    let (one_token, two_token) = (driver.accept(&one), driver.accept(&two));
    driver.turn(Wait::No);
    let to_two = TcpStream::connect(two_address).expect("connect");
    let to_one = TcpStream::connect(one_address).expect("connect");
    for (token, peer) in [(one_token, to_one), (two_token, to_two)] {
        let ours = accepted(driver.next(token));
        assert_eq!(peer_of(&mut driver, &ours), peer.local_addr().expect("getsockname"));
    }
}

fn close_on_exec(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(&listener);
    let _peers = [TcpStream::connect(address), TcpStream::connect(address)];
    for _ in 0..2 {
        assert!(machine::is_close_on_exec(accepted(driver.next(token)).as_raw_fd()));
    }
}

fn cancelled(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(&listener);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), -libc::ECANCELED);

    // What comes now is for the next one.
    let mut peer = TcpStream::connect(address).expect("connect");
    driver.expect_quiet(Duration::from_millis(20));
    let token = driver.accept(&listener);
    let ours = accepted(driver.next(token));
    driver.expect_alive(&ours, &mut peer);
}

fn cancel_raced_with_connections(make: MakeReactor) {
    const ROUNDS: usize = 200;
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let (mut served, mut peers) = (HashSet::new(), HashSet::new());
    for _ in 0..ROUNDS {
        let token = driver.accept(&listener);
        driver.turn(Wait::No);
        let peer = TcpStream::connect(address).expect("connect");
        peers.insert(peer.local_addr().expect("getsockname"));
        driver.cancel(token);
        let mut more = true;
        while more {
            let completion = driver.next(token);
            more = completion.more;
            if completion.result >= 0 {
                let ours = accepted(completion);
                served.insert(peer_of(&mut driver, &ours));
            } else {
                assert_eq!(completion.result, -libc::ECANCELED);
            }
        }
        // Those that the cancel left in the backlog.
        let token = driver.accept(&listener);
        while served.len() < peers.len() {
            let ours = accepted(driver.next(token));
            served.insert(peer_of(&mut driver, &ours));
        }
        driver.cancel(token);
        assert_eq!(driver.end(token), -libc::ECANCELED);
        assert_eq!(served, peers);
    }
}

fn closed(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let token = driver.accept(&listener);
    driver.turn(Wait::No);
    driver.cancel(token);
    let close = driver.close(listener);
    assert_eq!((driver.end(token), driver.end(close)), (-libc::ECANCELED, 0));
    let refused = TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
    // The port is free at once, also without SO_REUSEADDR.
    let again = driver.socket();
    driver.reactor().control(again.as_fd(), Control::Bind(&address.into())).expect("bind to the same port");
}

fn reset_before_accept(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    reset(TcpStream::connect(address).expect("connect"));
    let token = driver.accept(&listener);
    let mut honest = TcpStream::connect(address).expect("connect");
    let honest_address = honest.local_addr().expect("getsockname");
    loop {
        // Linux accepts also what has been reset since (accept(2) of other systems: ECONNABORTED).
        let completion = driver.next(token);
        assert!(completion.more, "one bad peer must not end accepting: {completion:?}");
        let ours = accepted(completion);
        let peer = driver.reactor().address(ours.as_fd(), End::Peer).ok().and_then(|a| a.as_socket());
        if peer == Some(honest_address) {
            return driver.expect_alive(&ours, &mut honest);
        }
    }
}

fn no_descriptor_left(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let mut peer = TcpStream::connect(address).expect("connect");
    {
        let _shortage = Shortage::with_spare(0);
        for _ in 0..3 {
            let token = driver.accept(&listener);
            assert_eq!(driver.end(token), -libc::EMFILE);
        }
    }
    let token = driver.accept(&listener);
    let ours = accepted(driver.next(token));
    driver.expect_alive(&ours, &mut peer);
}

fn last_descriptor(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, address) = driver.listener(16);
    let mut peers = [(); 2].map(|()| TcpStream::connect(address).expect("connect"));
    let first = {
        let _shortage = Shortage::with_spare(1);
        let token = driver.accept(&listener);
        let first = accepted(driver.next(token));
        assert_eq!(driver.end(token), -libc::EMFILE);
        first
    };
    let token = driver.accept(&listener);
    let second = accepted(driver.next(token));
    driver.expect_alive(&first, &mut peers[0]);
    driver.expect_alive(&second, &mut peers[1]);
}

fn not_listening(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let fresh = driver.socket();
    let (connected, _peer) = driver.pair();
    for socket in [fresh, connected] {
        let token = driver.accept(&socket);
        assert_eq!(driver.end(token), -libc::EINVAL);
    }
}

fn shut_down(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (listener, _) = driver.listener(16);
    let token = driver.accept(&listener);
    driver.turn(Wait::No);
    driver.reactor().control(listener.as_fd(), Control::Shutdown(Shutdown::Both)).expect("shutdown");
    assert_eq!(driver.end(token), -libc::EINVAL);
}

fn peer_of(driver: &mut Driver, ours: &OwnedFd) -> SocketAddr {
    let address = driver.reactor().address(ours.as_fd(), End::Peer).expect("getpeername");
    address.as_socket().expect("an IP address")
}
