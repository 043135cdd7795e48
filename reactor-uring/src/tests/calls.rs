//! Calls that may block, by the kernel and on threads.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::pipe;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, process};

use io_uring::opcode;
use runtime_core::call::{Call, Job};

use super::*;
use crate::opcodes::Supported;

/// Runs `test` with calls made by the kernel, and with calls made on threads.
fn each(test: impl Fn(Rig)) {
    Rig::each(Options::default(), 4, 64, &test);
    Rig::each(Options::default(), 4, 64, |mut rig| {
        rig.reactor.supported = Supported::least();
        test(rig);
    });
}

impl Rig {
    fn call(&mut self, call: Call) -> Token {
        self.stage(Op::Call(call))
    }

    /// The one result of a call.
    fn answer(&mut self, call: Call) -> Completion {
        let token = self.call(call);
        let [one] = <[_; 1]>::try_from(self.end_of(&[token])).expect("one result");
        assert_eq!((one.token, one.more), (token, false));
        one
    }

    fn read(&mut self, fd: Fd, offset: u64, bytes: Vec<u8>) -> (Result<usize, Errno>, Vec<u8>) {
        let one = self.answer(Call::ReadAt { fd, offset, bytes });
        let Some(Data::Vec { bytes, start: 0 }) = one.data else { panic!("the bytes come back: {one:?}") };
        (result_of(&one.result), bytes)
    }
}

fn result_of(result: &Result<Outcome, Errno>) -> Result<usize, Errno> {
    match result {
        Ok(Outcome::Count(count)) => Ok(*count),
        Err(errno) => Err(*errno),
        other => panic!("no count: {other:?}"),
    }
}

fn this_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/calls.rs")
}

#[test]
fn a_file_is_opened_and_read() {
    each(|mut rig| {
        let text = fs::read(this_file()).expect("this file");
        let one = rig.answer(Call::Open { path: this_file() });
        let fd = fd_of(&one);

        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"before");
        let room = bytes.capacity() - bytes.len();
        let (count, bytes) = rig.read(fd, 10, bytes);
        assert_eq!(count, Ok(room));
        assert_eq!(bytes, [b"before", &text[10..10 + room]].concat());

        // At the end of the file, and without spare capacity.
        assert_eq!(rig.read(fd, text.len() as u64, Vec::with_capacity(9)), (Ok(0), Vec::new()));
        assert_eq!(rig.read(fd, 0, Vec::new()), (Ok(0), Vec::new()));
        let close = rig.close(fd);
        assert_eq!(results(&rig.end_of(&[close])), [(close, Ok(0))]);
    });
}

#[test]
fn a_stat_says_what_the_standard_library_says() {
    each(|mut rig| {
        let one = rig.answer(Call::Stat { path: this_file() });
        let Ok(Outcome::Stat(stat)) = one.result else { panic!("{one:?}") };
        let std = fs::metadata(this_file()).expect("this file");
        assert_eq!((stat.mode, stat.size, stat.inode), (std.mode(), std.size(), std.ino()));
        assert_eq!(std::time::SystemTime::from(stat.modified), std.modified().expect("a time"));
    });
}

#[test]
fn what_cannot_be_is_said_in_the_same_words() {
    each(|mut rig| {
        for (path, errno) in [("/none/such", Errno::ENOENT), ("a\0zero", Errno::EINVAL)] {
            for call in [Call::Open { path: path.into() }, Call::Stat { path: path.into() }] {
                assert_eq!(result(&rig.answer(call)), Err(errno));
            }
        }
        let fd = rig.import(File::open(this_file()).expect("this file"));
        let folder = rig.import(File::open(env!("CARGO_MANIFEST_DIR")).expect("this folder"));
        let (end, _other) = pipe().expect("a pipe");
        let pipe = rig.import(end);
        let (socket, there) = rig.pair();
        write(&there, b"not to be read");
        let no_offsets = Errno::new(libc::ESPIPE);
        let cases = [
            // -1 is the file's own position, for io_uring.
            (fd, u64::MAX, Errno::EINVAL),
            (fd, i64::MAX as u64 + 1, Errno::EINVAL),
            (folder, 0, Errno::new(libc::EISDIR)),
            (pipe, 0, no_offsets),
            (socket, 0, no_offsets),
            (Fd::new(fd.number(), fd.generation() + 1), 0, Errno::EBADF),
        ];
        for (fd, offset, errno) in cases {
            let mut bytes = Vec::with_capacity(20);
            bytes.extend_from_slice(b"mine");
            assert_eq!(rig.read(fd, offset, bytes), (Err(errno), b"mine".to_vec()), "{fd} at {offset}");
        }
    });
}

