//! Received bytes in the hands of whoever reads them.

use std::fmt;
use std::ops::Deref;

use crate::pool;

/// Received bytes, as they came, in a buffer that the loop's pool lends.
///
/// The pool is small, and the sockets of the loop share it. Where few of its buffers are left, the bytes are copied to
/// memory of their own instead, so that who keeps chunks for long keeps nobody from receiving. A chunk may outlive its
/// runtime.
pub struct Chunk {
    memory: Memory,
    /// How many of the first bytes do not count: they have been read.
    read: usize,
}

enum Memory {
    Lent(pool::Chunk),
    Own(Vec<u8>),
}

impl Chunk {
    /// The bytes of `chunk` from `read` on.
    pub(super) fn lent(chunk: pool::Chunk, read: usize) -> Self {
        if chunk.is_scarce() {
            return Self::own(chunk[read..].to_vec(), 0);
        }
        Self { memory: Memory::Lent(chunk), read }
    }

    /// Those of `bytes` from `read` on.
    pub(super) fn own(bytes: Vec<u8>, read: usize) -> Self {
        Self { memory: Memory::Own(bytes), read }
    }

    /// Gives the pool's buffer back, and keeps the bytes elsewhere.
    pub(super) fn leave_pool(&mut self) {
        if let Memory::Lent(_) = self.memory {
            *self = Self::own(self.to_vec(), 0);
        }
    }

    /// The first `count` bytes do not count any more.
    pub(super) fn advance(&mut self, count: usize) {
        self.read += count;
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Self::own(bytes, 0)
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

    fn deref(&self) -> &[u8] {
        let bytes = match &self.memory {
            Memory::Lent(chunk) => &chunk[..],
            Memory::Own(bytes) => &bytes[..],
        };
        &bytes[self.read..]
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
