//! Memory that the kernel reads and writes.

use std::ptr::NonNull;
use std::{io, ptr};

/// Pages of zeros, which the kernel provides one by one as they are touched: a loop that needs two chunks at a
/// time pays for two. (`alloc_zeroed` clears all of them at once when it is to align them.)
pub(crate) struct Memory {
    start: NonNull<u8>,
    len: usize,
}

impl Memory {
    /// # Panics
    ///
    /// If there are no `len` bytes of memory.
    pub(crate) fn new(len: usize) -> Self {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, where the kernel chooses, touches nobody's memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            panic!("no memory for buffers of {len} bytes: {}", io::Error::last_os_error());
        }
        Self { start: NonNull::new(start.cast()).expect("the kernel maps nothing at 0 unasked"), len }
    }

    /// Valid for reads and writes of `len` bytes as long as this exists.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length. Whoever was given a part of it keeps this alive, too.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
