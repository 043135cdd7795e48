//! The bytes that an operation owns.

use std::fmt;
use std::ops::Deref;

use crate::memory::{arena, pool};

/// Bytes in the hands of an operation. They stay where they are in memory, whoever moves the value.
pub enum Data {
    /// In a buffer of the pool.
    Chunk(pool::Chunk),
    /// In memory of their own, from `start` on.
    Vec {
        /// All of the memory.
        bytes: Vec<u8>,
        /// How many of the first bytes do not count.
        start: usize,
    },
    /// Copied to the write arena.
    Arena(arena::Slice),
}

impl Data {
    /// The first `count` bytes do not count any more.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "{count} bytes are more than the {} that there are", self.len());
        match self {
            Data::Chunk(chunk) => chunk.advance(count),
            Data::Vec { start, .. } => *start += count,
            Data::Arena(slice) => slice.advance(count),
        }
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data::Vec { bytes, start: 0 }
    }
}

impl Deref for Data {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Data::Chunk(chunk) => chunk,
            Data::Vec { bytes, start } => &bytes[*start..],
            Data::Arena(slice) => slice,
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Data::Chunk(_) => "a chunk",
            Data::Vec { .. } => "a vector",
            Data::Arena(_) => "the arena",
        };
        write!(f, "Data({} bytes in {place})", self.len())
    }
}
