//! The bytes of staged writes, until the turn that performs them.
//!
//! A write that is staged is not borrowed from its task any more, which may be dropped before the turn. So its bytes are
//! copied here, one write behind the other. As each write ends in the turn that performs it, all of the memory is
//! free again as a rule when the turn is over, and the same few lines of the cache serve every step.

use std::cell::{Cell, OnceCell};
use std::ptr::NonNull;

use crate::memory::Memory;

/// How many bytes there is room for: more than a step of small writes needs, and little enough for the cache.
const LEN: usize = 64 * 1024;

/// Memory for the bytes of staged writes.
#[derive(Default)]
pub(crate) struct Outbox {
    /// From the first write that is staged on.
    memory: OnceCell<Memory>,
    used: Cell<usize>,
    writes: Cell<usize>,
}

impl Outbox {
    /// Copies `bytes`, if there is room. They stay where they are, and as they are, until [`Outbox::remove`] has been
    /// called once for each time that this has found room.
    pub(crate) fn insert(&self, bytes: &[u8]) -> Option<NonNull<[u8]>> {
        let start = self.used.get();
        let end = start.checked_add(bytes.len()).filter(|&end| end <= LEN)?;
        let memory = self.memory.get_or_init(|| Memory::new(LEN));
        // SAFETY: `start` is at most `LEN`, so this is inside of the memory or just behind it.
        let place = unsafe { memory.start().add(start) };
        // SAFETY: the memory goes on for `bytes.len()` bytes from here. They are nobody's: what was given out ends at
        // `used`, so `bytes` are elsewhere, too.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        self.used.set(end);
        self.writes.set(self.writes.get() + 1);
        Some(NonNull::slice_from_raw_parts(place, bytes.len()))
    }

    /// A write whose bytes are here has ended.
    pub(crate) fn remove(&self) {
        self.writes.set(self.writes.get() - 1);
        if self.writes.get() == 0 {
            self.used.set(0);
        }
    }
}
