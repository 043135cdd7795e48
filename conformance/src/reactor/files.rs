//! Calls on files: what is there, from where it was asked for, to the end.

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runtime_core::call::{Call, Stat, Timestamp};
use runtime_core::errno::Errno;
use runtime_core::op::{Fd, Outcome};
use runtime_core::reactor::Wait;

use super::loopback::fd_of;
use super::{Env, trials};
use crate::driver::{DONE, Driver};
use crate::machine::{self, Shortage};
use crate::pattern::Pattern;

trials![
    contents: Files,
    pieces: Files,
    offsets: Files,
    behind_what_is_there: Files,
    no_capacity: Files,
    many_reads_at_once: Files,
    metadata: Files,
    no_such_file: Files,
    paths_that_are_none: Files,
    not_readable: Files,
    cancelled: Files,
    cancelled_while_it_blocks: Files,
    closed_with_a_read: Files,
    closed: Files,
    close_on_exec: Files,
    no_descriptor_left: Files,
];

const LEN: usize = 10_000;

fn contents(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    assert_eq!(driver.read_at(file, 0, 20_000), Pattern::default().take(LEN));
}

fn pieces(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let (mut expected, mut offset) = (Pattern::default(), 0);
    while offset < LEN {
        let piece = driver.read_at(file, offset as u64, 999);
        assert_eq!(piece.len(), (LEN - offset).min(999));
        expected.expect(&piece);
        offset += piece.len();
    }
}

fn offsets(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let all = Pattern::default().take(LEN);
    assert_eq!(driver.read_at(file, 5_000, 10), all[5_000..5_010]);
    assert_eq!(driver.read_at(file, LEN as u64 - 1, 10), all[LEN - 1..]);
    for behind_the_end in [LEN as u64, LEN as u64 + 1, 1 << 40] {
        assert_eq!(driver.read_at(file, behind_the_end, 10), b"");
    }
    // The kernel's offsets are signed. To io_uring, -1 means the file's own position.
    for too_large in [1 << 63, u64::MAX - 1, u64::MAX] {
        let read = driver.call(Call::ReadAt { fd: file, offset: too_large, bytes: Vec::with_capacity(10) });
        assert_eq!(driver.end(read), Err(Errno::EINVAL), "{too_large}");
    }
    assert_eq!(driver.read_at(file, 0, 10), all[..10], "nothing moves");
}

/// The account looks at what was there.
fn behind_what_is_there(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let mut bytes = Vec::with_capacity(1_000);
    bytes.extend_from_slice(b"here already");
    let room = bytes.capacity() - bytes.len();
    let read = driver.call(Call::ReadAt { fd: file, offset: 100, bytes });
    let completion = driver.next(read);
    let bytes = completion.data.expect("the account has seen it");
    assert_eq!(bytes.len(), 12 + room);
    assert_eq!(bytes[12..], Pattern::default().take(LEN)[100..100 + room]);
}

fn no_capacity(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    for bytes in [Vec::new(), b"full".as_slice().into()] {
        let mut bytes: Vec<u8> = bytes;
        bytes.shrink_to_fit();
        let read = driver.call(Call::ReadAt { fd: file, offset: 0, bytes });
        assert_eq!(driver.end(read), DONE);
    }
}

fn many_reads_at_once(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let all = Pattern::default().take(LEN);
    let reads: Vec<_> = (0..300)
        .map(|index| {
            let offset = index * 31;
            let bytes = Vec::with_capacity(100);
            (driver.call(Call::ReadAt { fd: file, offset: offset as u64, bytes }), offset)
        })
        .collect();
    for (read, offset) in reads {
        let bytes = driver.next(read).data.expect("the account has seen it");
        assert_eq!(bytes[..100], all[offset..offset + 100]);
    }
}

fn metadata(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    for path in [place.file(), place.link(), place.path.clone(), "/dev/null".into()] {
        let expected = fs::metadata(&path).expect("metadata");
        let stat = driver.stat(&path).expect("metadata");
        assert_eq!((stat.mode, stat.size, stat.links), (expected.mode(), expected.size(), expected.nlink()));
        assert_eq!((stat.user, stat.group, stat.inode), (expected.uid(), expected.gid(), expected.ino()));
        let device = (libc::major(expected.dev()), libc::minor(expected.dev()));
        assert_eq!(stat.device, device);
        let time = |seconds, nanos: i64| Timestamp { seconds, nanos: nanos as u32 };
        assert_eq!(stat.modified, time(expected.mtime(), expected.mtime_nsec()));
        assert_eq!(stat.accessed, time(expected.atime(), expected.atime_nsec()));
        assert_eq!(stat.created.map(Into::into), expected.created().ok());
    }
}

fn no_such_file(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    for missing in ["nothing", "nothing/below", ""] {
        let path = if missing.is_empty() { PathBuf::new() } else { place.path.join(missing) };
        assert_eq!(driver.stat(&path), Err(Errno::ENOENT));
        assert_eq!(driver.refused(&path), Errno::ENOENT);
    }
}

fn paths_that_are_none(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let below_a_file = place.file().join("below");
    let with_a_zero = place.path.join("a\0zero");
    let too_long = PathBuf::from("x".repeat(5_000));
    let of_another =
        [(below_a_file, libc::ENOTDIR), (with_a_zero, libc::EINVAL), (too_long, libc::ENAMETOOLONG)];
    for (path, errno) in of_another {
        assert_eq!(driver.stat(&path), Err(Errno::new(errno)));
        assert_eq!(driver.refused(&path), Errno::new(errno));
    }
}

