//! Files.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::call::{Call, Stat};
use crate::context;
use crate::data::Data;
use crate::io::Descriptor;
use crate::op::{Fd, Op, Outcome};
use crate::request::{InFlight, Request};

/// An open file. Dropping it closes the descriptor; a read that is under way ends first.
pub struct File {
    descriptor: Descriptor,
}

impl File {
    /// Opens a file for reading. Dropping the future closes what is opened all the same.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`.
    ///
    /// # Panics
    ///
    /// Polling it panics outside of a running runtime.
    pub async fn open(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let descriptor = InFlight::start(&context::io("a file"), Open { path }).await?;
        Ok(Self { descriptor })
    }

    /// Takes over a file that was opened elsewhere.
    ///
    /// # Errors
    ///
    /// `Unsupported` on a reactor that has no kernel.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { descriptor: Descriptor::import(&context::io("a file"), fd)? })
    }

    /// Reads from `offset` into the spare capacity of `bytes`, behind what they have. How many bytes that is: 0 at the
    /// end of the file, or without spare capacity. The bytes come back in any case, unless the future is dropped.
    ///
    /// # Errors
    ///
    /// Those of `pread(2)`; `NotConnected` while the runtime is being dropped.
    pub async fn read_at(&self, bytes: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let fd = self.descriptor.fd();
        InFlight::start(self.descriptor.io(), ReadAt { fd, offset, bytes }).await
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// What the file system knows of a path (statx(2)). Symbolic links are followed.
///
/// # Errors
///
/// Those of `statx(2)`.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub async fn stat(path: &Path) -> io::Result<Stat> {
    let path = path.to_owned();
    InFlight::start(&context::io("a file"), StatPath { path }).await
}

struct Open {
    path: PathBuf,
}

impl Request for Open {
    type Output = io::Result<Descriptor>;

    fn op(self) -> Op {
        Op::Call(Call::Open { path: self.path })
    }

    fn finish(result: io::Result<Outcome<Descriptor>>, _: Option<Data>) -> Self::Output {
        match result? {
            Outcome::Fd(descriptor) => Ok(descriptor),
            other => unreachable!("an open brought {other:?}"),
        }
    }
}

struct StatPath {
    path: PathBuf,
}

impl Request for StatPath {
    type Output = io::Result<Stat>;

    fn op(self) -> Op {
        Op::Call(Call::Stat { path: self.path })
    }

    fn finish(result: io::Result<Outcome<Descriptor>>, _: Option<Data>) -> Self::Output {
        match result? {
            Outcome::Stat(stat) => Ok(*stat),
            other => unreachable!("a stat brought {other:?}"),
        }
    }
}

struct ReadAt {
    fd: Fd,
    offset: u64,
    bytes: Vec<u8>,
}

impl Request for ReadAt {
    type Output = (io::Result<usize>, Vec<u8>);

    fn op(self) -> Op {
        let Self { fd, offset, bytes } = self;
        Op::Call(Call::ReadAt { fd, offset, bytes })
    }

    fn finish(result: io::Result<Outcome<Descriptor>>, data: Option<Data>) -> Self::Output {
        let bytes = match data {
            Some(Data::Vec { bytes, .. }) => bytes,
            // It was cancelled, with the runtime: a thread may still write to them.
            None => Vec::new(),
            Some(other) => unreachable!("a read gave back {other:?}"),
        };
        let count = result.map(|outcome| match outcome {
            Outcome::Count(count) => count,
            other => unreachable!("a read brought {other:?}"),
        });
        (count, bytes)
    }
}
