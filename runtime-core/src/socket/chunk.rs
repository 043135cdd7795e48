//! Received bytes in the hands of whoever reads them.

use std::fmt;
use std::ops::Deref;

use crate::data::Data;
use crate::pool;

/// Received bytes, as they came, in a buffer that the loop's pool lends.
///
/// The pool is small, and the sockets of the loop share it. Where few of its buffers are left, the bytes are copied to
/// memory of their own instead, so that a task which keeps chunks for long keeps no other from receiving. A chunk may
/// outlive its runtime.
pub struct Chunk(Data);

impl Chunk {
    /// The bytes of `chunk`.
    #[inline]
    pub(super) fn lent(chunk: pool::Chunk) -> Self {
        if chunk.is_scarce() { Self::own(chunk.to_vec(), 0) } else { Self(Data::Chunk(chunk)) }
    }

    /// Those of `bytes` from `start` on.
    pub(super) fn own(bytes: Vec<u8>, start: usize) -> Self {
        Self(Data::Vec { bytes, start })
    }

    /// Gives the pool's buffer back, and keeps the bytes elsewhere.
    pub(super) fn leave_pool(&mut self) {
        if let Data::Chunk(chunk) = &self.0 {
            *self = Self::own(chunk.to_vec(), 0);
        }
    }

    /// The first `count` bytes do not count any more.
    pub(super) fn advance(&mut self, count: usize) {
        self.0.advance(count);
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self::own(bytes, 0)
    }
}

impl From<Data> for Chunk {
    fn from(data: Data) -> Self {
        Self(data)
    }
}

impl From<Chunk> for Data {
    #[inline]
    fn from(chunk: Chunk) -> Self {
        chunk.0
    }
}

impl Default for Chunk {
    /// Of no bytes.
    fn default() -> Self {
        Self::own(Vec::new(), 0)
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}
