//! What ends a wait, here or in somebody else's loop.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread;

use runtime_core::call::{Call, Job};

use super::*;

/// Whether the reactor's descriptor is readable now.
fn is_readable(rig: &Rig) -> bool {
    poll(rig, 0)
}

/// Waits until it is.
fn await_readable(rig: &Rig) {
    assert!(poll(rig, PATIENCE.as_millis() as i32), "nobody told the host");
}

fn poll(rig: &Rig, timeout: i32) -> bool {
    let fd = rig.reactor.descriptor().expect("a descriptor is left").as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one.
    unsafe { libc::poll(&mut poll, 1, timeout) == 1 }
}

#[test]
fn another_thread_ends_a_wait() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        for _ in 0..100 {
            let unparker = rig.reactor.unparker().expect("a descriptor is left");
            let waker = thread::spawn(move || unparker.unpark());
            // Hangs if the wake-up is lost, whether it comes before the wait or within.
            let done = rig.turn(Wait::Forever);
            assert!(done.is_empty());
            waker.join().expect("it only wakes");
        }
    });
}

#[test]
fn an_unpark_outlives_turns_that_do_not_wait() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        rig.reactor.unparker().expect("a descriptor is left");
        rig.turn(Wait::No);
        rig.reactor.unparker().expect("a descriptor is left").unpark();
        for _ in 0..3 {
            rig.turn(Wait::No);
        }
        // Hangs if one of them has swallowed it.
        rig.turn(Wait::Forever);
    });
}

#[test]
fn wakes_once_for_each_unpark() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        rig.reactor.unparker().expect("a descriptor is left").unpark();
        rig.turn(Wait::Forever);
        let deadline = rig.reactor.now().saturating_add(Duration::from_millis(20));
        let mut turns = 0;
        while rig.reactor.now() < deadline {
            rig.turn(Wait::Until(deadline));
            turns += 1;
        }
        // The counter of the eventfd is never read. A level-triggered watch would spin here.
        assert!(turns <= 3, "{turns} turns in one wait");
    });
}

/// A host waits elsewhere, and takes turns that do not wait. It hears of what comes before and while it waits.
#[test]
fn a_host_is_told_of_data() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        let token = rig.receive(here);
        assert!(rig.turn(Wait::No).is_empty());
        for _ in 0..20 {
            assert!(!is_readable(&rig) && rig.reactor.idle(&rig.pool) != Wait::No);
            let writer = there.try_clone().expect("a descriptor is left");
            let writer = thread::spawn(move || write(&writer, b"hello"));
            await_readable(&rig);
            writer.join().expect("it only writes");
            assert_eq!(rig.reactor.idle(&rig.pool), Wait::No);
            assert_eq!(bytes_of(token, &rig.turn(Wait::No)), b"hello");
        }
    });
}

#[test]
fn a_host_is_told_of_unparks() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let unparker = rig.reactor.unparker().expect("a descriptor is left");
        assert_eq!(rig.reactor.idle(&rig.pool), Wait::No, "the watch is to be armed");
        rig.turn(Wait::No);
        for _ in 0..20 {
            assert!(!is_readable(&rig) && rig.reactor.idle(&rig.pool) == Wait::Forever);
            let unparker = Arc::clone(&unparker);
            let waker = thread::spawn(move || unparker.unpark());
            await_readable(&rig);
            waker.join().expect("it only wakes");
            assert!(rig.turn(Wait::No).is_empty());
        }
    });
}

#[test]
fn a_host_is_told_of_answers() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        for _ in 0..20 {
            let token = rig.stage(Op::Call(Call::Run(Job::new(|| {}))));
            let mut done = rig.turn(Wait::No);
            while done.is_empty() {
                if rig.reactor.idle(&rig.pool) == Wait::Forever {
                    await_readable(&rig);
                }
                done = rig.turn(Wait::No);
            }
            assert_eq!(results(&done), [(token, Ok(0))]);
        }
    });
}

/// A socket that has been read is looked at once more.
#[test]
fn a_host_is_told_when_to_look_for_missed_ends() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (here, there) = rig.pair();
        write(&there, b"hello");
        rig.receive(here);
        rig.turn_until(|done| done.len() == 1);
        let Wait::Until(due) = rig.reactor.idle(&rig.pool) else { panic!("it may be looked at at any time") };
        while rig.reactor.idle(&rig.pool) != Wait::Forever {
            assert!(rig.turn(Wait::Until(due)).is_empty());
        }
        assert!(rig.reactor.now() >= due);
    });
}

#[test]
fn parked_receives_need_a_turn_when_there_is_a_chunk() {
    Rig::each(Options::default(), 1, 64, |mut rig| {
        let (here, there) = rig.pair();
        write(&there, b"hello");
        rig.receive(here);
        let held = rig.turn_until(|done| done.len() == 1);
        write(&there, b"again");
        while rig.reactor.flights.parked() < 1 {
            assert!(rig.turn(Wait::No).is_empty());
        }
        assert_ne!(rig.reactor.idle(&rig.pool), Wait::No);
        drop(held);
        assert_eq!(rig.reactor.idle(&rig.pool), Wait::No);
    });
}
