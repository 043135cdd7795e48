//! Received bytes that wait to be read.

use std::collections::VecDeque;

use crate::pool;

use super::chunk::Chunk;
use super::receive::Queue;

/// Received bytes that wait to be read: those that have left the pool come before the chunks that arrived since.
#[derive(Default)]
pub(super) struct Unread {
    /// In memory of their own.
    moved: Vec<u8>,
    /// How many of `moved` have been read.
    read: usize,
    /// As the reactor received it, and those after it. Only for a while, because the pool is small and others need it.
    /// One is the rule, for which there is room here.
    chunk: Option<pool::Chunk>,
    chunks: VecDeque<pool::Chunk>,
}

impl Unread {
    /// Moves bytes to `buf`: as many as are there and fit.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut filled = 0;
        while let Some(first) = self.first() {
            let n = first.len().min(buf.len() - filled);
            buf[filled..filled + n].copy_from_slice(&first[..n]);
            filled += n;
            if n < first.len() {
                self.advance(n);
                break;
            }
            self.drop_first();
        }
        filled
    }

    /// Takes what comes first, whole.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Chunk> {
        if self.moved.is_empty() {
            return self.pop().map(Chunk::lent);
        }
        let start = std::mem::take(&mut self.read);
        Some(Chunk::own(std::mem::take(&mut self.moved), start))
    }

    /// Gives the chunks back to the pool, and says how many bytes are unread. Costs no more than what arrived
    /// since the last time, however much waits.
    pub(super) fn leave_pool(&mut self) -> usize {
        if self.chunk.is_none() {
            return self.moved.len() - self.read;
        }
        // So that what was read does not pile up before what was not. Half is rare enough to be free.
        if !self.moved.is_empty() && self.read > self.moved.len() / 2 {
            self.moved.drain(..self.read);
            self.read = 0;
        }
        if self.moved.is_empty() {
            // Of just that size: many a slow peer sends one burst and no more.
            let arrived: usize = self.chunk.iter().chain(&self.chunks).map(|chunk| chunk.len()).sum();
            self.moved.reserve_exact(arrived);
        }
        while let Some(chunk) = self.pop() {
            self.moved.extend_from_slice(&chunk);
        }
        self.moved.len() - self.read
    }

    fn first(&self) -> Option<&[u8]> {
        if self.moved.is_empty() { self.chunk.as_deref() } else { Some(&self.moved[self.read..]) }
    }

    /// So many bytes of what comes first have been read, and it has more.
    fn advance(&mut self, count: usize) {
        match &mut self.chunk {
            Some(chunk) if self.moved.is_empty() => chunk.advance(count),
            _ => self.read += count,
        }
    }

    /// Takes the first chunk.
    #[inline]
    fn pop(&mut self) -> Option<pool::Chunk> {
        if self.chunks.is_empty() {
            return self.chunk.take();
        }
        std::mem::replace(&mut self.chunk, self.chunks.pop_front())
    }

    fn drop_first(&mut self) {
        if self.moved.is_empty() {
            self.pop();
        } else {
            (self.moved, self.read) = (Vec::new(), 0);
        }
    }
}

impl Queue for Unread {
    type Item = pool::Chunk;

    #[inline]
    fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.chunk.is_none()
    }

    #[inline]
    fn push(&mut self, chunk: pool::Chunk) {
        match self.chunk {
            None => self.chunk = Some(chunk),
            Some(_) => self.chunks.push_back(chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn bytes_keep_their_order_however_they_are_read_and_moved() {
        // Steps of a small generator: push 1 to 8 bytes, read up to 5, or leave the pool.
        for seed in 0..200_u64 {
            let pool = Pool::new(64, 8).unwrap();
            let (mut unread, mut pushed, mut seen) = (Unread::default(), 0_u8, 0_u8);
            let mut state = seed * 2 + 1;
            for _ in 0..200 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (action, amount) = (state >> 60, (state >> 32) as usize);
                if action < 6 {
                    let Some(mut chunk) = pool.take() else { continue };
                    let len = amount % 8 + 1;
                    for byte in &mut chunk.space()[..len] {
                        *byte = pushed;
                        pushed = pushed.wrapping_add(1);
                    }
                    chunk.set_len(len);
                    unread.push(chunk);
                } else if action < 13 {
                    let mut buf = [0; 5];
                    let n = unread.read(&mut buf[..amount % 6]);
                    for &byte in &buf[..n] {
                        assert_eq!(byte, seen, "seed {seed}");
                        seen = seen.wrapping_add(1);
                    }
                } else {
                    let left = unread.leave_pool();
                    assert_eq!(left % 256, usize::from(pushed.wrapping_sub(seen)), "seed {seed}");
                    assert_eq!(pool.available(), 64);
                }
                assert!(!unread.is_empty() || pushed == seen, "seed {seed}");
            }
        }
    }

    #[test]
    fn what_was_read_is_let_go() {
        let pool = Pool::new(1, 8).unwrap();
        let mut unread = Unread::default();
        // A reader that is always three bytes behind.
        for _ in 0..10_000 {
            let mut chunk = pool.take().expect("the only chunk is free again");
            chunk.set_len(8);
            unread.push(chunk);
            let behind = unread.leave_pool().saturating_sub(3);
            assert_eq!(unread.read(&mut vec![0; behind]), behind);
        }
        assert!(unread.moved.capacity() < 100, "{} bytes for 3", unread.moved.capacity());
    }
}
