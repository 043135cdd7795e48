//! More at once than any queue holds.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use runtime_core::op::{Fd, Token};
use runtime_core::reactor::Wait;

use super::loopback::{bytes, fd_of, read_what_is_there};
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver, RESET, count};
use crate::pattern::{Dice, Pattern};
use crate::world::Peer;

trials![
    thousands_staged_in_one_turn,
    thousands_of_results_in_one_turn,
    thousands_of_duplicates: Descriptors,
    five_hundred_echoes,
    five_hundred_ends,
    come_and_go,
    come_and_go_from_other_threads: Threads,
];

const MANY: usize = 2_000;

fn thousands_staged_in_one_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let listeners: Vec<_> = (0..MANY).map(|_| driver.listener(1).0).collect();
    expect_all_to_end(&mut driver, &listeners, Driver::accept);
}

/// Of one socket, which each watches for itself.
fn thousands_of_duplicates(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let duplicates: Vec<_> = (0..MANY).map(|_| driver.duplicate(ours)).collect();
    let tokens: Vec<_> = duplicates.iter().map(|&duplicate| driver.writable(duplicate)).collect();
    driver.run_until(|inbox| inbox.len() == MANY);
    let order: Vec<_> = driver.take_all().into_iter().map(|completion| completion.token).collect();
    assert!(order == tokens, "immediate results come in the order of staging");
    expect_all_to_end(&mut driver, &duplicates, Driver::receive);
}

/// Starts what waits on each of `fds`, and cancels and closes all of it.
fn expect_all_to_end(driver: &mut Driver, fds: &[Fd], start: fn(&mut Driver, Fd) -> Token) {
    let waiting: Vec<_> = fds.iter().map(|&fd| start(driver, fd)).collect();
    driver.turn(Wait::No);
    let mut ends = HashMap::new();
    for (&token, &fd) in waiting.iter().zip(fds) {
        driver.cancel(token);
        ends.insert(token, CANCELED);
        ends.insert(driver.close(fd), DONE);
    }
    driver.turn(Wait::No);
    driver.run_until(|inbox| inbox.len() == 2 * fds.len());
    for completion in driver.take_all() {
        assert_eq!(ends.remove(&completion.token), Some(count(&completion)), "{completion:?}");
    }
}

fn thousands_of_results_in_one_turn(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sockets: Vec<_> = (0..MANY).map(|_| driver.socket()).collect();
    let closes: Vec<_> = sockets.into_iter().map(|socket| driver.close(socket)).collect();
    let sends: Vec<_> = (0..MANY).map(|_| driver.send(ours, b"!")).collect();
    driver.turn(Wait::Forever);
    let order: Vec<_> = driver.take_all().into_iter().map(|completion| completion.token).collect();
    assert!(order == [closes, sends].concat(), "immediate results come in the order of staging");
    peer.read_exact(&mut [0; MANY]).expect("the peer reads");
}

fn five_hundred_echoes(env: &Env) {
    const ROUNDS: usize = 8;
    let mut driver = Driver::new(env);
    let mut dice = Dice::new();
    let mut pairs: Vec<_> = (0..500).map(|_| driver.pair()).collect();
    let streams: HashMap<_, _> =
        pairs.iter().enumerate().map(|(index, &(ours, _))| (driver.receive(ours), index)).collect();
    let mut patterns: Vec<_> =
        (0..pairs.len() as u64).map(|stream| [(); 3].map(|()| Pattern::new(stream))).collect();
    for _ in 0..ROUNDS {
        let mut lens = Vec::new();
        for ((_, peer), [sent, ..]) in pairs.iter_mut().zip(&mut patterns) {
            let piece = sent.take(dice.roll(3_000));
            peer.write_all(&piece).expect("the peer writes");
            lens.push(piece.len());
        }
        let mut missing: usize = lens.iter().sum();
        while missing > 0 {
            driver.run_until(|inbox| !inbox.is_empty());
            for completion in driver.take_all() {
                let index = streams[&completion.token];
                let chunk = bytes(completion);
                patterns[index][1].expect(&chunk);
                missing -= chunk.len();
                let sent = driver.attempt(pairs[index].0, &chunk).expect("send");
                assert_eq!(sent, chunk.len(), "a few bytes always fit");
            }
        }
        for (((_, peer), [.., back]), len) in pairs.iter_mut().zip(&mut patterns).zip(lens) {
            let mut arrived = vec![0; len];
            peer.read_exact(&mut arrived).expect("the peer reads");
            back.expect(&arrived);
        }
    }
}

