//! Where calls that may block are made, and when their results are reported.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::thread;

use kernel::call::read_now;
use runtime_core::call::{Call, Job};
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Token};
use runtime_core::reactor::Wait;

use crate::rig::{Count, Done, Failed, Rig, Said, bytes, refuse, results};

const THIS_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/epoll/calls.rs");

impl Rig {
    fn call(&mut self, call: Call) -> Token {
        self.stage(Op::Call(call))
    }

    fn run(&mut self, f: impl FnOnce() + Send + 'static) -> Token {
        self.call(Call::Run(Job::new(f)))
    }

    /// Waits for something to report, for ever if nothing ends the wait.
    fn wait(&mut self) -> Vec<Completion> {
        loop {
            let done = self.turn(Wait::Forever);
            if !done.is_empty() {
                return done;
            }
        }
    }

    fn read_at(&mut self, fd: Fd, offset: u64, len: usize) -> Token {
        self.call(Call::ReadAt { fd, offset, bytes: Vec::with_capacity(len) })
    }
}

#[test]
fn what_is_in_memory_is_read_in_the_same_turn() {
    let text = std::fs::read(THIS_FILE).unwrap();
    let file = File::open(THIS_FILE).unwrap();
    if read_now(file.as_fd(), 0, &mut Vec::with_capacity(1)).is_err() {
        // The file system cannot tell.
        return;
    }
    let mut rig = Rig::new();
    let file = rig.import(file);
    let read = rig.read_at(file, 4, 32);
    let end = rig.read_at(file, text.len() as u64, 32);
    let close = rig.stage(Op::Close { fd: file });
    let done = rig.turn(Wait::Forever);
    assert_eq!(results(&done), [(read, Count(32), false), (end, Count(0), false), (close, Done, false)]);
    assert_eq!(bytes(&done), text[4..36]);
}

#[test]
fn a_file_of_which_the_kernel_cannot_tell_is_read_by_a_thread() {
    let mut rig = Rig::new();
    let file = rig.import(File::open("/proc/version").unwrap());
    for _ in 0..2 {
        let read = rig.read_at(file, 0, 5);
        let done = rig.wait();
        assert_eq!(results(&done), [(read, Count(5), false)]);
        assert_eq!(bytes(&done), b"Linux");
    }
    // The thread does not need the name.
    let read = rig.read_at(file, 0, 5);
    let close = rig.stage(Op::Close { fd: file });
    let mut done = rig.wait();
    if done.len() < 2 {
        done.extend(rig.wait());
    }
    assert_eq!(results(&done), [(close, Done, false), (read, Count(5), false)]);
}

#[test]
fn a_call_that_cannot_be_made_gives_its_bytes_back() {
    // The filter ends with the thread.
    let alone = thread::spawn(|| {
        let mut rig = Rig::new();
        let file = rig.import(File::open("/proc/version").unwrap());
        let (socket, _peer) = rig.unix();
        refuse(libc::SYS_eventfd2, libc::EMFILE);
        for (fd, errno) in
            [(Fd::new(u32::MAX, 0), Errno::EBADF), (socket, Errno::new(libc::ESPIPE)), (file, Errno::EMFILE)]
        {
            let mut mine = Vec::with_capacity(8);
            mine.extend(b"mine");
            let read = rig.call(Call::ReadAt { fd, offset: 0, bytes: mine });
            let done = rig.turn(Wait::Forever);
            assert_eq!(results(&done), [(read, Failed(errno), false)]);
            assert_eq!(bytes(&done), b"mine");
        }
    });
    alone.join().unwrap();
}

#[test]
fn an_answer_ends_a_wait() {
    let mut rig = Rig::new();
    let opened = rig.call(Call::Open { path: THIS_FILE.into() });
    assert_eq!(results(&rig.wait()), [(opened, Said::Fd, false)]);
    let stat = rig.call(Call::Stat { path: THIS_FILE.into() });
    assert_eq!(results(&rig.wait()), [(stat, Said::Stat, false)]);
    let resolved = rig.call(Call::Resolve { host: "127.0.0.1".to_owned(), port: 1 });
    assert_eq!(results(&rig.wait()), [(resolved, Said::Addresses, false)]);
}

#[test]
fn a_call_that_is_cancelled_ends_at_once_though_it_may_go_on() {
    let mut rig = Rig::new();
    let (go_on, told) = mpsc::channel::<()>();
    let (reached, progress) = mpsc::channel();
    let run = rig.run(move || {
        reached.send("begun").unwrap();
        _ = told.recv();
        reached.send("ended").unwrap();
    });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    assert_eq!(progress.recv().unwrap(), "begun");

    rig.cancel(run);
    rig.cancel(run);
    let (socket, _peer) = rig.unix();
    let close = rig.stage(Op::Close { fd: socket });
    let expected = [(close, Done, false), (run, Failed(Errno::ECANCELED), false)];
    assert_eq!(results(&rig.turn(Wait::Forever)), expected);
    drop(go_on);
    assert_eq!(progress.recv().unwrap(), "ended");
    rig.assert_quiet();
}

#[test]
fn whoever_drops_the_reactor_waits_for_no_thread() {
    let mut rig = Rig::new();
    let (go_on, told) = mpsc::channel::<()>();
    let (reached, progress) = mpsc::channel();
    rig.run(move || {
        reached.send("begun").unwrap();
        _ = told.recv();
        reached.send("ended").unwrap();
    });
    assert_eq!(results(&rig.turn(Wait::No)), []);
    assert_eq!(progress.recv().unwrap(), "begun");
    drop(rig);
    drop(go_on);
    assert_eq!(progress.recv().unwrap(), "ended");
}
