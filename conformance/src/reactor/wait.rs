//! Waiting: as long as was said, unless something happens, and at no cost.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime_core::clock::Nanos;
use runtime_core::reactor::Wait;

use super::{Env, trials};
use crate::driver::{DONE, Driver};
use crate::machine::{Alarm, Signals, ThisThread};
use crate::pattern::Pattern;

trials![
    not_at_all,
    until_a_deadline,
    until_the_past,
    until_the_end_of_time,
    less_than_a_millisecond: Time,
    results_end_a_wait,
    unparked_by_another_thread,
    unparked_before,
    unparked_before_a_turn_that_does_not_wait,
    unparked_a_thousand_times,
    unparked_while_busy: Threads,
    clock_never_goes_back,
    signals_lose_nothing: Signals,
    signals_do_not_prolong_a_wait: Signals,
];

fn not_at_all(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    driver.receive(ours);
    for _ in 0..100 {
        assert_eq!(driver.turn(Wait::No), 0);
    }
}

fn until_a_deadline(env: &Env) {
    let mut driver = Driver::new(env);
    driver.expect_quiet(Duration::from_millis(50));
    let (ours, _peer) = driver.pair();
    let (listener, _) = driver.listener(1);
    driver.receive(ours);
    driver.accept(listener);
    driver.expect_quiet(Duration::from_millis(150));
}

fn until_the_past(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.receive(ours);
    for deadline in [Nanos(0), Nanos(1), driver.now()] {
        assert_eq!(driver.turn(Wait::Until(deadline)), 0);
    }
    peer.write_all(b"hello").expect("the peer writes");
    assert_eq!(driver.receive_exact(token, 5), b"hello");
}

fn until_the_end_of_time(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    let now = driver.now();
    let deadlines =
        [Nanos::NEVER, Nanos(u64::MAX - 1), Nanos(i64::MAX as u64 + 1), now.saturating_add(100 * year)];
    for deadline in deadlines {
        let (go, gone) = mpsc::channel();
        let helper = thread::spawn({
            let unparker = unparker.clone();
            move || gone.recv().map(|()| unparker.unpark())
        });
        // Nothing has happened yet, so a deadline that overflows comes to nothing but an early return.
        let short = driver.now().saturating_add(Duration::from_millis(5));
        driver.turn(Wait::Until(short));
        go.send(()).expect("the helper listens");
        driver.expect_wakes(1);
        driver.turn(Wait::Until(deadline));
        helper.join().expect("no panic").expect("it was told to go");
    }
}

fn less_than_a_millisecond(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    driver.receive(ours);
    driver.turn(Wait::No);
    let asked = Duration::from_micros(200);
    let best = (0..200)
        .map(|_| {
            let start = driver.now();
            let deadline = start.saturating_add(asked);
            while driver.now() < deadline {
                driver.turn(Wait::Until(deadline));
            }
            driver.now().saturating_since(start)
        })
        .min();
    // The machine may be slow most of the time, but a reactor that rounds up is slow each time.
    assert!(best < Some(Duration::from_millis(1)), "{best:?} at best, for {asked:?}");
}

fn results_end_a_wait(env: &Env) {
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.pair();
    let token = driver.writable(ours);
    driver.turn(Wait::Forever);
    assert_eq!(driver.end(token), DONE);

    let token = driver.receive(ours);
    driver.turn(Wait::No);
    peer.write_all(b"hello").expect("the peer writes");
    while driver.turn(Wait::Forever) == 0 {}
    assert_eq!(driver.receive_exact(token, 5), b"hello");
    drop(peer);
    while driver.turn(Wait::Forever) == 0 {}
    assert_eq!(driver.end(token), DONE);
}

fn unparked_by_another_thread(env: &Env) {
    const ROUNDS: usize = 500;
    let mut driver = Driver::new(env);
    let (ours, _peer) = driver.pair();
    driver.receive(ours);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    let (go, gone) = mpsc::channel();
    let helper = thread::spawn(move || gone.iter().for_each(|()| unparker.unpark()));
    driver.expect_wakes(ROUNDS);
    for _ in 0..ROUNDS {
        go.send(()).expect("the helper listens");
        driver.turn(Wait::Forever);
    }
    drop(go);
    helper.join().expect("no panic");
}

