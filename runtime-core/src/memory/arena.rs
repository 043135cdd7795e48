//! The bytes of small writes, until the turn that makes them.
//!
//! A write that is staged is not borrowed from its task any more, which may be dropped before the turn. So its bytes are
//! copied here, one write behind the other. As each write ends in the turn that makes it, all of the memory is free
//! again as a rule when the turn is over, and the same few lines of the cache serve every step.

use std::cell::{Cell, OnceCell};
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::slice;

use super::Memory;

/// How many bytes there is room for: more than a step of small writes needs, and little enough for the cache.
const LEN: usize = 64 * 1024;

/// Memory for the bytes of staged writes.
#[derive(Default)]
pub struct Arena {
    /// From the first write that is staged on.
    memory: OnceCell<Memory>,
    /// What begins before this is, or was, somebody's.
    used: Cell<usize>,
    slices: Cell<usize>,
}

impl Arena {
    /// Copies `bytes`, if there is room and memory for them.
    #[inline]
    pub fn copy(self: &Rc<Self>, bytes: &[u8]) -> Option<Slice> {
        let start = self.used.get();
        let end = start.checked_add(bytes.len()).filter(|&end| end <= LEN)?;
        let memory = match self.memory.get() {
            Some(memory) => memory,
            None => self.map()?,
        };
        // SAFETY: `start` is at most `LEN`, so this is inside of the memory or just behind it.
        let place = unsafe { memory.start().add(start) };
        // SAFETY: the memory goes on for `bytes.len()` bytes from here. They are in no slice: each slice that exists
        // ends at `used` at the latest. So they overlap no `bytes`, wherever those are.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        self.used.set(end);
        self.slices.set(self.slices.get() + 1);
        Some(Slice { arena: Rc::clone(self), start: place, len: bytes.len() })
    }

    #[cold]
    fn map(&self) -> Option<&Memory> {
        let memory = Memory::zeroed(LEN).ok()?;
        Some(self.memory.get_or_init(|| memory))
    }
}

/// Bytes in an [`Arena`]. Nobody changes them while this exists.
pub struct Slice {
    /// Owns the memory.
    arena: Rc<Arena>,
    start: NonNull<u8>,
    len: usize,
}

impl Slice {
    /// The first `count` bytes do not count any more; there are at least so many.
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(count <= self.len);
        // SAFETY: the slice goes on for `count` bytes at least.
        self.start = unsafe { self.start.add(count) };
        self.len -= count;
    }
}

impl Deref for Slice {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `Arena::copy` wrote these bytes, inside of the memory that `arena` owns. It writes others only behind
        // `used`, which goes back only when no slice is left.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Slice {
    #[inline]
    fn drop(&mut self) {
        let left = self.arena.slices.get() - 1;
        self.arena.slices.set(left);
        if left == 0 {
            self.arena.used.set(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_keep_their_bytes_and_the_room_comes_back_with_the_last() {
        let arena = Rc::<Arena>::default();
        let first = arena.copy(b"first").unwrap();
        let mut second = arena.copy(&[7; LEN - 5]).unwrap();
        assert!(arena.copy(b"!").is_none(), "it is full");
        drop(first);
        assert!(arena.copy(b"!").is_none(), "the second is still there");
        second.advance(LEN - 7);
        assert_eq!(&*second, [7; 2]);
        drop(second);
        assert_eq!(&*arena.copy(b"again").unwrap(), b"again");
    }

    #[test]
    fn a_slice_outlives_its_arena() {
        let arena = Rc::<Arena>::default();
        let slice = arena.copy(b"bytes").unwrap();
        drop(arena);
        assert_eq!(&*slice, b"bytes");
    }
}
