//! Files: reading them, and what the file system knows of them.
//!
//! The kernel has no readiness for files. On io_uring these are requests to the kernel; on epoll a read is first attempted
//! where it does not wait, and else made on another thread, as everything else is.
//!
//! ```
//! use carhop::fs::{self, File};
//!
//! carhop::run(async {
//!     let file = File::open("Cargo.toml").await?;
//!     let (count, bytes) = file.read_at(Vec::with_capacity(9), 0).await;
//!     assert_eq!((count?, &bytes[..]), (9, &b"[package]"[..]));
//!     assert!(fs::metadata("Cargo.toml").await?.len() > 9);
//!     std::io::Result::Ok(())
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

use runtime_core::call::Stat;
use runtime_core::fs;

/// An open file.
pub struct File(fs::File);

impl File {
    /// Opens a file for reading. Dropping the future leaves nothing open.
    ///
    /// # Errors
    ///
    /// `NotFound`, `PermissionDenied`, and others of `open(2)`; the text names the path. `Unsupported` in the simulator.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        fs::File::open(path).await.map(Self).map_err(|error| about("open", path, &error))
    }

    /// Takes over a file that was opened elsewhere.
    ///
    /// # Errors
    ///
    /// `Unsupported` in the simulator.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn from_std(file: std::fs::File) -> io::Result<Self> {
        fs::File::from_fd(OwnedFd::from(file)).map(Self)
    }

    /// Reads from `offset`, in bytes from the file's start, into the spare capacity of `bytes`, behind what they have.
    /// Returns how many bytes that is, and the vector: 0 at the end of the file, or without spare capacity. It may be
    /// less than there is room for.
    ///
    /// The vector comes back with an error, too. It is lost if the future is dropped: the kernel may still write to it.
    ///
    /// # Errors
    ///
    /// Those of `pread(2)`. `NotConnected` while the runtime is being dropped.
    pub async fn read_at(&self, bytes: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        self.0.read_at(bytes, offset).await
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?})", self.as_fd())
    }
}

/// What the file system knows of a file. Symbolic links are followed.
///
/// # Errors
///
/// `NotFound`, `PermissionDenied`, and others of `statx(2)`; the text names the path. `Unsupported` in the simulator.
///
/// # Panics
///
/// Outside of a running runtime.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref();
    fs::stat(path).await.map(Metadata).map_err(|error| about("stat", path, &error))
}

/// What the file system knows of a file; see [`metadata`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Metadata(Stat);

/// The bits of `st_mode` that say what a file is (inode(7)), and what they say.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

impl Metadata {
    /// Its size in bytes.
    pub fn len(&self) -> u64 {
        self.0.size
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.size == 0
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.0.mode & TYPE == REGULAR
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.0.mode & TYPE == DIRECTORY
    }

    /// Its type and permissions, as `st_mode` has them (inode(7)).
    pub fn mode(&self) -> u32 {
        self.0.mode
    }

    /// When its contents changed last.
    pub fn modified(&self) -> SystemTime {
        self.0.modified.into()
    }

    /// When it was read last, as far as the mount keeps that.
    pub fn accessed(&self) -> SystemTime {
        self.0.accessed.into()
    }

    /// When it was made, if the file system knows.
    pub fn created(&self) -> Option<SystemTime> {
        self.0.created.map(SystemTime::from)
    }

    /// All that is known, in numbers.
    pub fn stat(&self) -> &Stat {
        &self.0
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn about(what: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}
