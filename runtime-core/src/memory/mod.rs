//! Memory whose place does not change, for bytes on their way from and to the kernel.
//!
//! - `pool`: receive buffers that the sockets of a loop share.
//! - `arena`: the bytes of small writes, until the turn that makes them.

pub mod arena;
pub mod pool;

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;

/// Where it begins is a multiple of this, the size of a page: so a buffer is in as few pages as it can be.
const ALIGNMENT: usize = 4096;

/// Zeros that nobody has touched yet: the kernel provides a page of a large region when it is used first, so a loop that
/// needs two chunks at a time pays for two.
struct Memory {
    allocated: NonNull<u8>,
    layout: Layout,
    /// Inside of what is allocated, and aligned.
    start: NonNull<u8>,
}

impl Memory {
    /// # Errors
    ///
    /// `OutOfMemory`; `InvalidInput` if `len` is zero or more than an address space holds.
    fn zeroed(len: usize) -> io::Result<Self> {
        // The allocator is not asked to align it: it would clear all of an aligned region itself, page by page.
        let with_spare = len.checked_add(ALIGNMENT - 1).ok_or(io::ErrorKind::InvalidInput)?;
        let layout = Layout::array::<u8>(with_spare).map_err(|_| io::ErrorKind::InvalidInput)?;
        if len == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the layout is not of size zero.
        let allocated = unsafe { alloc::alloc_zeroed(layout) };
        let allocated = NonNull::new(allocated).ok_or(io::ErrorKind::OutOfMemory)?;
        // Less than the alignment, as bytes can be at any place.
        let skipped = allocated.align_offset(ALIGNMENT);
        // SAFETY: there are `ALIGNMENT - 1` spare bytes, of which this skips some, so `len` bytes are left.
        let start = unsafe { allocated.add(skipped) };
        Ok(Self { allocated, layout, start })
    }

    /// Valid for reads and writes of its length as long as this exists.
    #[inline]
    fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeroed` with this layout. A chunk or slice, which is a part of it, keeps this alive.
        unsafe { alloc::dealloc(self.allocated.as_ptr(), self.layout) };
    }
}
