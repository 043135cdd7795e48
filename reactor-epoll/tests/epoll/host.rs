//! What a host's own loop sees, which polls the reactor's descriptor and takes turns without a wait.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;

use runtime_core::call::{Call, Job};
use runtime_core::op::Op;
use runtime_core::reactor::{Reactor, Wait};

use crate::rig::{Done, Rig, bytes, results};

/// Waits until the descriptor is readable, or only looks. Whether it is.
fn is_readable(rig: &Rig, timeout_ms: i32) -> bool {
    let descriptor = rig.reactor.descriptor().unwrap();
    let mut watched = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which the kernel reads and writes.
    unsafe { libc::poll(&mut watched, 1, timeout_ms) == 1 }
}

fn assert_woken(rig: &Rig) {
    assert!(is_readable(rig, 20_000), "nothing woke the host");
}

/// Nothing to do, and nothing that says so.
fn assert_idle(rig: &Rig) {
    assert_eq!(rig.reactor.idle(&rig.pool), Wait::Forever);
    assert!(!is_readable(rig, 0));
}

#[test]
fn a_socket_wakes_the_host() {
    let mut rig = Rig::new();
    let (socket, mut peer) = rig.unix();
    rig.receive(socket);
    assert_eq!(results(&rig.turn(Wait::No)), []);
    assert_idle(&rig);
    peer.write_all(b"hello").unwrap();
    assert_woken(&rig);
    assert_eq!(bytes(&rig.turn(Wait::No)), b"hello");
    assert_idle(&rig);
}

#[test]
fn what_waits_for_a_chunk_need_not_be_turned_for_until_there_is_one() {
    let mut rig = Rig::new();
    let (socket, mut peer) = rig.unix();
    rig.receive(socket);
    let held: Vec<_> = std::iter::from_fn(|| rig.pool.take()).collect();
    peer.write_all(b"hello").unwrap();
    assert_eq!(results(&rig.turn(Wait::No)), []);
    assert_idle(&rig);
    drop(held);
    assert_eq!(rig.reactor.idle(&rig.pool), Wait::No);
    assert_eq!(bytes(&rig.turn(Wait::No)), b"hello");
}

#[test]
fn an_unpark_wakes_the_host() {
    let mut rig = Rig::new();
    let unparker = rig.reactor.unparker().unwrap();
    assert_idle(&rig);
    thread::spawn(move || unparker.unpark());
    assert_woken(&rig);
    assert_eq!(results(&rig.turn(Wait::No)), []);
    // The host has come, and is not called again and again.
    assert_idle(&rig);
    assert_eq!(results(&rig.turn(Wait::Forever)), [], "it is meant for a turn that waits, too");
    assert_idle(&rig);
}

#[test]
fn an_answer_of_a_thread_wakes_the_host() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let (go_on, told) = mpsc::channel::<()>();
        let job = Job::new(move || _ = told.recv());
        let run = rig.stage(Op::Call(Call::Run(job)));
        assert_eq!(results(&rig.turn(Wait::No)), []);
        assert_idle(&rig);
        drop(go_on);
        assert_woken(&rig);
        assert_eq!(results(&rig.turn(Wait::No)), [(run, Done, false)]);
        assert_idle(&rig);
    }
}
