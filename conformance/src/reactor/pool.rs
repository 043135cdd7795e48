//! Receiving through a pool that is too small: nothing is lost or overwritten, nobody spins or starves.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use runtime_core::data::Data;
use runtime_core::reactor::Wait;

use super::loopback::{Feed, bytes};
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, RESET};
use crate::pattern::Pattern;

trials![
    slow_consumer,
    single_chunk,
    as_many_chunks_as_there_can_be,
    empty_pool_parks,
    empty_from_the_start,
    parked_receive_is_cancelled,
    parked_receive_is_closed,
    parked_receive_meets_the_end,
    parked_receives_take_turns,
    more_connections_than_chunks,
    flood_starves_nobody,
];

const QUIET: Duration = Duration::from_millis(50);

/// Chunks are let go one by one, the oldest first, and looked at only then.
fn slow_consumer(env: &Env) {
    const LEN: usize = 200_000;
    let mut driver = Driver::with_pool(env, 5, 1_000);
    let (ours, peer) = driver.pair();
    let mut feed = Feed::new(peer, Pattern::default().take(LEN));
    let token = driver.receive(ours);
    let (mut held, mut expected, mut count) = (VecDeque::<Data>::new(), Pattern::default(), 0);
    loop {
        feed.on();
        if held.len() == 5 {
            expected.expect(&held.pop_front().expect("it holds five"));
        }
        let completion = driver.next(token);
        count += completion.data.as_deref().map_or(0, <[u8]>::len);
        held.extend(completion.data);
        if !completion.more {
            break;
        }
    }
    held.iter().for_each(|chunk| expected.expect(chunk));
    assert_eq!(count, LEN);
}

fn single_chunk(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 1);
    let (ours, mut peer) = driver.pair();
    peer.write_all(&Pattern::default().take(300)).expect("the peer writes");
    drop(peer);
    let token = driver.receive(ours);
    let (bytes, end) = driver.receive_to_end(token);
    Pattern::default().expect(&bytes);
    assert_eq!((bytes.len(), end), (300, DONE));
}

/// More than a buffer ring has entries (2^15).
fn as_many_chunks_as_there_can_be(env: &Env) {
    const LEN: usize = u16::MAX as usize + 1_000;
    let mut driver = Driver::with_pool(env, u16::MAX, 1);
    let (ours, peer) = driver.pair();
    let mut feed = Feed::new(peer, Pattern::default().take(LEN));
    let token = driver.receive(ours);
    let (mut held, mut expected) = (Vec::new(), Pattern::default());
    while held.len() < usize::from(u16::MAX) {
        feed.on();
        driver.run_until(|inbox| !inbox.is_empty());
        held.extend(driver.take_all().into_iter().map(bytes));
    }
    feed.on();
    driver.expect_quiet(QUIET);
    held.drain(..).for_each(|chunk| expected.expect(&chunk));
    feed.on();
    let (rest, end) = driver.receive_to_end(token);
    expected.expect(&rest);
    assert_eq!((rest.len(), end), (1_000, DONE));
}

fn empty_pool_parks(env: &Env) {
    const ROUNDS: usize = 3;
    let mut driver = Driver::with_pool(env, 3, 100);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    let (mut sent, mut expected) = (Pattern::default(), Pattern::default());
    peer.write_all(&sent.take(1_000)).expect("the peer writes");
    let mut held: VecDeque<_> = (0..3).filter_map(|_| driver.next(token).data).collect();
    for _ in 0..ROUNDS {
        driver.expect_quiet(QUIET);
        // An event, with nowhere to put what it is about.
        peer.write_all(&sent.take(100)).expect("the peer writes");
        driver.expect_quiet(QUIET);
        // One chunk back is one chunk more.
        expected.expect(&held.pop_front().expect("it holds three"));
        held.extend(driver.next(token).data);
        assert_eq!(held.len(), 3);
    }
    held.drain(..).for_each(|chunk| expected.expect(&chunk));
    let seen = (3 + ROUNDS) * 100;
    expected.expect(&driver.receive_exact(token, 1_000 + ROUNDS * 100 - seen));
}

/// Chunks also go to others than receives.
fn empty_from_the_start(env: &Env) {
    let mut driver = Driver::with_pool(env, 2, 100);
    let (ours, mut peer) = driver.pair();
    let mut taken: Vec<_> = (0..2).filter_map(|_| driver.pool().take()).collect();
    assert_eq!(taken.len(), 2);
    let token = driver.receive(ours);
    driver.expect_quiet(QUIET);
    peer.write_all(b"hello").expect("the peer writes");
    driver.expect_quiet(QUIET);
    taken.pop();
    assert_eq!(driver.receive_exact(token, 5), b"hello");
    peer.write_all(b"again").expect("the peer writes");
    assert_eq!(driver.receive_exact(token, 5), b"again");
    drop(taken);
}

