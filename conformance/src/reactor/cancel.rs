//! Cancelling: a request, never lost, that loses nothing. The target's terminal completion says what happened.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use runtime_core::op::Token;
use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, RESET};
use crate::pattern::{Dice, Pattern};

trials![
    idle,
    in_the_same_batch,
    unknown,
    finished,
    twice,
    of_a_slot_in_its_next_use,
    raced_with_data,
    raced_with_data_of_another_thread: Threads,
    raced_with_the_end,
    receive_cancel_receive,
    receive_cancel_receive_with_data,
];

const ROUNDS: usize = 1_000;

fn idle(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);
    peer.write_all(b"later").expect("the peer writes");
    driver.expect_quiet(Duration::from_millis(20));
    let token = driver.receive(ours);
    assert_eq!(driver.receive_exact(token, 5), b"later");
}

fn in_the_same_batch(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);
    driver.expect_alive(ours, &mut *peer);
}

fn unknown(env: &Env) {
    let mut driver = Driver::new(env);
    driver.cancel(Token::new(12_345, 6));
    driver.turn(Wait::No);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    driver.cancel(Token::new(token.slot() as u32, token.generation() + 1));
    driver.turn(Wait::No);
    driver.expect_quiet(Duration::from_millis(20));
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(token, 5), b"hello");
}

fn finished(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, peer) = driver.pair();
    let token = driver.receive(ours);
    drop(peer);
    assert_eq!(driver.end(token), DONE);
    driver.cancel(token);
    driver.expect_quiet(Duration::from_millis(20));
}

fn twice(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    for apart in [false, true] {
        let token = driver.receive(ours);
        driver.turn(Wait::No);
        driver.cancel(token);
        if apart {
            driver.turn(Wait::No);
        }
        driver.cancel(token);
        assert_eq!(driver.end(token), CANCELED);
    }
    driver.expect_quiet(Duration::from_millis(20));
    driver.expect_alive(ours, &mut *peer);
}

fn of_a_slot_in_its_next_use(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let old = driver.receive(ours);
    driver.turn(Wait::No);
    driver.cancel(old);
    assert_eq!(driver.end(old), CANCELED);
    let new = driver.receive(ours);
    assert_eq!((new.slot(), new.generation()), (old.slot(), old.generation() + 1));
    driver.cancel(old);
    driver.turn(Wait::No);
    driver.cancel(old);
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(new, 5), b"hello");
}

fn raced_with_data(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let (mut sent, mut seen, mut dice) = (Pattern::default(), Pattern::default(), Dice::new());
    let mut missing = 0;
    for _ in 0..ROUNDS {
        let token = driver.receive(ours);
        driver.turn(Wait::No);
        let piece = sent.take(dice.roll(100));
        peer.write_all(&piece).expect("the peer writes");
        missing += piece.len();
        driver.cancel(token);
        let (bytes, end) = driver.receive_to_end(token);
        assert_eq!(end, CANCELED);
        seen.expect(&bytes);
        missing -= bytes.len();
    }
    let token = driver.receive(ours);
    seen.expect(&driver.receive_exact(token, missing));
}

fn raced_with_data_of_another_thread(env: &Env) {
    // More than the cancels let pass. Without them, it comes to an end, and the trial fails.
    const MOST: usize = 100_000_000;
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.std_pair();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let (mut sent, mut dice, mut count) = (Pattern::default(), Dice::new(), 0);
            while !stop.load(Ordering::Relaxed) && count < MOST {
                let piece = sent.take(dice.roll(100));
                peer.write_all(&piece).expect("the peer writes");
                count += piece.len();
            }
            count
        }
    });
    let (mut seen, mut count) = (Pattern::default(), 0);
    for round in 0..ROUNDS {
        let token = driver.receive(ours);
        // At any moment in the life of the operation.
        for _ in 0..round % 3 {
            driver.turn(Wait::No);
        }
        driver.cancel(token);
        let (bytes, end) = driver.receive_to_end(token);
        assert_eq!(end, CANCELED);
        seen.expect(&bytes);
        count += bytes.len();
    }
    stop.store(true, Ordering::Relaxed);
    let token = driver.receive(ours);
    let (bytes, end) = driver.receive_to_end(token);
    seen.expect(&bytes);
    assert_eq!((count + bytes.len(), end), (writer.join().expect("no panic"), DONE));
}

fn raced_with_the_end(env: &Env) {
    let mut driver = Driver::new(env);
    for round in 0..100 {
        let (ours, peer) = driver.pair();
        let token = driver.receive(ours);
        driver.turn(Wait::No);
        let end = if round % 2 == 0 { DONE } else { RESET };
        if end == DONE {
            drop(peer)
        } else {
            peer.reset()
        }
        driver.cancel(token);
        match driver.end(token) {
            CANCELED => {
                let token = driver.receive(ours);
                assert_eq!(driver.end(token), end, "the end is still there");
            }
            result => assert_eq!(result, end),
        }
    }
}

fn receive_cancel_receive(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    for armed_before in [false, true] {
        let first = driver.receive(ours);
        if armed_before {
            driver.turn(Wait::No);
        }
        driver.cancel(first);
        let second = driver.receive(ours);
        assert_eq!(driver.end(first), CANCELED);
        driver.expect_quiet(Duration::from_millis(20));
        peer.write_all(b"for the second").expect("the peer writes");
        assert_eq!(driver.receive_exact(second, 14), b"for the second");
        driver.cancel(second);
        assert_eq!(driver.end(second), CANCELED);
    }
}

fn receive_cancel_receive_with_data(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let (mut sent, mut seen) = (Pattern::default(), Pattern::default());
    for _ in 0..100 {
        peer.write_all(&sent.take(64)).expect("the peer writes");
        let first = driver.receive(ours);
        driver.cancel(first);
        let second = driver.receive(ours);
        // The first may have taken a part, and what it took comes first.
        let (early, _) = driver.receive_to_end(first);
        seen.expect(&early);
        seen.expect(&driver.receive_exact(second, 64 - early.len()));
        driver.cancel(second);
        assert_eq!(driver.end(second), CANCELED);
    }
}
