//! Waiting for room to write.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use runtime_core::op::Control;
use runtime_core::reactor::Wait;

use super::loopback::expect_refused;
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, count};
use crate::world::Peer;

trials![
    at_once_on_a_fresh_connection,
    waits_for_room,
    room_made_before_it_is_staged,
    peer_resets,
    peer_closes,
    after_our_shutdown,
    cancelled,
    a_second_one_is_refused,
    beside_a_receive,
    apart_from_a_receive,
    beside_a_half_closed_stream,
];

const QUIET: Duration = Duration::from_millis(20);

fn at_once_on_a_fresh_connection(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    for _ in 0..3 {
        let token = driver.writable(ours);
        driver.turn(Wait::No);
        assert_eq!(count(&driver.try_next(token).expect("in the same turn")), DONE);
    }
    driver.expect_quiet(QUIET);
}

fn waits_for_room(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, mut peer) in driver.pairs() {
        for _ in 0..3 {
            let sent = driver.fill(ours);
            let token = driver.writable(ours);
            driver.expect_quiet(QUIET);
            drain(&mut *peer, sent);
            assert_eq!(driver.end(token), DONE);
            driver.attempt(ours, b"room").expect("send");
            drain(&mut *peer, 4);
        }
        driver.expect_quiet(QUIET);
    }
}

fn room_made_before_it_is_staged(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = driver.fill(ours);
    // Watched, so that the edge comes while nobody waits for it.
    let token = driver.writable(ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);
    drain(&mut *peer, sent);
    driver.turn(Wait::No);
    let token = driver.writable(ours);
    assert_eq!(driver.end(token), DONE);
}

fn peer_resets(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    driver.fill(ours);
    let token = driver.writable(ours);
    driver.turn(Wait::No);
    peer.reset();
    assert_eq!(driver.end(token), DONE, "the attempt says what happened");
    let error = driver.attempt(ours, b"more").expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let again = driver.writable(ours);
    assert_eq!(driver.end(again), DONE);
}

fn peer_closes(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    driver.fill(ours);
    let token = driver.writable(ours);
    driver.turn(Wait::No);
    // With unread bytes: a reset.
    drop(peer);
    assert_eq!(driver.end(token), DONE);
}

fn after_our_shutdown(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    driver.control(ours, Control::Shutdown(Shutdown::Write)).expect("shutdown");
    let token = driver.writable(ours);
    assert_eq!(driver.end(token), DONE);
    let error = driver.attempt(ours, b"more").expect_err("shut down");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

fn cancelled(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = driver.fill(ours);
    let token = driver.writable(ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);
    drain(&mut *peer, sent);
    driver.expect_quiet(QUIET);
}

fn a_second_one_is_refused(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = driver.fill(ours);
    let (first, second) = (driver.writable(ours), driver.writable(ours));
    expect_refused(env, &mut driver, "writable::a_second_one_is_refused", second);
    drain(&mut *peer, sent);
    assert_eq!(driver.end(first), DONE);
}

fn beside_a_receive(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, mut peer) in driver.pairs() {
        let receiving = driver.receive(ours);
        driver.turn(Wait::No);
        let sent = driver.fill(ours);
        let writable = driver.writable(ours);
        driver.turn(Wait::No);
        peer.write_all(b"one").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 3), b"one");
        driver.expect_quiet(QUIET);
        drain(&mut *peer, sent);
        assert_eq!(driver.end(writable), DONE);
        // There is room from now on, which nobody waits for.
        driver.expect_quiet(QUIET);
        peer.write_all(b"two").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 3), b"two");
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), CANCELED);
    }
}

/// Each goes on when the other is cancelled.
fn apart_from_a_receive(env: &Env) {
    let mut driver = Driver::new(env);
    for (ours, mut peer) in driver.pairs() {
        driver.fill(ours);
        let (receiving, writable) = (driver.receive(ours), driver.writable(ours));
        driver.turn(Wait::No);
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), CANCELED);
        peer.write_all(b"for the next").expect("the peer writes");
        driver.expect_quiet(QUIET);
        let receiving = driver.receive(ours);
        assert_eq!(driver.receive_exact(receiving, 12), b"for the next");
        driver.cancel(writable);
        assert_eq!(driver.end(writable), CANCELED);
        peer.write_all(b"more").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 4), b"more");
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), CANCELED);
    }
}

fn beside_a_half_closed_stream(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    let sent = driver.fill(ours);
    let writable = driver.writable(ours);
    driver.turn(Wait::No);
    peer.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(driver.end(receiving), DONE);
    // The other half is open: neither room nor a hang-up.
    driver.expect_quiet(QUIET);
    drain(&mut *peer, sent);
    assert_eq!(driver.end(writable), DONE);
    driver.attempt(ours, b"still").expect("send");
}

fn drain(peer: &mut dyn Peer, len: usize) {
    peer.read_exact(&mut vec![0; len]).expect("the peer reads");
}
