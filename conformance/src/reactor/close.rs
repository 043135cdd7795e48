//! Closing: at once as the peer sees it, and the number is free for whoever comes next.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use runtime_core::reactor::Wait;

use super::Env;
use crate::driver::Driver;
use crate::machine;

trials![
    ends_the_stream_at_once,
    ends_the_stream_after_a_cancel_of_a_former_turn,
    many_at_once,
    with_unread_data_resets,
    all_that_was_sent_arrives,
    number_in_its_next_use,
    duplicate_stays_open,
    duplicate_stays_open_and_the_number_is_reused,
    duplicates_are_independent,
];

/// For what the kernel does in microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

fn ends_the_stream_at_once(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(receiving);
    let close = driver.close(ours);
    assert_eq!((driver.end(receiving), driver.end(close)), (Err(Errno::ECANCELED), 0));
    assert!(machine::readable(&peer, PATIENCE), "the end has come without another turn");
    assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
}

fn ends_the_stream_after_a_cancel_of_a_former_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(receiving);
    driver.turn(Wait::No);
    let close = driver.close(ours);
    assert_eq!((driver.end(close), driver.end(receiving)), (0, Err(Errno::ECANCELED)));
    assert!(machine::readable(&peer, PATIENCE), "the end has come without another turn");
    assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
}

fn many_at_once(env: &Env) {
    let mut driver = Driver::new(env);
    let mut peers = Vec::new();
    let mut operations = Vec::new();
    for _ in 0..100 {
        let (ours, peer) = driver.pair();
        operations.push((driver.receive(ours), ours));
        peers.push(peer);
    }
    driver.turn(Wait::No);
    let mut tokens = Vec::new();
    for (receiving, ours) in operations {
        driver.cancel(receiving);
        tokens.push((receiving, driver.close(ours)));
    }
    for (receiving, close) in tokens {
        assert_eq!((driver.end(receiving), driver.end(close)), (Err(Errno::ECANCELED), 0));
    }
    for mut peer in peers {
        assert!(machine::readable(&peer, PATIENCE), "the end has come without another turn");
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
    }
}

fn with_unread_data_resets(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"never read").expect("the peer writes");
    let close = driver.close(ours);
    assert_eq!(driver.end(close), Ok(0));
    assert!(machine::readable(&peer, PATIENCE), "the reset has come without another turn");
    assert_eq!(peer.read(&mut [0; 8]).expect_err("reset").kind(), ErrorKind::ConnectionReset);
}

fn all_that_was_sent_arrives(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = vec![42; driver.attempt(ours, &[42; 100_000]).expect("send")];
    let close = driver.close(ours);
    assert_eq!(driver.end(close), Ok(0));
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).expect("the peer reads");
    assert_eq!(arrived.len(), sent.len());
}

fn number_in_its_next_use(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..50 {
        let (old, mut old_peer) = driver.pair();
        let (new, mut new_peer) = driver.pair();
        let number = old.as_raw_fd();
        let old_token = driver.receive(old);
        driver.turn(Wait::No);
        driver.cancel(old_token);
        let close = driver.close(old);
        // As soon as the close has ended, whatever else has.
        assert_eq!(driver.end(close), Ok(0));
        let new = machine::clone_as(new, number);
        driver.reactor().adopt(new.as_fd()).expect("adopt");
        new_peer.write_all(b"new").expect("the peer writes");
        // Nobody is there to read it. Whether that fails depends on how far the close has come.
        let _ = old_peer.write_all(b"old");
        let new_token = driver.receive(new);
        assert_eq!(driver.receive_exact(new_token, 3), b"new");
        assert_eq!(driver.receive_to_end(old_token), (Vec::new(), Err(Errno::ECANCELED)));
        driver.cancel(new_token);
        assert_eq!(driver.end(new_token), Err(Errno::ECANCELED));
    }
}

/// epoll(7), questions and answers: a descriptor is watched until the last duplicate is closed.
fn duplicate_stays_open(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let duplicate = ours.try_clone().expect("dup");
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    let close = driver.close(ours);
    assert_eq!((driver.end(token), driver.end(close)), (Err(Errno::ECANCELED), 0));
    let wakes_before = driver.empty_wakes();
    for _ in 0..50 {
        peer.write_all(b"hello").expect("the peer writes");
        driver.expect_quiet(Duration::from_millis(1));
    }
    let wakes = driver.empty_wakes() - wakes_before;
    assert!(wakes < 10, "{wakes} wakes for what nobody waits for");
    let token = driver.receive(duplicate);
    assert_eq!(driver.receive_exact(token, 250), b"hello".repeat(50));
}

fn duplicate_stays_open_and_the_number_is_reused(env: &Env) {
    let mut driver = Driver::new(env);
    let (old, mut old_peer) = driver.pair();
    let (new, mut new_peer) = driver.pair();
    let duplicate = old.try_clone().expect("dup");
    let number = old.as_raw_fd();
    let old_token = driver.receive(old);
    driver.turn(Wait::No);
    driver.cancel(old_token);
    let close = driver.close(old);
    assert_eq!((driver.end(old_token), driver.end(close)), (Err(Errno::ECANCELED), 0));

    let new = machine::clone_as(new, number);
    driver.reactor().adopt(new.as_fd()).expect("adopt");
    let new_token = driver.receive(new);
    driver.turn(Wait::No);
    old_peer.write_all(b"old").expect("the peer writes");
    driver.expect_quiet(Duration::from_millis(30));
    new_peer.write_all(b"new").expect("the peer writes");
    assert_eq!(driver.receive_exact(new_token, 3), b"new");
    let token = driver.receive(duplicate);
    assert_eq!(driver.receive_exact(token, 3), b"old");
}

fn duplicates_are_independent(env: &Env) {
    let mut driver = Driver::new(env);
    let (reader, mut peer) = driver.pair();
    let writer = reader.try_clone().expect("dup");
    let receiving = driver.receive(reader);
    let writable = driver.writable(writer);
    assert_eq!(driver.end(writable), Ok(0));
    let close = driver.close(writer);
    assert_eq!(driver.end(close), Ok(0));
    driver.expect_quiet(Duration::from_millis(20));
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(receiving, 5), b"hello");
}
