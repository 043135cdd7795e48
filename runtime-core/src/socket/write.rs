//! The futures that write to a stream.

use std::io;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::op::Token;

use super::chunk::Chunk;
use super::departures;
use super::stream::Stream;

/// Longer writes are attempted at once: to copy them costs as much as the system call that it saves.
const COPIED_LEN: usize = 4 * 1024;

/// See [`Stream::write`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Write<'a> {
    stream: &'a Stream,
    bytes: &'a [u8],
    staged: Option<Token>,
}

/// See [`Stream::write_chunk`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct WriteChunk<'a> {
    stream: &'a Stream,
    /// What is unwritten. Also while an attempt to write it is staged, see `drop`.
    chunk: Chunk,
    staged: Option<Token>,
}

impl<'a> Write<'a> {
    pub(super) fn new(stream: &'a Stream, bytes: &'a [u8]) -> Self {
        Self { stream, bytes, staged: None }
    }
}

impl<'a> WriteChunk<'a> {
    pub(super) fn new(stream: &'a Stream, chunk: Chunk) -> Self {
        Self { stream, chunk, staged: None }
    }

    /// Writes some of it.
    fn attempt(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = &self.stream.io;
        if let Some(result) = self.staged.and_then(|token| io.take_result(token)) {
            self.staged = None;
            return Poll::Ready(result);
        }
        if io.may_attempt() && io.has_company() {
            // SAFETY: until the attempt has ended the chunk stays in `self`, as it is: `poll` changes it only when it
            // knows how much was written, or that there was no room. `drop` hands it over.
            self.staged = Some(unsafe { io.stage(&self.chunk)? });
        }
        departures::poll(self.stream, cx, &self.chunk)
    }
}

impl Future for Write<'_> {
    type Output = io::Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { stream, bytes, staged } = *self;
        let io = &stream.io;
        if let Some(result) = staged.and_then(|token| io.take_result(token)) {
            self.staged = None;
            return Poll::Ready(result);
        }
        if (1..=COPIED_LEN).contains(&bytes.len()) && io.may_attempt() && io.has_company() {
            self.staged = io.stage_copy(bytes)?;
        }
        departures::poll(stream, cx, bytes)
    }
}

impl Future for WriteChunk<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.chunk.is_empty() {
            let written = self.attempt(cx);
            if self.stream.io.is_full() {
                // A peer that does not read must not keep the pool's chunks from others.
                self.chunk.leave_pool();
            }
            self.chunk.advance(ready!(written)?);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.staged {
            self.stream.io.give_up(token);
        }
    }
}

impl Drop for WriteChunk<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.staged
            && !self.stream.io.give_up(token)
        {
            self.stream.io.keep(mem::take(&mut self.chunk), token);
        }
    }
}
