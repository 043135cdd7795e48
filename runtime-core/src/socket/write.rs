//! The futures that write all of something to a stream.

use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::data::Data;
use crate::op::Token;

use super::chunk::Chunk;
use super::send::{self, Sender, Staged};
use super::shared::Shared;
use super::stream_io::StreamIo;

/// Longer writes are attempted at once: to copy them costs as much as the system call that it saves.
const COPIED_LEN: usize = 4 * 1024;

/// See [`Stream::write_all`](super::Stream::write_all).
#[must_use = "futures do nothing unless they are awaited"]
pub struct WriteAll<'a> {
    io: &'a Rc<StreamIo>,
    /// What is unwritten, as far as is known: while an attempt is staged, what it is to write is still here.
    bytes: &'a [u8],
    staged: Option<Token>,
}

/// See [`Stream::write_chunk`](super::Stream::write_chunk).
#[must_use = "futures do nothing unless they are awaited"]
pub struct WriteChunk<'a> {
    io: &'a Rc<StreamIo>,
    /// What is unwritten; empty while it is staged.
    chunk: Chunk,
    staged: Option<Token>,
}

impl<'a> WriteAll<'a> {
    pub(super) fn new(io: &'a Rc<StreamIo>, bytes: &'a [u8]) -> Self {
        Self { io, bytes, staged: None }
    }
}

impl Future for WriteAll<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io;
        if let Some(token) = self.staged {
            let left = match io.take_staged(token)? {
                Staged::Whole => 0,
                Staged::Rest(rest) => rest.len(),
                Staged::Pending => {
                    io.wait(cx);
                    return Poll::Pending;
                }
            };
            self.staged = None;
            self.bytes = &self.bytes[self.bytes.len() - left..];
        }
        while !self.bytes.is_empty() {
            let io = self.io;
            if self.bytes.len() <= COPIED_LEN
                && io.may_attempt()
                && io.has_company()
                && let Some(copy) = io.io().arena().copy(self.bytes)
            {
                self.staged = Some(io.stage(Data::Arena(copy))?);
                io.wait(cx);
                return Poll::Pending;
            }
            let count = ready!(send::poll(io, cx, self.bytes))?;
            self.bytes = &self.bytes[count..];
        }
        Poll::Ready(Ok(()))
    }
}

impl<'a> WriteChunk<'a> {
    pub(super) fn new(io: &'a Rc<StreamIo>, chunk: Chunk) -> Self {
        Self { io, chunk, staged: None }
    }
}

impl Future for WriteChunk<'_> {
    type Output = io::Result<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io;
        if let Some(token) = self.staged {
            match io.take_staged(token)? {
                Staged::Whole => {
                    self.staged = None;
                    return Poll::Ready(Ok(()));
                }
                Staged::Rest(rest) => {
                    self.staged = None;
                    self.chunk = Chunk::from(rest);
                }
                Staged::Pending => {
                    io.wait(cx);
                    return Poll::Pending;
                }
            }
        }
        while !self.chunk.is_empty() {
            let io = self.io;
            if io.may_attempt() && io.has_company() {
                let token = io.stage(mem::take(&mut self.chunk).into())?;
                self.io.wait(cx);
                self.staged = Some(token);
                return Poll::Pending;
            }
            let written = send::poll(io, cx, &self.chunk);
            if self.io.is_full() {
                // A peer that does not read must not keep the pool's chunks from others.
                self.chunk.leave_pool();
            }
            self.chunk.advance(ready!(written)?);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for WriteAll<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.staged {
            self.io.forsake(token);
        }
    }
}

impl Drop for WriteChunk<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.staged {
            self.io.forsake(token);
        }
    }
}
