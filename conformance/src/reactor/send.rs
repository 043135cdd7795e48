//! Attempts to write, and what else answers at once.

use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::time::Duration;

use runtime_core::address::{Family, Kind, SockAddr};
use runtime_core::arena::Arena;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Control, End, Op, SocketOption};
use runtime_core::reactor::Wait;

use super::loopback::read_what_is_there;
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, RESET, count};
use crate::machine::{Shortage, Signals};
use crate::pattern::Pattern;

trials![
    never_waits,
    arrives_in_order,
    staged,
    staged_from_each_place,
    staged_without_room,
    staged_before_a_close,
    nothing_to_send,
    no_sigpipe: Signals,
    after_a_reset,
    not_connected,
    options,
    address_in_use,
    addresses,
    no_descriptor_left: Limits,
];

/// Wherever the socket comes from. One in blocking mode would hang here.
fn never_waits(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, _peer) in driver.pairs() {
        assert!(driver.fill(ours) > 0);
        let error = driver.attempt(ours, b"more").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

fn arrives_in_order(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = Pattern::default().take(1_000_000);
    let (mut rest, mut arrived) = (&sent[..], Vec::new());
    while !rest.is_empty() {
        match driver.attempt(ours, rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                let token = driver.writable(ours);
                let room = loop {
                    // The more it reads, the more room there is in the end.
                    read_what_is_there(&mut *peer, &mut arrived);
                    let moment = driver.now().saturating_add(Duration::from_millis(1));
                    driver.turn(Wait::Until(moment));
                    if let Some(completion) = driver.try_next(token) {
                        break count(&completion);
                    }
                };
                assert_eq!(room, DONE);
            }
        }
    }
    let mut tail = vec![0; sent.len() - arrived.len()];
    peer.read_exact(&mut tail).expect("the peer reads");
    arrived.extend(tail);
    assert!(arrived == sent);
}

/// They are over with the turn that performs them, and leave in the order in which they were staged.
fn staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let (other, other_peer) = driver.pair();
    other_peer.reset();
    let (one, failed, two) =
        (driver.send(ours, b"one "), driver.send(other, b"lost"), driver.send(ours, b"two"));
    driver.turn(Wait::No);
    let results = [one, failed, two].map(|token| count(&driver.try_next(token).expect("in this turn")));
    assert_eq!(results, [Ok(4), RESET, Ok(3)]);
    let mut arrived = [0; 7];
    peer.read_exact(&mut arrived).expect("the peer reads");
    assert_eq!(&arrived, b"one two");
}

/// Also when some of the data has been sent before.
fn staged_from_each_place(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let arena = Rc::<Arena>::default();
    let mut chunk = driver.pool().take().expect("a chunk");
    chunk.space()[..5].copy_from_slice(b"chunk");
    chunk.set_len(5);
    let places = [
        Data::Chunk(chunk),
        Data::from(b"vector".to_vec()),
        Data::Arena(arena.copy(b"arena").expect("room in the arena")),
    ];
    for mut data in places {
        let len = data.len();
        let token = driver.stage(Op::Send { fd: ours, data });
        let completion = driver.next(token);
        assert_eq!(count(&completion), Ok(len));
        data = completion.data.expect("the account has seen it");
        data.advance(len - 2);
        let token = driver.stage(Op::Send { fd: ours, data });
        assert_eq!(driver.end(token), Ok(2));
    }
    let mut arrived = [0; 22];
    peer.read_exact(&mut arrived).expect("the peer reads");
    assert_eq!(&arrived, b"chunknkvectororarenana");
}

fn staged_without_room(env: &Env) {
    let mut driver = Driver::new(env);
    let signals = Signals::catch(libc::SIGPIPE);
    for (ours, mut peer) in driver.pairs() {
        let sent = driver.fill(ours);
        let token = driver.send(ours, b"more");
        driver.turn(Wait::No);
        assert_eq!(count(&driver.try_next(token).expect("in this turn")), Err(Errno::EAGAIN));
        let token = driver.writable(ours);
        peer.read_exact(&mut vec![0; sent]).expect("the peer reads");
        assert_eq!(driver.end(token), DONE);
        drop(peer);
        // The first is answered by a reset, which the second meets.
        let first = driver.send(ours, b"one");
        assert_eq!(driver.end(first), Ok(3));
        env.world().settle();
        let second = driver.send(ours, b"two");
        assert_eq!(driver.end(second), Err(Errno::EPIPE));
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
    assert_eq!((driver.end(sent), driver.end(closed)), (Ok(14), DONE));
    assert_eq!(driver.end(receiving), CANCELED);
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
    assert_eq!(driver.end(receiving), DONE);
    // The first is answered by a reset, which the second meets.
    driver.attempt(ours, b"one").expect("the peer has closed its own half, for all we know");
    let token = driver.receive(ours);
    let end = driver.end(token);
    assert!([DONE, Err(Errno::EPIPE), RESET].contains(&end), "{end:?}");
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
    let token = driver.send(socket, b"hello");
    assert_eq!(driver.end(token), Err(Errno::EPIPE));
    assert_eq!(signals.count(), 0, "SIGPIPE was raised");
}

fn options(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let reactor = driver.reactor();
    for switch in [SocketOption::NoDelay, SocketOption::ReuseAddress, SocketOption::ReusePort] {
        for value in [1, 0, 1] {
            reactor.control(ours, Control::Set(switch, value)).expect("setsockopt");
            assert_eq!(reactor.option(ours, switch).expect("getsockopt"), value, "{switch:?}");
        }
    }
    for size in [SocketOption::SendBuffer, SocketOption::ReceiveBuffer] {
        reactor.control(ours, Control::Set(size, 50_000)).expect("setsockopt");
        assert_eq!(reactor.option(ours, size).expect("getsockopt"), 100_000, "{size:?}");
    }
}

fn address_in_use(env: &Env) {
    let mut driver = Driver::new(env);
    let (_listener, address) = driver.listener(1);
    let socket = driver.socket();
    let error = driver.control(socket, Control::Bind(&SockAddr::from(address))).expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

fn addresses(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, peer) in driver.pairs() {
        assert_eq!(driver.address(ours, End::Local).expect("getsockname"), peer.remote().expect("connected"));
        assert_eq!(driver.address(ours, End::Peer).expect("getpeername"), peer.local());
    }
    let fresh = driver.socket();
    let error = driver.address(fresh, End::Peer).expect_err("not connected");
    assert_eq!(error.kind(), ErrorKind::NotConnected);
}

fn no_descriptor_left(env: &Env) {
    let mut driver = Driver::new(env);
    let shortage = Shortage::with_spare(0);
    let error = driver.open(Family::V4, Kind::Stream).expect_err("no descriptor");
    drop(shortage);
    assert_eq!(Errno::from(error), Errno::EMFILE);
}
