//! Memory whose place does not change, for bytes on their way from and to the kernel.
//!
//! - `pool`: receive buffers that the sockets of a loop share.
//! - `arena`: the bytes of small writes, until the turn that makes them.

pub mod arena;
pub mod pool;

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;

/// Zeros that nobody has touched yet: the kernel provides a page of a large region when it is used first, so a loop that
/// needs two chunks at a time pays for two.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// # Errors
    ///
    /// `OutOfMemory`; `InvalidInput` if `len` is zero or more than an address space holds.
    fn zeroed(len: usize) -> io::Result<Self> {
        // No alignment is asked for: the allocator would clear all of an aligned region itself.
        let layout = Layout::array::<u8>(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the layout is not of size zero.
        let start = unsafe { alloc::alloc_zeroed(layout) };
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, layout })
    }

    /// Valid for reads and writes of its length as long as this exists.
    #[inline]
    fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout. Whoever was given a part of it keeps this alive, too.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}
