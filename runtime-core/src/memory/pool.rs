//! The loop's receive buffers: a fixed number of chunks of one size.
//!
//! A chunk belongs to exactly one of three: the pool's free list, a [`Chunk`], or the kernel (lent by
//! [`Chunk::into_raw`], taken back by [`Pool::reclaim`]). The memory is there from the start, though no page of it is
//! used before its chunk, and is freed when the pool and every chunk are gone.

use std::cell::RefCell;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::{fmt, io, slice};

use super::Memory;

/// Receive buffers that a loop's sockets share. An idle connection holds none of them.
pub struct Pool {
    memory: Memory,
    free: RefCell<Vec<u16>>,
    chunks: u16,
    chunk_len: usize,
}

impl Pool {
    /// A pool of `chunks` buffers of `chunk_len` bytes each.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if either is 0, a chunk has more than `u32::MAX` bytes, or all of them together are more than an
    /// address space holds. `OutOfMemory` if the system does not promise so much memory.
    pub fn new(chunks: u16, chunk_len: usize) -> io::Result<Rc<Self>> {
        let refused = |kind, why: &str| {
            let text = format!("{chunks} receive buffers of {chunk_len} bytes: {why}");
            io::Error::new(kind, text)
        };
        if chunks == 0 || chunk_len == 0 {
            return Err(refused(io::ErrorKind::InvalidInput, "at least one of at least one byte is needed"));
        }
        if u32::try_from(chunk_len).is_err() {
            return Err(refused(io::ErrorKind::InvalidInput, "more than one receive can fill"));
        }
        let len = usize::from(chunks).saturating_mul(chunk_len);
        let memory = Memory::zeroed(len).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => refused(error.kind(), "more than an address space holds"),
            kind => refused(kind, "the system has not so much memory"),
        })?;
        // Taken from the end: the chunk that came back last is the one still in the cache.
        let free = RefCell::new((0..chunks).rev().collect());
        Ok(Rc::new(Self { memory, free, chunks, chunk_len }))
    }

    /// How many chunks there are in all.
    pub fn chunks(&self) -> u16 {
        self.chunks
    }

    /// How many chunks are free now.
    pub fn available(&self) -> usize {
        self.free.borrow().len()
    }

    /// Whether so few chunks are free that those with unread bytes should come back.
    pub(crate) fn is_short(&self) -> bool {
        self.available() <= usize::from(self.chunks) / 4
    }

    /// The size of a chunk in bytes.
    pub fn chunk_len(&self) -> usize {
        self.chunk_len
    }

    /// A free chunk, empty, or `None` while all are in use.
    pub fn take(self: &Rc<Self>) -> Option<Chunk> {
        let index = self.free.borrow_mut().pop()?;
        Some(Chunk { pool: Rc::clone(self), index, start: 0, end: 0 })
    }

    /// Takes back a chunk that [`Chunk::into_raw`] lent, with its first `len` bytes filled.
    ///
    /// # Safety
    ///
    /// `index` came from [`Chunk::into_raw`] of this pool, has not been reclaimed since, and its borrower
    /// no longer touches it.
    pub unsafe fn reclaim(self: &Rc<Self>, index: u16, len: usize) -> Chunk {
        assert!(len <= self.chunk_len, "the borrower claims to have written past the chunk's end");
        Chunk { pool: Rc::clone(self), index, start: 0, end: len as u32 }
    }

    fn chunk_ptr(&self, index: u16) -> NonNull<u8> {
        // SAFETY: `index` is below `chunks`, so the offset stays inside the one allocation.
        unsafe { self.memory.start().add(index as usize * self.chunk_len) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} chunks of {} bytes free)", self.available(), self.chunks, self.chunk_len)
    }
}

/// One buffer of a [`Pool`], with the bytes that were received into it. Goes back to the pool on drop.
pub struct Chunk {
    pool: Rc<Pool>,
    index: u16,
    /// The bytes from here on count, up to `end`. Neither is beyond the buffer.
    start: u32,
    end: u32,
}

impl Chunk {
    /// The whole buffer, to be written to; then [`Chunk::set_len`] sets the filled length.
    pub fn space(&mut self) -> &mut [u8] {
        let start = self.pool.chunk_ptr(self.index);
        // SAFETY: the chunk's memory is allocated, initialised (zeroed at first), and for as long as this
        // chunk exists nobody else's; `&mut self` excludes other references through this chunk.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), self.pool.chunk_len) }
    }

    /// Whether the pool is so short of chunks that nobody should keep this one for long.
    pub(crate) fn is_scarce(&self) -> bool {
        self.pool.is_short()
    }