fn parked_receive_is_cancelled(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 10);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"0123456789abcdef").expect("the peer writes");
    let token = driver.receive(ours);
    let held = bytes(driver.next(token));
    driver.expect_quiet(QUIET);
    driver.cancel(token);
    assert_eq!(driver.end(token), CANCELED);

    let again = driver.receive(ours);
    driver.expect_quiet(QUIET);
    drop(held);
    assert_eq!(driver.receive_exact(again, 6), b"abcdef");
}

fn parked_receive_is_closed(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 10);
    let (ours, mut peer) = driver.pair();
    let (other, mut other_peer) = driver.pair();
    peer.write_all(b"0123456789abcdef").expect("the peer writes");
    let token = driver.receive(ours);
    let held = bytes(driver.next(token));
    driver.turn(Wait::No);
    driver.cancel(token);
    let closed = driver.close(ours);
    assert_eq!((driver.end(token), driver.end(closed)), (CANCELED, DONE));

    // Nothing of it is left to take the chunk that comes back.
    let token = driver.receive(other);
    other_peer.write_all(b"other").expect("the peer writes");
    driver.expect_quiet(QUIET);
    drop(held);
    assert_eq!(driver.receive_exact(token, 5), b"other");
}

fn parked_receive_meets_the_end(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 10);
    for end in [DONE, RESET] {
        let (ours, mut peer) = driver.pair();
        peer.write_all(b"0123456789abcdef").expect("the peer writes");
        let token = driver.receive(ours);
        let held = bytes(driver.next(token));
        driver.expect_quiet(QUIET);
        if end == DONE {
            drop(peer)
        } else {
            peer.reset()
        }
        driver.expect_quiet(QUIET);
        drop(held);
        assert_eq!(driver.receive_to_end(token), (b"abcdef".to_vec(), end));
    }
}

fn parked_receives_take_turns(env: &Env) {
    const EACH: usize = 500;
    let mut driver = Driver::with_pool(env, 2, 20);
    let (mut streams, mut peers) = (Vec::new(), Vec::new());
    for index in 0..10 {
        let (ours, mut peer) = driver.pair();
        peer.write_all(&Pattern::new(index).take(EACH)).expect("the peer writes");
        streams.push((driver.receive(ours), Pattern::new(index), 0));
        peers.push(peer);
    }
    // Held until the next one comes, so that there is never a chunk for everybody.
    let mut held = None;
    while streams.iter().any(|(_, _, count)| *count < EACH) {
        driver.run_until(|inbox| !inbox.is_empty());
        for completion in driver.take_all() {
            let (_, expected, count) =
                streams.iter_mut().find(|(token, ..)| *token == completion.token).expect("one of these");
            let chunk = bytes(completion);
            expected.expect(&chunk);
            *count += chunk.len();
            held = Some(chunk);
        }
    }
    drop(held);
}

fn more_connections_than_chunks(env: &Env) {
    const CLIENTS: usize = 150;
    let mut driver = Driver::with_pool(env, 128, 64);
    let mut pairs: Vec<_> = (0..CLIENTS).map(|_| driver.pair()).collect();
    let mut waiting = Vec::new();
    for (ours, peer) in &mut pairs {
        waiting.push(driver.receive(*ours));
        peer.write_all(b"hello").expect("the peer writes");
    }
    let mut held = VecDeque::new();
    while !waiting.is_empty() {
        if held.len() == 128 {
            driver.expect_quiet(Duration::from_millis(1));
            held.pop_front();
        }
        driver.run_until(|inbox| !inbox.is_empty());
        for completion in driver.take_all() {
            let index = waiting.iter().position(|&token| token == completion.token);
            waiting.swap_remove(index.expect("each once"));
            held.push_back(bytes(completion));
            assert_eq!(**held.back().expect("just pushed"), *b"hello");
        }
    }
}

fn flood_starves_nobody(env: &Env) {
    /// A fair reactor needs a handful; one that serves the flood first never gets there.
    const ENOUGH_TURNS: usize = 100;
    let mut driver = Driver::with_pool(env, 32, 1_024);
    let (flooded, flood) = driver.pair();
    // More than is ever received.
    let mut flood = Feed::new(flood, vec![7; 100_000_000]);
    let mut others: Vec<_> = (0..50).map(|_| driver.pair()).collect();
    let (listener, address) = driver.listener(1);
    let flooding = driver.receive(flooded);
    let mut waiting: Vec<_> = others.iter().map(|&(ours, _)| driver.receive(ours)).collect();
    for _ in 0..50 {
        flood.on();
        driver.next(flooding);
        driver.take_all();
    }

    waiting.push(driver.accept(listener));
    let _client = env.world().connect(address).expect("connect");
    for (_, peer) in &mut others {
        peer.write_all(b"hello").expect("the peer writes");
    }
    let mut turns = 0;
    while !waiting.is_empty() {
        flood.on();
        let deadline = driver.soon();
        driver.turn(Wait::Until(deadline));
        turns += 1;
        for completion in driver.take_all() {
            waiting.retain(|&token| token != completion.token);
        }
        assert!(turns < ENOUGH_TURNS, "{} of 51 still wait after {turns} turns", waiting.len());
    }
    driver.cancel(flooding);
    assert_eq!(driver.receive_to_end(flooding).1, CANCELED);
}
