//! The buffer ring: chunks of the pool, lent to the kernel for receives to choose from.
//!
//! All receives choose from it, so that an idle socket needs no chunk of its own. The kernel takes them in order; a
//! completion says which one was used.

use std::alloc::{self, Layout};
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use runtime_core::pool::{Chunk, Pool};

use crate::submit::BUFFER_GROUP;

/// The kernel's limit for a buffer ring.
const MAX_ENTRIES: usize = 1 << 15;

/// The pool's chunks in the kernel's hands.
///
/// It is given back by [`Buffers::release`] once no receive is under way. Otherwise it must be forgotten
/// rather than dropped, so that the pool outlives what the kernel may still write.
pub(crate) struct Buffers {
    ring: NonNull<BufRingEntry>,
    entries: usize,
    tail: u16,
    pool: Rc<Pool>,
    /// By the chunk's index: whether the kernel has it.
    lent: Box<[bool]>,
    lent_count: usize,
}

impl Buffers {
    /// Registers an empty ring with room for every chunk of `pool`.
    ///
    /// # Errors
    ///
    /// No memory (`ENOMEM`), for instance because of `RLIMIT_MEMLOCK`: the kernel pins the ring.
    pub(crate) fn register(submitter: &Submitter<'_>, pool: &Rc<Pool>) -> io::Result<Self> {
        let chunks = usize::from(pool.chunks());
        let entries = chunks.next_power_of_two().min(MAX_ENTRIES);
        let ring = allocate(entries)?;
        // SAFETY: the ring is page-aligned, has `entries` entries, and is freed only after it has been unregistered.
        let registered = unsafe {
            submitter.register_buf_ring_with_flags(ring.as_ptr() as u64, entries as u16, BUFFER_GROUP, 0)
        };
        if let Err(error) = registered {
            free(ring, entries);
            return Err(error);
        }
        let lent = vec![false; chunks].into_boxed_slice();
        Ok(Self { ring, entries, tail: 0, pool: Rc::clone(pool), lent, lent_count: 0 })
    }

    /// Whether there is a buffer ring to be had: asked before the first receive needs one, when another backend
    /// can still be chosen.
    ///
    /// # Errors
    ///
    /// See [`Buffers::register`].
    pub(crate) fn check(submitter: &Submitter<'_>) -> io::Result<()> {
        Self::register(submitter, &Pool::new(1, 1)?)?.release(submitter);
        Ok(())
    }

    /// Lends free chunks of the pool to the kernel until it has `limit`.
    pub(crate) fn fill(&mut self, limit: usize) {
        let limit = limit.min(self.entries);
        let former_tail = self.tail;
        while self.lent_count < limit
            && let Some(chunk) = self.pool.take()
        {
            let (index, start) = chunk.into_raw();
            let place = usize::from(self.tail) & (self.entries - 1);
            // SAFETY: `place` is inside the ring. The kernel has finished with the entry: it took every entry
            // that is not lent any more, and fewer than `entries` are.
            let entry = unsafe { self.ring.add(place).as_mut() };
            entry.set_addr(start.as_ptr() as u64);
            // No result is longer than an i32 holds.
            entry.set_len(self.pool.chunk_len().min(i32::MAX as usize) as u32);
            entry.set_bid(index);
            self.lent[usize::from(index)] = true;
            self.lent_count += 1;
            self.tail = self.tail.wrapping_add(1);
        }
        if self.tail != former_tail {
            // The entries before the tail that makes them visible.
            self.shared_tail().store(self.tail, Ordering::Release);
        }
    }

    /// Takes back a chunk into which the kernel has received `len` bytes.
    pub(crate) fn reclaim(&mut self, index: u16, len: usize) -> Chunk {
        let lent = std::mem::replace(&mut self.lent[usize::from(index)], false);
        assert!(lent, "the kernel returned a chunk that it did not have");
        self.lent_count -= 1;
        // SAFETY: the chunk was lent, as asserted, and is not any more. The kernel no longer touches a buffer
        // whose completion it has delivered.
        unsafe { self.pool.reclaim(index, len) }
    }

    /// How many chunks the kernel can still choose from, so far as completions have told.
    pub(crate) fn available(&self) -> usize {
        self.lent_count
    }

    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Unregisters the ring and gives all chunks back to the pool. No receive may be under way.
    pub(crate) fn release(mut self, submitter: &Submitter<'_>) {
        if submitter.unregister_buf_ring(BUFFER_GROUP).is_err() {
            // The kernel may still look into it.
            std::mem::forget(self);
            return;
        }
        for index in 0..self.pool.chunks() {
            if self.lent[usize::from(index)] {
                drop(self.reclaim(index, 0));
            }
        }
        free(self.ring, self.entries);
    }

    fn shared_tail(&self) -> &AtomicU16 {
        // SAFETY: the first entry is initialised (the memory was zeroed). The tail is its last field, aligned
        // as a `u16`, there for as long as `self`, and after registration only accessed atomically: by the
        // kernel, and here. (`fill` sets the entry's other fields.)
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) }
    }
}

/// Zeroed pages for a ring of `entries`, of their own: what the kernel pins shares no page with anything else. From the
/// allocator, which may have some at hand: to map new ones and have the kernel fill them takes several times as long.
fn allocate(entries: usize) -> io::Result<NonNull<BufRingEntry>> {
    // SAFETY: the layout is not of size zero.
    let start = unsafe { alloc::alloc_zeroed(layout(entries)) };
    NonNull::new(start.cast()).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

fn free(ring: NonNull<BufRingEntry>, entries: usize) {
    // SAFETY: `allocate` had it from the allocator with this layout; the only callers own it and never use it again.
    unsafe { alloc::dealloc(ring.as_ptr().cast(), layout(entries)) };
}

/// Whole pages.
fn layout(entries: usize) -> Layout {
    // SAFETY: no memory is involved.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
    let ring = Layout::array::<BufRingEntry>(entries).and_then(|ring| ring.align_to(page));
    ring.expect("at most 32,768 entries, and a page is a power of two").pad_to_align()
}