    /// Sets the filled length: the first `len` bytes of the buffer count.
    ///
    /// # Panics
    ///
    /// If `len` is more than the chunk holds.
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        assert!(len <= self.pool.chunk_len, "{len} bytes do not fit a chunk of {}", self.pool.chunk_len);
        (self.start, self.end) = (0, len as u32);
    }

    /// The first `count` bytes of those that count do not count any more.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "{count} bytes are more than the {} that there are", self.len());
        self.start += count as u32;
    }

    /// Lends the chunk to the kernel: its index and its address. The pool owns it again after
    /// [`Pool::reclaim`]; until then it counts as in use.
    pub fn into_raw(self) -> (u16, NonNull<u8>) {
        let lent = (self.index, self.pool.chunk_ptr(self.index));
        let mut this = std::mem::ManuallyDrop::new(self);
        // SAFETY: `this` is never used or dropped again, so its `Rc` is dropped exactly once, here. The
        // memory outlives the loan because the borrower (a reactor) holds the pool by its own `Rc`.
        unsafe { std::ptr::drop_in_place(&mut this.pool) };
        lent
    }
}

impl Deref for Chunk {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let buffer = self.pool.chunk_ptr(self.index);
        // SAFETY: as in `space`; `start` never exceeds `end`, nor `end` the chunk.
        unsafe {
            let first = buffer.add(self.start as usize);
            slice::from_raw_parts(first.as_ptr(), (self.end - self.start) as usize)
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.pool.free.borrow_mut().push(self.index);
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_somebodys_and_comes_back() {
        let pool = Pool::new(3, 8).unwrap();
        let mut chunks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!((chunks.len(), pool.available()), (3, 0));
        for (n, chunk) in (1..).zip(&mut chunks) {
            chunk.space().fill(n);
            chunk.set_len(n as usize);
        }
        assert_eq!(
            chunks.iter().map(|chunk| chunk.to_vec()).collect::<Vec<_>>(),
            [vec![1], vec![2; 2], vec![3; 3]]
        );
        chunks.remove(1);
        assert_eq!(pool.available(), 1);
    }

    #[test]
    fn the_chunk_that_came_back_last_is_taken_first() {
        let pool = Pool::new(4, 1).unwrap();
        let (first, second) = (pool.take().unwrap(), pool.take().unwrap());
        let index = first.index;
        drop((second, first));
        assert_eq!(pool.take().unwrap().index, index);
    }

    #[test]
    fn a_lent_chunk_counts_as_in_use_until_it_is_reclaimed() {
        let pool = Pool::new(1, 4).unwrap();
        let (index, start) = pool.take().unwrap().into_raw();
        assert!(pool.take().is_none());
        // SAFETY: this test is the borrower, and writes inside the chunk.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(b"abcd").cast(), 4) };
        // SAFETY: lent above, once, and not touched from here on.
        let chunk = unsafe { pool.reclaim(index, 3) };
        assert_eq!(&*chunk, b"abc");
    }

    #[test]
    fn chunks_outlive_their_pool() {
        let pool = Pool::new(2, 4096).unwrap();
        let mut chunk = pool.take().unwrap();
        drop(pool);
        chunk.space().fill(7);
        chunk.set_len(4096);
        assert!(chunk.iter().all(|&byte| byte == 7));
    }

    #[test]
    fn bytes_that_were_advanced_past_do_not_count() {
        let mut chunk = Pool::new(1, 4).unwrap().take().unwrap();
        chunk.space().copy_from_slice(b"abcd");
        chunk.set_len(3);
        chunk.advance(1);
        assert_eq!(&*chunk, b"bc");
        chunk.set_len(4);
        assert_eq!(&*chunk, b"abcd");
    }

    #[test]
    fn a_pool_that_cannot_be_is_refused() {
        let refused = |chunks, len| Pool::new(chunks, len).unwrap_err().kind();
        assert_eq!(refused(0, 1), io::ErrorKind::InvalidInput);
        assert_eq!(refused(1, 0), io::ErrorKind::InvalidInput);
        assert_eq!(refused(1, 1 << 32), io::ErrorKind::InvalidInput);
        assert_eq!(refused(u16::MAX, u32::MAX as usize), io::ErrorKind::OutOfMemory);
    }

    #[test]
    #[should_panic(expected = "5 bytes do not fit a chunk of 4")]
    fn a_length_beyond_the_chunk_is_refused() {
        Pool::new(1, 4).unwrap().take().unwrap().set_len(5);
    }
}
