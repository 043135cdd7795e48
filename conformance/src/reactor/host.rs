//! A host with a loop of its own: it watches the reactor's descriptor, asks how long it may wait, and takes turns then.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime_core::call::{Call, Job};
use runtime_core::reactor::Wait;

use super::loopback::{Feed, bytes};
use super::{Env, trials};
use crate::driver::{CANCELED, DONE, Driver};
use crate::machine;
use crate::pattern::Pattern;

trials![
    a_chunk_that_comes_back_is_a_reason,
    what_an_export_ended_is_a_reason: Descriptors,
    nothing_to_do_is_no_reason,
    readable_for_data: Descriptors,
    readable_for_a_connection: Descriptors,
    readable_for_room: Descriptors,
    readable_for_an_unpark_of_another_thread: Descriptors,
    readable_for_the_end_of_a_call: Descriptors,
    quiet_when_all_is_told: Descriptors,
    a_transfer,
    a_transfer_through_one_chunk,
    many_connections,
];

/// For what must happen. A host that waits this long waits for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// The only thing that a reactor does not learn from anybody.
fn a_chunk_that_comes_back_is_a_reason(env: &Env) {
    let mut driver = Driver::with_pool(env, 1, 10);
    let (ours, mut peer) = driver.pair();
    peer.write_all(b"0123456789abcdef").expect("the peer writes");
    let token = driver.receive(ours);
    let held = bytes(driver.next(token));
    driver.expect_quiet(Duration::from_millis(20));
    assert_ne!(driver.idle(), Wait::No, "there is no chunk");
    drop(held);
    assert_eq!(driver.idle(), Wait::No, "there is one, and bytes to put into it");
    driver.turn(Wait::No);
    assert_eq!(*bytes(driver.try_next(token).expect("in this turn")), *b"abcdef");
}

fn what_an_export_ended_is_a_reason(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    let token = driver.receive(ours);
    driver.expect_nothing_to_watch();
    let exported = driver.export(ours);
    assert_eq!(driver.host_until_some(), 1);
    assert_eq!(driver.end(token), CANCELED);
    drop(exported);
}

fn nothing_to_do_is_no_reason(env: &Env) {
    let mut driver = Driver::new(env);
    assert_ne!(driver.idle(), Wait::No);
    let (ours, _peer) = driver.pair();
    driver.receive(ours);
    driver.expect_quiet(Duration::from_millis(20));
    assert_ne!(driver.idle(), Wait::No);
}

fn readable_for_data(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    for _ in 0..3 {
        driver.expect_nothing_to_watch();
        peer.write_all(b"hello").expect("the peer writes");
        driver.expect_readable();
        assert_eq!(driver.host_until_some(), 1);
        assert_eq!(*bytes(driver.next(token)), *b"hello");
    }
    drop(peer);
    driver.expect_readable();
    driver.host_until_some();
    assert_eq!(driver.end(token), DONE);
}

fn readable_for_a_connection(env: &Env) {
    let mut driver = Driver::new(env);
    let (listener, address) = driver.listener(4);
    driver.accept(listener);
    for _ in 0..3 {
        driver.expect_nothing_to_watch();
        let _peer = env.world().connect(address).expect("connect");
        driver.expect_readable();
        assert_eq!(driver.host_until_some(), 1);
    }
}

fn readable_for_room(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let sent = driver.fill(ours);
    let token = driver.writable(ours);
    driver.expect_nothing_to_watch();
    peer.read_exact(&mut vec![0; sent]).expect("the peer reads");
    driver.expect_readable();
    driver.host_until_some();
    assert_eq!(driver.end(token), DONE);
}

fn readable_for_an_unpark_of_another_thread(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    for _ in 0..20 {
        driver.expect_nothing_to_watch();
        let said = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                said.store(true, Ordering::Release);
                unparker.unpark();
            });
            driver.expect_readable();
        });
        assert!(said.load(Ordering::Acquire), "before anybody has called");
        driver.host_turn();
    }
}

fn readable_for_the_end_of_a_call(env: &Env) {
    let mut driver = Driver::new(env);
    for _ in 0..20 {
        let (go_on, told) = mpsc::channel::<()>();
        // Ends when the trial lets go of the other end.
        let token = driver.call(Call::Run(Job::new(move || _ = told.recv())));
        driver.expect_nothing_to_watch();
        drop(go_on);
        driver.expect_readable();
        driver.host_until_some();
        assert_eq!(driver.end(token), DONE);
    }
}

