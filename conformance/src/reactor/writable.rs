//! Waiting for room to write.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use runtime_core::op::Control;
use runtime_core::reactor::Wait;

use super::MakeReactor;
use super::loopback::{fill, reset};
use crate::driver::Driver;

super::trials![
    at_once_on_a_fresh_connection,
    waits_for_room,
    room_made_before_it_is_staged,
    peer_resets,
    peer_closes,
    after_our_shutdown,
    cancelled,
    beside_a_receive,
    apart_from_a_receive,
    beside_a_half_closed_stream,
];

const QUIET: Duration = Duration::from_millis(20);

fn at_once_on_a_fresh_connection(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, _peer) = driver.pair();
    for _ in 0..3 {
        let token = driver.writable(&ours);
        driver.turn(Wait::No);
        assert_eq!(driver.try_next(token).expect("in the same turn").result, 0);
    }
    driver.expect_quiet(QUIET);
}

fn waits_for_room(make: MakeReactor) {
    let mut driver = Driver::new(make);
    for (ours, peer) in [driver.pair(), driver.adopted_pair()] {
        for _ in 0..3 {
            let sent = fill(&mut driver, &ours);
            let token = driver.writable(&ours);
            driver.expect_quiet(QUIET);
            drain(&peer, sent);
            assert_eq!(driver.end(token), 0);
            driver.reactor().send(ours.as_fd(), b"room").expect("send");
            drain(&peer, 4);
        }
        driver.expect_quiet(QUIET);
    }
}

fn room_made_before_it_is_staged(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, peer) = driver.pair();
    let sent = fill(&mut driver, &ours);
    // Watched, so that the edge comes while nobody waits for it.
    let token = driver.writable(&ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), -libc::ECANCELED);
    drain(&peer, sent);
    driver.turn(Wait::No);
    let token = driver.writable(&ours);
    assert_eq!(driver.end(token), 0);
}

fn peer_resets(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, peer) = driver.pair();
    fill(&mut driver, &ours);
    let token = driver.writable(&ours);
    driver.turn(Wait::No);
    reset(peer);
    assert_eq!(driver.end(token), 0, "the attempt says what happened");
    let error = driver.reactor().send(ours.as_fd(), b"more").expect_err("reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let again = driver.writable(&ours);
    assert_eq!(driver.end(again), 0);
}

fn peer_closes(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, peer) = driver.pair();
    fill(&mut driver, &ours);
    let token = driver.writable(&ours);
    driver.turn(Wait::No);
    // With unread bytes: a reset.
    drop(peer);
    assert_eq!(driver.end(token), 0);
}

fn after_our_shutdown(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, _peer) = driver.pair();
    driver.reactor().control(ours.as_fd(), Control::Shutdown(Shutdown::Write)).expect("shutdown");
    let token = driver.writable(&ours);
    assert_eq!(driver.end(token), 0);
    let error = driver.reactor().send(ours.as_fd(), b"more").expect_err("shut down");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

fn cancelled(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, peer) = driver.pair();
    let sent = fill(&mut driver, &ours);
    let token = driver.writable(&ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), -libc::ECANCELED);
    drain(&peer, sent);
    driver.expect_quiet(QUIET);
}

fn beside_a_receive(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (opened, adopted) = (driver.pair(), driver.adopted_pair());
    for (ours, mut peer) in [opened, adopted] {
        let receiving = driver.receive(&ours);
        driver.turn(Wait::No);
        let sent = fill(&mut driver, &ours);
        let writable = driver.writable(&ours);
        driver.turn(Wait::No);
        peer.write_all(b"one").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 3), b"one");
        driver.expect_quiet(QUIET);
        drain(&peer, sent);
        assert_eq!(driver.end(writable), 0);
        // There is room from now on, which nobody waits for.
        driver.expect_quiet(QUIET);
        peer.write_all(b"two").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 3), b"two");
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), -libc::ECANCELED);
    }
}

/// Each goes on when the other is cancelled.
fn apart_from_a_receive(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (opened, adopted) = (driver.pair(), driver.adopted_pair());
    for (ours, mut peer) in [opened, adopted] {
        fill(&mut driver, &ours);
        let (receiving, writable) = (driver.receive(&ours), driver.writable(&ours));
        driver.turn(Wait::No);
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), -libc::ECANCELED);
        peer.write_all(b"for the next").expect("the peer writes");
        driver.expect_quiet(QUIET);
        let receiving = driver.receive(&ours);
        assert_eq!(driver.receive_exact(receiving, 12), b"for the next");
        driver.cancel(writable);
        assert_eq!(driver.end(writable), -libc::ECANCELED);
        peer.write_all(b"more").expect("the peer writes");
        assert_eq!(driver.receive_exact(receiving, 4), b"more");
        driver.cancel(receiving);
        assert_eq!(driver.end(receiving), -libc::ECANCELED);
    }
}

fn beside_a_half_closed_stream(make: MakeReactor) {
    let mut driver = Driver::new(make);
    let (ours, peer) = driver.pair();
    let receiving = driver.receive(&ours);
    driver.turn(Wait::No);
    let sent = fill(&mut driver, &ours);
    let writable = driver.writable(&ours);
    driver.turn(Wait::No);
    peer.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(driver.end(receiving), 0);
    // The other half is open: neither room nor a hang-up.
    driver.expect_quiet(QUIET);
    drain(&peer, sent);
    assert_eq!(driver.end(writable), 0);
    driver.reactor().send(ours.as_fd(), b"still").expect("send");
}

fn drain(mut peer: &TcpStream, len: usize) {
    peer.read_exact(&mut vec![0; len]).expect("the peer reads");
}
