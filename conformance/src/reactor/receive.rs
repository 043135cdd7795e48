//! Receiving: every byte, in order, then how the stream ended.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use runtime_core::errno::Errno;
use runtime_core::op::Control;
use runtime_core::reactor::Wait;
use socket2::SockRef;

use super::loopback::expect_refused;
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, RESET};
use crate::pattern::{Dice, Pattern};

trials![
    pieces,
    larger_than_a_chunk,
    before_it_is_staged,
    wherever_it_comes_from,
    unix: UnixSockets,
    end_of_a_unix_stream: UnixSockets,
    end_after_data,
    end_before_it_is_staged,
    end_twice,
    end_behind_many_chunks,
    reset_after_data,
    reset_before_it_is_staged,
    half_closed_by_the_peer,
    half_closed_by_us,
    shut_for_reading,
    out_of_band: OutOfBand,
    a_second_one_is_refused,
    not_connected,
    not_a_socket: Files,
];

fn pieces(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let (mut sent, mut expected, mut dice) = (Pattern::default(), Pattern::default(), Dice::new());
    let token = driver.receive(ours);
    for _ in 0..200 {
        let piece = sent.take(dice.roll(2_000));
        peer.write_all(&piece).expect("the peer writes");
        expected.expect(&driver.receive_exact(token, piece.len()));
    }
}

fn larger_than_a_chunk(env: &Env) {
    let mut driver = Driver::with_pool(env, 100, 50);
    let (ours, mut peer) = driver.pair();
    peer.write_all(&Pattern::default().take(3_333)).expect("the peer writes");
    let token = driver.receive(ours);
    Pattern::default().expect(&driver.receive_exact(token, 3_333));
}

fn before_it_is_staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"first").expect("the peer writes");
    // An edge that comes before anybody watches must not be missed, nor one that nobody asks about.
    let idle = driver.receive(ours);
    assert_eq!(driver.receive_exact(idle, 5), b"first");
    driver.cancel(idle);
    assert_eq!(driver.end(idle), CANCELED);
    peer.write_all(b"second").expect("the peer writes");
    driver.turn(Wait::No);
    let token = driver.receive(ours);
    assert_eq!(driver.receive_exact(token, 6), b"second");
}

fn wherever_it_comes_from(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, mut peer) in driver.pairs() {
        driver.expect_alive(ours, &mut *peer);
        let token = driver.receive(ours);
        driver.expect_quiet(Duration::from_millis(20));
        drop(peer);
        assert_eq!(driver.end(token), DONE);
    }
}

fn unix(env: &Env) {
    let mut driver = Driver::with_pool(env, 10, 64);
    let (ours, mut peer) = UnixStream::pair().expect("socketpair");
    let ours = driver.import(ours);
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    peer.write_all(&Pattern::default().take(1_000)).expect("the peer writes");
    drop(peer);
    let (bytes, end) = driver.receive_to_end(token);
    Pattern::default().expect(&bytes);
    assert_eq!((bytes.len(), end), (1_000, DONE));
}

/// Whenever it comes: before the data has been received, with it, or after.
fn end_of_a_unix_stream(env: &Env) {
    let mut driver = Driver::new(env);
    for round in 0..60 {
        let (ours, mut peer) = UnixStream::pair().expect("socketpair");
        let ours = driver.import(ours);
        let token = driver.receive(ours);
        if round % 2 == 0 {
            driver.turn(Wait::No);
        }
        peer.write_all(b"bye").expect("the peer writes");
        for _ in 0..round % 3 {
            driver.turn(Wait::No);
        }
        drop(peer);
        assert_eq!(driver.receive_to_end(token), (b"bye".to_vec(), DONE));
    }
}

fn end_after_data(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    peer.write_all(&Pattern::default().take(10_000)).expect("the peer writes");
    drop(peer);
    let (bytes, end) = driver.receive_to_end(token);
    Pattern::default().expect(&bytes);
    assert_eq!((bytes.len(), end), (10_000, DONE));
    driver.expect_quiet(Duration::from_millis(20));
}

fn end_before_it_is_staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    drop(peer);
    let token = driver.receive(ours);
    assert_eq!(driver.end(token), DONE);
}

fn end_twice(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    drop(peer);
    assert_eq!(driver.end(token), DONE);
    let again = driver.receive(ours);
    assert_eq!(driver.end(again), DONE, "the end stays the end");
}