fn five_hundred_ends(env: &Env) {
    let mut driver = Driver::new(env);
    let (mut waiting, mut peers) = (HashMap::new(), Vec::new());
    for index in 0..500 {
        let (ours, peer) = driver.pair();
        let end = if index % 3 == 0 { RESET } else { DONE };
        waiting.insert(driver.receive(ours), VecDeque::from([Ok(3), end]));
        peers.push((peer, end));
    }
    driver.turn(Wait::No);
    for (mut peer, end) in peers {
        peer.write_all(b"bye").expect("the peer writes");
        if end == RESET { peer.reset() } else { drop(peer) }
    }
    while !waiting.is_empty() {
        driver.run_until(|inbox| !inbox.is_empty());
        for completion in driver.take_all() {
            let results = waiting.get_mut(&completion.token).expect("has not ended");
            assert_eq!(results.pop_front(), Some(count(&completion)));
            if !completion.more {
                assert!(waiting.remove(&completion.token).is_some_and(|rest| rest.is_empty()));
            }
        }
    }
}

/// Each slot and each descriptor has many users, one after the other.
fn come_and_go(env: &Env) {
    const CLIENTS: u64 = 1_000;
    const AT_ONCE: usize = 12;
    let world = env.world();
    let mut driver = Driver::with_pool(env, 8, 16);
    let (listener, address) = driver.listener(AT_ONCE as i32);
    let mut coming = 0..CLIENTS;
    let mut clients = Vec::new();
    serve(&mut driver, listener, CLIENTS as usize, move || {
        while clients.len() < AT_ONCE
            && let Some(stream) = coming.next()
        {
            let mut peer = world.connect(address).expect("connect");
            peer.write_all(&Pattern::new(stream).take(100)).expect("the peer writes");
            peer.shutdown(Shutdown::Write).expect("shutdown");
            clients.push(Client { peer, stream, back: Vec::new() });
        }
        clients.retain_mut(|client| !client.is_served());
    });
}

/// As many connections as possible are on their way at once.
fn come_and_go_from_other_threads(env: &Env) {
    const THREADS: u64 = 4;
    const EACH: u64 = 250;
    let mut driver = Driver::with_pool(env, 8, 16);
    let (listener, address) = driver.listener(16);
    // What the scope owns goes with it if it panics, and the other threads do not wait for ever.
    thread::scope(move |scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for stream in thread * EACH..(thread + 1) * EACH {
                    let mut peer = TcpStream::connect(address).expect("connect");
                    peer.write_all(&Pattern::new(stream).take(100)).expect("the peer writes");
                    peer.shutdown(Shutdown::Write).expect("shutdown");
                    let mut back = Vec::new();
                    peer.read_to_end(&mut back).expect("the peer reads");
                    Pattern::new(stream).expect(&back);
                    assert_eq!(back.len(), 100);
                }
            });
        }
        serve(&mut driver, listener, (THREADS * EACH) as usize, || ());
    });
}

/// Sends back what comes, until so many connections have ended. Lets the clients go on in between.
fn serve(driver: &mut Driver, listener: Fd, connections: usize, mut clients: impl FnMut()) {
    let accepting = driver.accept(listener);
    let (mut open, mut served) = (HashMap::new(), 0);
    while served < connections {
        clients();
        let moment = driver.now().saturating_add(Duration::from_millis(1));
        driver.turn(Wait::Until(moment));
        for completion in driver.take_all() {
            if completion.token == accepting {
                let ours = fd_of(completion);
                open.insert(driver.receive(ours), ours);
            } else if let Some(chunk) = completion.data {
                let ours = open[&completion.token];
                assert_eq!(driver.attempt(ours, &chunk).expect("send"), chunk.len());
            } else if let Some(ours) = open.remove(&completion.token) {
                assert_eq!(count(&completion), DONE);
                driver.close(ours);
            } else {
                assert_eq!(count(&completion), DONE, "close");
                served += 1;
            }
        }
    }
}

struct Client {
    peer: Box<dyn Peer>,
    stream: u64,
    back: Vec<u8>,
}

impl Client {
    /// Whether all has come back, and then the end.
    fn is_served(&mut self) -> bool {
        let has_ended = read_what_is_there(&mut *self.peer, &mut self.back);
        if has_ended {
            Pattern::new(self.stream).expect(&self.back);
            assert_eq!(self.back.len(), 100);
        }
        has_ended
    }
}