fn unparked_before(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    driver.expect_wakes(10);
    for _ in 0..10 {
        unparker.unpark();
        driver.turn(Wait::Forever);
    }
    driver.expect_quiet(Duration::from_millis(20));
}

fn unparked_before_a_turn_that_does_not_wait(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    driver.expect_wakes(10);
    for round in 0..10 {
        unparker.unpark();
        for _ in 0..round % 4 {
            driver.turn(Wait::No);
        }
        driver.turn(Wait::Forever);
    }
    driver.expect_quiet(Duration::from_millis(20));
}

fn unparked_a_thousand_times(env: &Env) {
    let mut driver = Driver::new(env);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    driver.turn(Wait::No);
    for _ in 0..1_000 {
        unparker.unpark();
    }
    driver.turn(Wait::Forever);
    // However many there were, they are one.
    driver.expect_quiet(Duration::from_millis(20));
    unparker.unpark();
    driver.turn(Wait::Forever);
}

fn unparked_while_busy(env: &Env) {
    const THREADS: usize = 3;
    const EACH: usize = 2_000;
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.std_pair();
    let token = driver.receive(ours);
    driver.expect_wakes(THREADS * EACH);
    let unparker = driver.reactor().unparker().expect("a descriptor is left");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..EACH).for_each(|_| unparker.unpark()));
        }
        scope.spawn(move || {
            let mut sent = Pattern::default();
            (0..1_000).try_for_each(|_| peer.write_all(&sent.take(10))).expect("the peer writes");
        });
        let (bytes, end) = driver.receive_to_end(token);
        Pattern::default().expect(&bytes);
        assert_eq!((bytes.len(), end), (10_000, DONE));
    });
}

fn clock_never_goes_back(env: &Env) {
    let mut driver = Driver::new(env);
    let mut last = driver.now();
    for round in 0..1_000u64 {
        let deadline = last.saturating_add(Duration::from_micros(round % 20));
        driver.turn(Wait::Until(deadline));
        let now = driver.now();
        assert!(now >= last, "{now:?} after {last:?}");
        last = now;
    }
}

/// Signals at any moment of a wait, aimed at this thread.
fn signals_lose_nothing(env: &Env) {
    const ROUNDS: usize = 500;
    let mut driver = Driver::new(env);
    let (ours, mut peer) = driver.std_pair();
    let signals = Signals::catch(libc::SIGUSR1);
    let this_thread = ThisThread::current();
    // What the scope owns goes with it if it panics, and the other thread does not wait for ever.
    thread::scope(move |scope| {
        scope.spawn(move || {
            for round in 0..ROUNDS {
                (0..round % 3).for_each(|_| this_thread.signal(libc::SIGUSR1));
                peer.write_all(b"ping").expect("the peer writes");
                this_thread.signal(libc::SIGUSR1);
                peer.read_exact(&mut [0; 4]).expect("the peer reads");
            }
        });
        let token = driver.receive(ours);
        driver.expect_wakes(3 * ROUNDS);
        for _ in 0..ROUNDS {
            assert_eq!(driver.receive_exact(token, 4), b"ping");
            driver.attempt(ours, b"pong").expect("send");
        }
        assert_eq!(driver.end(token), DONE, "the peer has left");
    });
    assert!(signals.count() > 0);
}

/// A wait that began anew after each signal would never end.
fn signals_do_not_prolong_a_wait(env: &Env) {
    let mut driver = Driver::new(env);
    let signals = Signals::catch(libc::SIGALRM);
    let alarm = Alarm::every(Duration::from_millis(1));
    let deadline = driver.now().saturating_add(Duration::from_millis(50));
    let mut turns = 0;
    while driver.now() < deadline {
        assert_eq!(driver.turn(Wait::Until(deadline)), 0);
        turns += 1;
    }
    drop(alarm);
    driver.expect_wakes(signals.count());
    assert!(signals.count() > 0);
    assert!(turns <= signals.count() + 16, "{turns} turns with {} signals", signals.count());
}