/// An end that lies behind more chunks than a reactor takes at a time (io_uring: 32).
fn end_behind_many_chunks(env: &Env) {
    let mut driver = Driver::with_pool(env, 200, 10);
    for round in 0..8 {
        let (ours, mut peer) = driver.pair();
        let early = (round & 1 == 0).then(|| driver.receive(ours));
        driver.turn(Wait::No);
        peer.write_all(&Pattern::default().take(1_500)).expect("the peer writes");
        if round & 2 == 0 {
            driver.turn(Wait::No);
        }
        let expected_end = if round & 4 == 0 { DONE } else { RESET };
        if expected_end == DONE {
            drop(peer)
        } else {
            peer.reset()
        }
        let token = early.unwrap_or_else(|| driver.receive(ours));
        let (bytes, end) = driver.receive_to_end(token);
        Pattern::default().expect(&bytes);
        assert_eq!((bytes.len(), end), (1_500, expected_end), "round {round}");
    }
}

fn reset_after_data(env: &Env) {
    let mut driver = Driver::new(env);
    for armed in [true, false] {
        let (ours, mut peer) = driver.pair();
        let early = armed.then(|| driver.receive(ours));
        driver.turn(Wait::No);
        peer.write_all(b"hello").expect("the peer writes");
        peer.reset();
        let token = early.unwrap_or_else(|| driver.receive(ours));
        assert_eq!(driver.receive_to_end(token), (b"hello".to_vec(), RESET), "armed: {armed}");
        driver.expect_quiet(Duration::from_millis(5));
        let again = driver.receive(ours);
        assert_eq!(driver.end(again), DONE, "an error is told once");
    }
}

fn reset_before_it_is_staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    peer.reset();
    driver.turn(Wait::No);
    let token = driver.receive(ours);
    assert_eq!(driver.end(token), RESET);
}

fn half_closed_by_the_peer(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    peer.write_all(b"question").expect("the peer writes");
    peer.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(driver.receive_to_end(token), (b"question".to_vec(), DONE));
    driver.expect_quiet(Duration::from_millis(20));

    let writable = driver.writable(ours);
    assert_eq!(driver.end(writable), DONE);
    driver.attempt(ours, b"answer").expect("send");
    let mut answer = [0; 6];
    peer.read_exact(&mut answer).expect("the peer reads");
    assert_eq!(&answer, b"answer");
}

fn half_closed_by_us(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    driver.control(ours, Control::Shutdown(Shutdown::Write)).expect("shutdown");
    assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0, "the end of our half");
    driver.expect_quiet(Duration::from_millis(20));
    peer.write_all(b"still here").expect("the peer writes");
    assert_eq!(driver.receive_exact(token, 10), b"still here");
}

fn shut_for_reading(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    driver.control(ours, Control::Shutdown(Shutdown::Read)).expect("shutdown");
    assert_eq!(driver.end(token), DONE);
}

fn out_of_band(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.std_pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    peer.write_all(b"before").expect("the peer writes");
    SockRef::from(&peer).send_out_of_band(b"!").expect("the urgent byte");
    assert_eq!(driver.receive_exact(token, 6), b"before");
    // Alone it is nothing to receive (tcp(7)), and nothing to wake up for again and again.
    driver.expect_quiet(Duration::from_millis(20));
    peer.write_all(b"after").expect("the peer writes");
    assert_eq!(driver.receive_exact(token, 5), b"after");
    SockRef::from(&peer).send_out_of_band(b"!").expect("the urgent byte");
    drop(peer);
    assert_eq!(driver.receive_to_end(token), (Vec::new(), DONE));
}

/// And the first goes on.
fn a_second_one_is_refused(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    for armed in [false, true] {
        let first = driver.receive(ours);
        if armed {
            driver.turn(Wait::No);
        }
        let second = driver.receive(ours);
        expect_refused(env, &mut driver, "receive::a_second_one_is_refused", second);
        peer.write_all(b"hello").expect("the peer writes");
        assert_eq!(driver.receive_exact(first, 5), b"hello");
        driver.cancel(first);
        assert_eq!(driver.end(first), CANCELED);
    }
}

fn not_connected(env: &Env) {
    let mut driver = Driver::new(env);
    let socket = driver.socket();
    let token = driver.receive(socket);
    assert_eq!(driver.end(token), Err(Errno::ENOTCONN));
}

fn not_a_socket(env: &Env) {
    let mut driver = Driver::new(env);
    let file = OwnedFd::from(std::fs::File::open("/dev/null").expect("/dev/null"));
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    for fd in [file, OwnedFd::from(pipe)] {
        let fd = driver.import(fd);
        let token = driver.receive(fd);
        assert_eq!(driver.end(token), Err(Errno::ENOTSOCK));
    }
}