/// A host that is told the same again and again spins.
fn quiet_when_all_is_told(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    let (ours, mut peer) = driver.pair();
    let (listener, address) = driver.listener(4);
    let tokens = [driver.receive(ours), driver.accept(listener)];
    for _ in 0..3 {
        peer.write_all(b"hello").expect("the peer writes");
        let _peer = env.world().connect(address).expect("connect");
        unparker.unpark();
        let call = driver.call(Call::Run(Job::new(|| ())));
        for token in tokens.into_iter().chain([call]) {
            driver.next(token);
        }
        driver.expect_nothing_to_watch();
    }
}

fn a_transfer(env: &Env) {
    transfer(Driver::with_pool(env, 8, 1_000));
}

fn a_transfer_through_one_chunk(env: &Env) {
    transfer(Driver::with_pool(env, 1, 700));
}

fn transfer(mut driver: Driver) {
    const LEN: usize = 300_000;
    let (ours, peer) = driver.pair();
    let mut feed = Feed::new(peer, Pattern::default().take(LEN));
    let token = driver.receive(ours);
    let (mut seen, mut count) = (Pattern::default(), 0);
    loop {
        feed.on();
        while let Some(completion) = driver.try_next(token) {
            if !completion.more {
                return assert_eq!(count, LEN);
            }
            let chunk = bytes(completion);
            seen.expect(&chunk);
            count += chunk.len();
        }
        driver.host_until_some();
    }
}

fn many_connections(env: &Env) {
    const EACH: usize = 3_000;
    let mut driver = Driver::with_pool(env, 4, 500);
    let mut connections: Vec<_> =
        (0..30).map(|stream| (driver.pair(), Pattern::new(stream), Pattern::new(stream), 0)).collect();
    let mut tokens = Vec::new();
    for ((ours, peer), sent, ..) in &mut connections {
        peer.write_all(&sent.take(EACH)).expect("the peer writes");
        tokens.push(driver.receive(*ours));
    }
    while connections.iter().any(|&(.., count)| count < EACH) {
        driver.host_until_some();
        for (&token, (.., seen, count)) in tokens.iter().zip(&mut connections) {
            while let Some(completion) = driver.try_next(token) {
                let chunk = bytes(completion);
                seen.expect(&chunk);
                *count += chunk.len();
            }
        }
    }
}

impl Driver {
    fn idle(&mut self) -> Wait {
        let pool = self.pool().clone();
        self.reactor().idle(&pool)
    }

    fn is_readable(&mut self, patience: Duration) -> bool {
        let descriptor = self.reactor().descriptor().expect("a kernel");
        machine::readable(descriptor, patience)
    }

    fn expect_readable(&mut self) {
        assert!(self.is_readable(PATIENCE), "the host is told nothing");
    }

    /// There may be something to collect that brings no result, so some turns are allowed for that.
    fn expect_nothing_to_watch(&mut self) {
        for _ in 0..8 {
            let results = self.host_turn();
            assert_eq!(results, 0, "nothing was to come");
            if self.idle() != Wait::No && !self.is_readable(Duration::ZERO) {
                return;
            }
        }
        panic!("the host is told something again and again");
    }

    /// A turn that is told to wait, and not for long: an unpark is for one of those.
    fn host_turn(&mut self) -> usize {
        let now = self.now();
        self.turn(Wait::Until(now))
    }

    /// Does what a host does: turns, and waits as it is told in between. Until a turn has results; says how many.
    fn host_until_some(&mut self) -> usize {
        let end = self.soon();
        loop {
            let results = self.host_turn();
            if results > 0 {
                return results;
            }
            assert!(self.now() < end, "no result in {} s", PATIENCE.as_secs());
            let idle = self.idle();
            if idle == Wait::No {
                continue;
            }
            if self.reactor().descriptor().is_err() {
                // Nobody but the reactor knows when something happens.
                assert_ne!(idle, Wait::Forever, "nothing will ever happen");
                let results = self.turn(idle);
                if results > 0 {
                    return results;
                }
            } else if let Wait::Until(deadline) = idle.until_at_most(end) {
                let patience = deadline.saturating_since(self.now());
                assert!(self.is_readable(patience) || deadline < end, "the host is told nothing");
            }
        }
    }
}