/// The bytes come back all the same, as the account sees.
fn not_readable(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let directory = driver.open_file(place.path.clone());
    let (socket, _peer) = driver.pair();
    for (fd, errno) in [(directory, libc::EISDIR), (socket, libc::ESPIPE)] {
        let read = driver.call(Call::ReadAt { fd, offset: 0, bytes: Vec::with_capacity(10) });
        assert_eq!(driver.end(read), Err(Errno::new(errno)));
    }
}

/// Ended either way, with the bytes or without: the account keeps the books.
fn cancelled(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    for round in 0..100 {
        let calls = [
            driver.call(Call::Open { path: place.file() }),
            driver.call(Call::Stat { path: place.file() }),
            driver.call(Call::ReadAt { fd: file, offset: 0, bytes: Vec::with_capacity(LEN) }),
        ];
        if round % 2 == 0 {
            driver.turn(Wait::No);
        }
        for token in calls {
            driver.cancel(token);
        }
        for token in calls {
            if let Err(errno) = driver.next(token).result {
                assert_eq!(errno, Errno::ECANCELED);
            }
        }
    }
    assert_eq!(driver.read_at(file, 0, LEN), Pattern::default().take(LEN));
}

/// To open the reading end of a named pipe waits for somebody who opens the other.
fn cancelled_while_it_blocks(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let pipe = place.path.join("pipe");
    let path = CString::new(pipe.as_os_str().as_bytes()).expect("a path");
    // SAFETY: the kernel only reads the path, which ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let open = driver.call(Call::Open { path: pipe.clone() });
    driver.expect_quiet(Duration::from_millis(20));
    driver.cancel(open);
    let errno = driver.next(open).result.expect_err("nobody has opened the other end");
    assert_eq!(errno, Errno::ECANCELED);
    // Whoever still waits there ends, and its descriptor is closed unseen.
    drop(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&pipe));
}

/// What is under way has the file open, whoever closes its name.
fn closed_with_a_read(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    for _ in 0..50 {
        let file = driver.open_file(place.file());
        let read = driver.call(Call::ReadAt { fd: file, offset: 0, bytes: Vec::with_capacity(LEN) });
        let close = driver.close(file);
        assert_eq!(driver.end(close), DONE);
        let completion = driver.next(read);
        match completion.result {
            Ok(_) => Pattern::default().expect(&completion.data.expect("the account has seen it")),
            Err(errno) => assert_eq!(errno, Errno::ECANCELED),
        }
    }
}

fn closed(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let (close, read) = (
        driver.close(file),
        driver.call(Call::ReadAt { fd: file, offset: 0, bytes: Vec::with_capacity(10) }),
    );
    assert_eq!((driver.end(close), driver.end(read)), (DONE, Err(Errno::EBADF)));
}

fn close_on_exec(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    let file = driver.open_file(place.file());
    let shared = driver.reactor().share(file).expect("a second owner");
    assert!(machine::is_close_on_exec(shared.as_raw_fd()));
}

fn no_descriptor_left(env: &Env) {
    let mut driver = Driver::new(env);
    let place = Place::with_file();
    // What the reactor needs for calls is there by then.
    driver.open_file(place.file());
    let shortage = Shortage::with_spare(0);
    let refused = driver.refused(&place.file());
    drop(shortage);
    assert_eq!(refused, Errno::EMFILE);
    driver.open_file(place.file());
}

impl Driver {
    fn open_file(&mut self, path: PathBuf) -> Fd {
        let token = self.call(Call::Open { path });
        fd_of(self.next(token))
    }

    fn refused(&mut self, path: &Path) -> Errno {
        let token = self.call(Call::Open { path: path.to_owned() });
        self.next(token).result.expect_err("it cannot be opened")
    }

    fn stat(&mut self, path: &Path) -> Result<Stat, Errno> {
        let token = self.call(Call::Stat { path: path.to_owned() });
        self.next(token).result.map(|outcome| match outcome {
            Outcome::Stat(stat) => *stat,
            Outcome::Done | Outcome::Count(_) | Outcome::Fd(_) | Outcome::Addresses(_) => {
                unreachable!("the account has seen it")
            }
        })
    }

    /// So many bytes at most.
    fn read_at(&mut self, fd: Fd, offset: u64, most: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(most);
        // An allocator may give more.
        bytes.resize(bytes.capacity() - most, 0);
        let there = bytes.len();
        let token = self.call(Call::ReadAt { fd, offset, bytes });
        let completion = self.next(token);
        assert!(completion.result.is_ok(), "{completion:?}");
        completion.data.expect("the account has seen it")[there..].to_vec()
    }
}

/// A directory with a file, and a symbolic link to that. Gone when dropped.
struct Place {
    path: PathBuf,
}

impl Place {
    fn with_file() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("carhop-conformance-{}-{count}", process::id()));
        fs::create_dir(&path).expect("a directory");
        let place = Self { path };
        fs::write(place.file(), Pattern::default().take(LEN)).expect("a file");
        std::os::unix::fs::symlink("file", place.link()).expect("a symbolic link");
        place
    }

    fn file(&self) -> PathBuf {
        self.path.join("file")
    }

    fn link(&self) -> PathBuf {
        self.path.join("link")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // If it stays, that fails no trial.
        let _ = fs::remove_dir_all(&self.path);
    }
}
