//! Work that may block: what the kernel has no readiness for.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::names::Fd;

/// Work that may block, as data that owns what it names. See [`Op::Call`](super::op::Op::Call).
pub enum Call {
    /// The addresses of a host, with a port. `Outcome::Addresses`.
    Resolve {
        /// A name or an IP address.
        host: String,
        /// The port of each address.
        port: u16,
    },
    /// Opens a file for reading, close-on-exec. `Outcome::Fd`.
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// What the file system knows of a path (statx(2)), following symbolic links. `Outcome::Metadata`.
    Stat {
        /// Which file.
        path: PathBuf,
    },
    /// Reads from a file at an offset (pread(2)) into the spare capacity of `bytes`, behind what they have.
    /// `Outcome::Count`, with the bytes: 0 at the end of the file, or without spare capacity.
    ReadAt {
        /// A file.
        fd: Fd,
        /// Where to begin, in bytes from the file's start.
        offset: u64,
        /// What is read goes behind its end. Comes back as `Data::Vec`.
        bytes: Vec<u8>,
    },
    /// Calls a closure on a thread where it may block. `Outcome::Done` when it has returned.
    Run(Job),
}

impl Call {
    /// The call in one word, for reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Call::Resolve { .. } => "resolve",
            Call::Open { .. } => "open",
            Call::Stat { .. } => "stat",
            Call::ReadAt { .. } => "read",
            Call::Run(_) => "blocking work",
        }
    }

    /// The descriptor that it is about, if it is about one.
    pub const fn fd(&self) -> Option<Fd> {
        match self {
            Call::ReadAt { fd, .. } => Some(*fd),
            Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => None,
        }
    }

    /// The bytes that it owns.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Call::ReadAt { bytes, .. } => Some(bytes),
            Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => None,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A closure that is called once, or dropped uncalled. It contains its own panics.
pub struct Job(Box<Closure>);

type Closure = dyn FnOnce(&dyn Fn()) + Send;

impl Job {
    /// Wraps `f`, which must not unwind: whoever calls it need not expect that.
    pub fn new(f: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(|_| f()))
    }

    /// As [`Job::new`], for a closure that hands out an answer by itself. It calls its argument before that, when there
    /// is nothing else to do: the thread is free for the next job then, before anybody sees the answer.
    pub fn with_answer(f: impl FnOnce(&dyn Fn()) + Send + 'static) -> Self {
        Self(Box::new(f))
    }

    /// Calls it, on this thread. It calls `done` at most once.
    pub fn run(self, done: &dyn Fn()) {
        (self.0)(done);
    }
}

/// What the file system knows of a file (statx(2), inode(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its number on its device.
    pub inode: u64,
    /// The device that it is on, as major and minor number.
    pub device: (u32, u32),
    /// When its contents changed last.
    pub modified: Timestamp,
    /// When it was read last, as far as the mount keeps that.
    pub accessed: Timestamp,
    /// When it was made, if the file system knows.
    pub created: Option<Timestamp>,
}

/// A point in time of the file system: seconds since 1970, and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Whole seconds since 1970 began, or before.
    pub seconds: i64,
    /// The nanoseconds after that, below 1,000,000,000.
    pub nanos: u32,
}

impl From<Timestamp> for SystemTime {
    /// The nearest time that a [`SystemTime`] can say: on 64-bit Linux, the same.
    fn from(time: Timestamp) -> Self {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = if time.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(seconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        let whole = whole.unwrap_or(SystemTime::UNIX_EPOCH);
        whole.checked_add(Duration::from_nanos(time.nanos.into())).unwrap_or(whole)
    }
}

/// The addresses that a look-up found, never none; or why it found none, in the resolver's words.
pub type Resolved = std::io::Result<Vec<SocketAddr>>;
