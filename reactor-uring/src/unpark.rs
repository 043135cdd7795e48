//! How other threads end a wait, in the reactor's turn or in a host's own loop.
//!
//! A host cannot watch the ring's own descriptor. With deferred completion work that does become readable when there is
//! such work, but whoever waits for it already is not woken. So the kernel is given an eventfd to write to, the bell.
//! Unparks ring it as well: for a request that an eventfd completes, the kernel rings at most once (both seen on Linux
//! 6.18).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use io_uring::Submitter;
use kernel::event::EventFd;
use runtime_core::reactor::Unpark;

/// Ends a turn's wait, and a host's.
pub(crate) struct Unparker {
    /// The ring watches it.
    event: EventFd,
    bell: Bell,
}

impl Unparker {
    /// # Errors
    ///
    /// Those of `eventfd(2)`.
    pub(crate) fn new(bell: &Bell) -> io::Result<Self> {
        Ok(Self { event: EventFd::new()?, bell: bell.clone() })
    }
}

impl Unpark for Unparker {
    fn unpark(&self) {
        self.event.unpark();
        self.bell.ring();
    }
}

impl AsFd for Unparker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// What a host's own loop watches, from the first time on that it was asked for.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<OnceLock<File>>);

impl Bell {
    /// # Errors
    ///
    /// Those of `eventfd(2)` and `io_uring_register(2)`.
    pub(crate) fn watch(&self, submitter: &Submitter<'_>) -> io::Result<BorrowedFd<'_>> {
        if let Some(file) = self.0.get() {
            return Ok(file.as_fd());
        }
        let file = File::from(EventFd::new()?.as_fd().try_clone_to_owned()?);
        submitter.register_eventfd(file.as_raw_fd())?;
        Ok(self.0.get_or_init(|| file).as_fd())
    }

    /// Makes it unreadable until something new comes. Whoever looks for news afterwards misses none.
    #[inline]
    pub(crate) fn clear(&self) {
        if let Some(mut file) = self.0.get() {
            // It fails only if nothing is there.
            let _ = file.read(&mut [0; 8]);
        }
    }

    fn ring(&self) {
        if let Some(mut file) = self.0.get() {
            // It fails only on overflow, when it is readable anyway.
            let _ = file.write(&1u64.to_ne_bytes());
        }
    }
}
