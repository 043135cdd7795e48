//! Closing: at once as the peer sees it, and the number is free for whoever comes next.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver};
use crate::machine;
use crate::world::kernel;

trials![
    ends_the_stream_at_once,
    ends_the_stream_after_a_cancel_of_a_former_turn,
    ends_what_waits,
    ends_what_was_staged_with_it,
    many_at_once,
    with_unread_data_resets,
    all_that_was_sent_arrives,
    number_in_its_next_use: Descriptors,
    a_shared_descriptor_stays_open: Descriptors,
    duplicate_stays_open: Descriptors,
    duplicate_stays_open_and_the_number_is_reused: Descriptors,
    duplicates_are_independent: Descriptors,
];

fn ends_the_stream_at_once(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(receiving);
    let close = driver.close(ours);
    assert_eq!((driver.end(receiving), driver.end(close)), (CANCELED, DONE));
    assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0, "the end has come without another turn");
}

fn ends_the_stream_after_a_cancel_of_a_former_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let receiving = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(receiving);
    driver.turn(Wait::No);
    let close = driver.close(ours);
    assert_eq!((driver.end(close), driver.end(receiving)), (DONE, CANCELED));
    assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0, "the end has come without another turn");
}

/// Nobody has cancelled it.
fn ends_what_waits(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, _) = driver.listener(1);
    let (ours, mut peer) = driver.pair();
    driver.fill(ours);
    let waiting = [driver.accept(listener), driver.receive(ours), driver.writable(ours)];
    driver.turn(Wait::No);
    let closing = [driver.close(listener), driver.close(ours)];
    assert_eq!(closing.map(|token| driver.end(token)), [DONE; 2]);
    assert_eq!(waiting.map(|token| driver.end(token)), [CANCELED; 3]);
    let end = peer.read_to_end(&mut Vec::new());
    end.expect("all that was sent, and the end");
}

fn ends_what_was_staged_with_it(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, _) = driver.listener(1);
    let (ours, mut peer) = driver.pair();
    let waiting = [driver.accept(listener), driver.receive(ours)];
    let closing = [driver.close(listener), driver.close(ours)];
    assert_eq!(closing.map(|token| driver.end(token)), [DONE; 2]);
    assert_eq!(waiting.map(|token| driver.end(token)), [CANCELED; 2]);
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
        assert_eq!((driver.end(receiving), driver.end(close)), (CANCELED, DONE));
    }
    for mut peer in peers {
        assert_eq!(peer.read(&mut [0; 8]).expect("the peer reads"), 0);
    }
}

fn with_unread_data_resets(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"never read").expect("the peer writes");
    let close = driver.close(ours);
    assert_eq!(driver.end(close), DONE);
    assert_eq!(peer.read(&mut [0; 8]).expect_err("reset").kind(), ErrorKind::ConnectionReset);
}

fn all_that_was_sent_arrives(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = vec![42; driver.attempt(ours, &[42; 100_000]).expect("send")];
    let close = driver.close(ours);
    assert_eq!(driver.end(close), DONE);
    let mut arrived = Vec::new();
    peer.read_to_end(&mut arrived).expect("the peer reads");
    assert_eq!(arrived.len(), sent.len());
}

fn number_in_its_next_use(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..50 {
        let (old, mut old_peer) = driver.pair();
        let (new, mut new_peer) = kernel::connection();
        let old_token = driver.receive(old);
        driver.turn(Wait::No);
        let close = driver.close(old);
        // As soon as the close has ended, whatever else has.
        assert_eq!(driver.end(close), DONE);
        let new = driver.import(machine::clone_as(new.into(), old.number()));
        assert_eq!(new.number(), old.number());
        new_peer.write_all(b"new").expect("the peer writes");
        // Nobody is there to read it. Whether that fails depends on how far the close has come.
        let _ = old_peer.write_all(b"old");
        let new_token = driver.receive(new);
        assert_eq!(driver.receive_exact(new_token, 3), b"new");
        assert_eq!(driver.receive_to_end(old_token), (Vec::new(), CANCELED));
        driver.cancel(new_token);
        assert_eq!(driver.end(new_token), CANCELED);
    }
}

fn a_shared_descriptor_stays_open(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let shared = driver.reactor().share(ours).expect("a second owner");
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    let close = driver.close(ours);
    assert_eq!((driver.end(close), driver.end(token)), (DONE, CANCELED));
    let mut stream = TcpStream::from(shared.try_clone().expect("dup"));
    stream.write_all(b"still here").expect("it is open");
    let mut arrived = [0; 10];
    peer.read_exact(&mut arrived).expect("the peer reads");
    assert_eq!(&arrived, b"still here");
    drop((stream, shared));
    assert_eq!(peer.read(&mut arrived).expect("the peer reads"), 0, "the last owner is gone");
}

/// epoll(7), questions and answers: a descriptor is watched until the last duplicate is closed.
fn duplicate_stays_open(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let duplicate = driver.duplicate(ours);
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    let close = driver.close(ours);
    assert_eq!((driver.end(token), driver.end(close)), (CANCELED, DONE));
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
    let (new, mut new_peer) = kernel::connection();
    let duplicate = driver.duplicate(old);
    let old_token = driver.receive(old);
    driver.turn(Wait::No);
    let close = driver.close(old);
    assert_eq!((driver.end(old_token), driver.end(close)), (CANCELED, DONE));

    let new = driver.import(machine::clone_as(new.into(), old.number()));
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
    let writer = driver.duplicate(reader);
    let receiving = driver.receive(reader);
    let writable = driver.writable(writer);
    assert_eq!(driver.end(writable), DONE);
    let close = driver.close(writer);
    assert_eq!(driver.end(close), DONE);
    driver.expect_quiet(Duration::from_millis(20));
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(receiving, 5), b"hello");
}
