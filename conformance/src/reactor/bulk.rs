//! More at once than any queue holds.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::thread;

use runtime_core::reactor::Wait;

use super::Env;
use super::loopback::{accepted, reset};
use crate::driver::Driver;
use crate::pattern::{Dice, Pattern};

trials![
    thousands_staged_in_one_turn,
    thousands_of_results_in_one_turn,
    five_hundred_echoes,
    five_hundred_ends,
    come_and_go,
];

const MANY: usize = 2_000;

fn thousands_staged_in_one_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let (mut receives, mut closes) = (Vec::new(), Vec::new());
    let duplicates: Vec<_> = (0..MANY).map(|_| ours.try_clone().expect("dup")).collect();
    for duplicate in &duplicates {
        receives.push(driver.receive(duplicate));
    }
    driver.turn(Wait::No);
    for (&receive, duplicate) in receives.iter().zip(duplicates) {
        driver.cancel(receive);
        closes.push(driver.close(duplicate));
    }
    driver.turn(Wait::No);
    let mut waiting: HashMap<_, _> = receives.into_iter().map(|token| (token, Err(Errno::ECANCELED))).collect();
    waiting.extend(closes.into_iter().map(|token| (token, 0)));
    driver.run_until(|inbox| inbox.len() == 2 * MANY);
    for completion in driver.take_all() {
        assert_eq!(waiting.remove(&completion.token), Some(completion.result), "{completion:?}");
    }
}

fn thousands_of_results_in_one_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let duplicates: Vec<_> = (0..MANY).map(|_| ours.try_clone().expect("dup")).collect();
    let tokens: Vec<_> = duplicates.iter().map(|duplicate| driver.writable(duplicate)).collect();
    driver.run_until(|inbox| inbox.len() == MANY);
    let order: Vec<_> = driver.take_all().into_iter().map(|completion| completion.token).collect();
    assert!(order == tokens, "immediate results come in the order of staging");
}

fn five_hundred_echoes(env: &Env) {
    const ROUNDS: usize = 8;
    let mut driver = Driver::new(env);
    let mut dice = Dice::new();
    let pairs: Vec<_> = (0..500).map(|_| driver.pair()).collect();
    let streams: HashMap<_, _> =
        pairs.iter().enumerate().map(|(index, (ours, _))| (driver.receive(ours), index)).collect();
    let mut patterns: Vec<_> =
        (0..pairs.len() as u64).map(|stream| [(); 3].map(|()| Pattern::new(stream))).collect();
    for _ in 0..ROUNDS {
        let mut lens = Vec::new();
        for ((_, peer), [sent, ..]) in pairs.iter().zip(&mut patterns) {
            let piece = sent.take(dice.roll(3_000));
            (&*peer).write_all(&piece).expect("the peer writes");
            lens.push(piece.len());
        }
        let mut missing: usize = lens.iter().sum();
        while missing > 0 {
            driver.run_until(|inbox| !inbox.is_empty());
            for completion in driver.take_all() {
                let index = streams[&completion.token];
                let chunk = completion.data.expect("data");
                patterns[index][1].expect(&chunk);
                missing -= chunk.len();
                let sent = driver.reactor().send(pairs[index].0.as_fd(), &chunk).expect("send");
                assert_eq!(sent, chunk.len(), "a few bytes always fit");
            }
        }
        for (((_, peer), [.., back]), len) in pairs.iter().zip(&mut patterns).zip(lens) {
            let mut arrived = vec![0; len];
            (&*peer).read_exact(&mut arrived).expect("the peer reads");
            back.expect(&arrived);
        }
    }
}

fn five_hundred_ends(env: &Env) {
    let mut driver = Driver::new(env);
    let mut waiting = HashMap::new();
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for index in 0..500 {
        let (socket, peer) = driver.pair();
        let abort = index % 3 == 0;
        let end = if abort { Err(Errno::ECONNRESET) } else { 0 };
        waiting.insert(driver.receive(socket), VecDeque::from([3, end]));
        ours.push(socket);
        peers.push((peer, abort));
    }
    driver.turn(Wait::No);
    for (mut peer, abort) in peers {
        peer.write_all(b"bye").expect("the peer writes");
        if abort { peer.reset() } else { drop(peer) }
    }
    while !waiting.is_empty() {
        driver.run_until(|inbox| !inbox.is_empty());
        for completion in driver.take_all() {
            let results = waiting.get_mut(&completion.token).expect("has not ended");
            assert_eq!(results.pop_front(), Some(completion.result));
            if !completion.more {
                assert!(waiting.remove(&completion.token).is_some_and(|rest| rest.is_empty()));
            }
        }
    }
}

/// Each slot and each descriptor has many users, one after the other.
fn come_and_go(env: &Env) {
    const THREADS: usize = 4;
    const EACH: usize = 250;
    let mut driver = Driver::with_pool(env, 8, 16);
    let (listener, address) = driver.listener(16);
    // What the scope owns goes with it if it panics, and the other threads do not wait for ever.
    thread::scope(move |scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for connection in 0..EACH {
                    let stream = (thread * EACH + connection) as u64;
                    let mut peer = driver.world().connect(address).expect("connect");
                    peer.write_all(&Pattern::new(stream).take(100)).expect("the peer writes");
                    peer.shutdown(Shutdown::Write).expect("shutdown");
                    let mut back = Vec::new();
                    peer.read_to_end(&mut back).expect("the peer reads");
                    Pattern::new(stream).expect(&back);
                    assert_eq!(back.len(), 100);
                }
            });
        }
        let accepting = driver.accept(listener);
        let (mut open, mut served) = (HashMap::new(), 0);
        while served < THREADS * EACH {
            driver.run_until(|inbox| !inbox.is_empty());
            for completion in driver.take_all() {
                if completion.token == accepting {
                    let ours = accepted(completion);
                    open.insert(driver.receive(ours), ours);
                } else if let Some(chunk) = completion.data {
                    let ours = &open[&completion.token];
                    assert_eq!(driver.attempt(ours, &chunk).expect("send"), chunk.len());
                } else if let Some(ours) = open.remove(&completion.token) {
                    assert_eq!(completion.result, 0);
                    driver.close(ours);
                } else {
                    assert_eq!(completion.result, 0, "close");
                    served += 1;
                }
            }
        }
    });
}
