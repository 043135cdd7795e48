//! Ends the wait of a reactor from another thread.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use runtime_core::reactor::Unpark;
use rustix::event::{EventfdFlags, eventfd};

/// The descriptor behind [`Unpark`] for a reactor that waits on descriptors: `eventfd(2)`.
///
/// Watched edge-triggered, it never needs to be read: each write is a new edge, and to overflow the 64-bit
/// counter would take centuries.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A new one, close-on-exec and non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `eventfd(2)`: no descriptor left (`EMFILE`, `ENFILE`), or no memory.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(File::from(fd)))
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Unpark for EventFd {
    fn unpark(&self) {
        // It fails only on overflow, when an edge is pending anyway.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }
}
