//! Attempts to write, and what else answers at once.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;

use runtime_core::op::{Control, End, SocketOption};
use runtime_core::reactor::Wait;
use socket2::{Domain, Type};

use super::Env;
use super::loopback::{accepted, fill, reset};
use crate::driver::Driver;
use crate::machine::{Shortage, Signals};
use crate::pattern::Pattern;

trials![
    never_waits,
    arrives_in_order,
    staged,
    staged_without_room,
    staged_before_a_close,
    nothing_to_send,
    no_sigpipe,
    after_a_reset,
    not_connected,
    options,
    address_in_use,
    addresses,
    no_descriptor_left,
];

/// Wherever the socket comes from. One in blocking mode would hang here.
fn never_waits(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(1);
    let accepting = driver.accept(listener);
    let peer = driver.world().connect(address).expect("connect");
    let accepted = (accepted(driver.next(accepting)), peer);
    let (opened, adopted) = (driver.pair(), driver.imported());
    for (ours, _peer) in [opened, adopted, accepted] {
        assert!(driver.fill(ours) > 0);
        let error = driver.attempt(ours, b"more").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

fn arrives_in_order(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = Pattern::default().take(1_000_000);
    let reader = std::thread::spawn(move || {
        let mut arrived = vec![0; 1_000_000];
        peer.read_exact(&mut arrived).map(|()| arrived)
    });
    let mut rest = &sent[..];
    while !rest.is_empty() {
        match driver.attempt(ours, rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                let token = driver.writable(ours);
                assert_eq!(driver.end(token), Ok(0));
            }
        }
    }
    assert!(reader.join().expect("no panic").expect("the peer reads") == sent);
}

/// They are over with the turn that performs them, and leave in the order in which they were staged.
fn staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let (other, other_peer) = driver.pair();
    reset(other_peer);
    let (one, failed, two) =
        (driver.send(ours, b"one "), driver.send(other, b"lost"), driver.send(ours, b"two"));
    driver.turn(Wait::No);
    let results = [one, failed, two].map(|token| driver.try_next(token).expect("in this turn").result);
    assert_eq!(results, [4, Err(Errno::ECONNRESET), 3]);
    let mut arrived = [0; 7];
    peer.read_exact(&mut arrived).expect("the peer reads");
    assert_eq!(&arrived, b"one two");
}

fn staged_without_room(env: &Env) {
    let mut driver = Driver::new(env);
    let signals = Signals::catch(libc::SIGPIPE);
    for (ours, peer) in [driver.pair(), driver.imported()] {
        let sent = driver.fill(ours);
        let token = driver.send(ours, b"more");
        driver.turn(Wait::No);
        assert_eq!(driver.try_next(token).expect("in this turn").result, Err(Errno::EAGAIN));
        let token = driver.writable(ours);
        (&peer).read_exact(&mut vec![0; sent]).expect("the peer reads");
        assert_eq!(driver.end(token), Ok(0));
        drop(peer);
        let (first, second) = (driver.send(ours, b"one"), driver.send(ours, b"two"));
        driver.turn(Wait::No);
        let ends = [driver.end(first), driver.end(second)];
        assert!(ends == [3, Err(Errno::EPIPE)] || ends == [3, Err(Errno::ECONNRESET)], "{ends:?}");
    }
    assert_eq!(signals.count(), 0, "SIGPIPE was raised");
}

fn staged_before_a_close(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    let sent = driver.send(ours, b"the last words");
    driver.cancel(receiving);
    let closed = driver.close(ours);
    assert_eq!((driver.end(sent), driver.end(closed)), (14, 0));
    assert_eq!(driver.end(receiving), Err(Errno::ECANCELED));
    let mut arrived = String::new();
    peer.read_to_string(&mut arrived).expect("the peer reads to the end");
    assert_eq!(arrived, "the last words");
}

fn nothing_to_send(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    assert_eq!(driver.attempt(ours, b"").expect("send"), 0);
}

fn no_sigpipe(env: &Env) {
    let mut driver = Driver::new(env);
    // Where `std` has not set it to be ignored, as in a program whose `main` is not Rust's, it kills.
    let signals = Signals::catch(libc::SIGPIPE);
    let (ours, peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    drop(peer);
    assert_eq!(driver.end(receiving), Ok(0));
    // The first is answered by a reset, which the second meets.
    driver.attempt(ours, b"one").expect("the peer has closed its own half, for all we know");
    let token = driver.receive(ours);
    let end = driver.end(token);
    assert!(end == 0 || end == Err(Errno::EPIPE) || end == Err(Errno::ECONNRESET), "{end}");
    for _ in 0..2 {
        let error = driver.attempt(ours, b"two").expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    assert_eq!(signals.count(), 0, "SIGPIPE was raised");
}

fn after_a_reset(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    peer.reset();
    let error = driver.attempt(ours, b"one").expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let error = driver.attempt(ours, b"two").expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

fn not_connected(env: &Env) {
    let mut driver = Driver::new(env);
    let signals = Signals::catch(libc::SIGPIPE);
    let socket = driver.socket();
    let error = driver.attempt(socket, b"hello").expect_err("not connected");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(signals.count(), 0, "SIGPIPE was raised");
}

fn options(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let reactor = driver.reactor();
    for switch in [SocketOption::NoDelay, SocketOption::ReuseAddress, SocketOption::ReusePort] {
        for value in [1, 0, 1] {
            reactor.control(ours.as_fd(), Control::Set(switch, value)).expect("setsockopt");
            assert_eq!(reactor.option(ours.as_fd(), switch).expect("getsockopt"), value, "{switch:?}");
        }
    }
    for size in [SocketOption::SendBuffer, SocketOption::ReceiveBuffer] {
        reactor.control(ours.as_fd(), Control::Set(size, 50_000)).expect("setsockopt");
        assert_eq!(reactor.option(ours.as_fd(), size).expect("getsockopt"), 100_000, "{size:?}");
    }
}

fn address_in_use(env: &Env) {
    let mut driver = Driver::new(env);
    let (_listener, address) = driver.listener(1);
    let socket = driver.socket();
    let error = driver.control(socket, Control::Bind(&address.into())).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

fn addresses(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    let reactor = driver.reactor();
    let local = reactor.address(ours.as_fd(), End::Local).expect("getsockname").as_socket();
    assert_eq!(local, peer.peer_addr().ok());
    let remote = reactor.address(ours.as_fd(), End::Peer).expect("getpeername").as_socket();
    assert_eq!(remote, peer.local_addr().ok());
    let fresh = driver.socket();
    let error = driver.reactor().address(fresh.as_fd(), End::Peer).expect_err("not connected");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

fn no_descriptor_left(env: &Env) {
    let mut driver = Driver::new(env);
    let shortage = Shortage::with_spare(0);
    let error = driver.reactor().open(Domain::IPV4, Type::STREAM).expect_err("no descriptor");
    drop(shortage);
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
}
