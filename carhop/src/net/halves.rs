//! The two directions of a stream, each for itself.

use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll};

use runtime_core::socket::{Chunk, Stream};

use super::directions::{ending, reading, writing};
use super::stream::TcpStream;

/// The reading direction of a [`TcpStream`], borrowed: see [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a> {
    stream: &'a Stream,
}

/// The writing direction of a [`TcpStream`], borrowed: see [`TcpStream::split`].
#[derive(Debug)]
pub struct WriteHalf<'a> {
    stream: &'a Stream,
}

/// The reading direction of a [`TcpStream`], owned: see [`TcpStream::into_split`]. The connection is closed when both
/// halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Rc<Stream>,
}

/// The writing direction of a [`TcpStream`], owned: see [`TcpStream::into_split`]. Dropping it shuts the direction
/// down, so that the peer reads the end of the stream. The connection is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Rc<Stream>,
    shutdown_on_drop: bool,
}

pub(super) fn borrowed(stream: &Stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
    (ReadHalf { stream }, WriteHalf { stream })
}

pub(super) fn owned(stream: Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Rc::new(stream);
    (OwnedReadHalf { stream: Rc::clone(&stream) }, OwnedWriteHalf { stream, shutdown_on_drop: true })
}

impl ReadHalf<'_> {
    reading!();
}

impl WriteHalf<'_> {
    writing!();
    ending!();
}

impl OwnedReadHalf {
    reading!();

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    pub fn reunite(self, mut write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Rc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.shutdown_on_drop = false;
        drop(write);
        Ok(TcpStream::new(Rc::into_inner(self.stream).expect("there are only two halves")))
    }
}

impl OwnedWriteHalf {
    writing!();
    ending!();
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // It fails if the connection is gone already. Then there is nothing to shut down.
            let _ = self.shutdown();
        }
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the halves are of two streams. It gives them back.
#[derive(Debug, thiserror::Error)]
#[error("these are halves of two different streams")]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);