#[test]
fn look_ups_and_closures_go_to_threads() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let one = rig.answer(Call::Resolve { host: "127.0.0.1".into(), port: 80 });
        let Ok(Outcome::Addresses(addresses)) = one.result else { panic!("{one:?}") };
        assert_eq!(addresses.expect("an address"), ["127.0.0.1:80".parse().expect("an address")]);

        let (ran, has_run) = std::sync::mpsc::channel();
        let one = rig.answer(Call::Run(Job::new(move || ran.send(()).expect("somebody listens"))));
        assert_eq!(result(&one), Ok(0));
        has_run.try_recv().expect("it ran before it completed");
    });
}

#[test]
fn the_kernel_reads_files_where_it_can() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        if !rig.reactor.supported.has::<opcode::Read>() {
            return eprintln!("skipped: this kernel has no reads");
        }
        let fd = rig.import(File::open(this_file()).expect("this file"));
        rig.call(Call::ReadAt { fd, offset: 0, bytes: Vec::with_capacity(9) });
        rig.turn(Wait::No);
        assert_eq!(rig.reactor.workers.in_flight(), 0);
    });
}

#[test]
fn a_call_on_a_thread_can_be_cancelled() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let runs = rig.call(Call::Run(Job::new(move || assert!(gone.recv().is_err(), "it is let go"))));
        rig.turn(Wait::No);
        rig.cancel(runs);
        let (here, _there) = rig.pair();
        let writable = rig.writable(here);
        // Behind what is immediate.
        assert_eq!(results(&rig.turn(Wait::Forever)), [(writable, Ok(0)), (runs, CANCELED)]);
        drop(go);
        assert!(rig.turn(Wait::No).is_empty());
    });
}

/// To open a named pipe takes somebody at its other end. A thread waits for that, ours or the kernel's.
#[test]
fn an_open_that_waits_can_be_cancelled() {
    each(|mut rig| {
        let path = env::temp_dir().join(format!("carhop-{}-{:p}", process::id(), &rig));
        let name = CString::new(path.as_os_str().as_bytes()).expect("no zero");
        // SAFETY: the name ends with a zero, and is only read.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let open = rig.call(Call::Open { path: path.clone() });
        assert!(rig.turn(Wait::No).is_empty());

        rig.cancel(open);
        let done = rig.end_of(&[open]);

        // Lets a thread of ours go.
        drop(OpenOptions::new().read(true).write(true).open(&path));
        fs::remove_file(path).expect("it is ours");
        assert_eq!(results(&done), [(open, CANCELED)]);
    });
}

#[test]
fn a_read_ends_with_its_file() {
    Rig::each(Options::default(), 4, 64, |mut rig| {
        let (end, mut other) = pipe().expect("a pipe");
        let fd = rig.import(end);
        let token = rig.stage_read(fd);
        assert!(rig.turn(Wait::No).is_empty());

        let close = rig.close(fd);
        let done = rig.end_of(&[token, close]);

        assert_eq!(results(&done), [(close, Ok(0)), (token, CANCELED)]);
        assert!(matches!(&done[1].data, Some(Data::Vec { bytes, .. }) if bytes == b"mine"));
        assert_eq!(other.write(b"late").expect_err("nobody reads").kind(), std::io::ErrorKind::BrokenPipe);
    });
}

impl Rig {
    /// A read of what is no file, and so may wait. [`Call::ReadAt`] is refused then.
    pub(super) fn stage_read(&mut self, fd: Fd) -> Token {
        let token = Token::new(self.tokens, 7);
        self.tokens += 1;
        let mut bytes = Vec::with_capacity(100);
        bytes.extend_from_slice(b"mine");
        self.reactor.launch(token, crate::work::Work::Read { fd, offset: 0, bytes });
        token
    }
}
