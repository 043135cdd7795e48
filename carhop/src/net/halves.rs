//! The two directions of a connection, and what both owners and borrowers of them do.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll};

use runtime_core::socket::{Chunk, Stream};

use super::stream::TcpStream;

/// The reading direction of a [`TcpStream`], borrowed.
pub struct ReadHalf<'a>(pub(super) &'a Stream);

impl ReadHalf<'_> {
    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read(self.0, buf).await
    }

    /// See [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read_exact`].
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        read_exact(self.0, buf).await
    }

    /// See [`TcpStream::read_chunk`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read_chunk(&mut self) -> io::Result<Option<Chunk>> {
        read_chunk(self.0).await
    }

    /// See [`TcpStream::read`]. Only the task that polled last is woken.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }
}

/// The writing direction of a [`TcpStream`], borrowed.
pub struct WriteHalf<'a>(pub(super) &'a Stream);

impl WriteHalf<'_> {
    /// See [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write(self.0, buf).await
    }

    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write_all`].
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.0.write_all(buf).await
    }

    /// See [`TcpStream::write_chunk`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub fn write_chunk(&mut self, chunk: Chunk) -> impl Future<Output = io::Result<()>> {
        self.0.write_chunk(chunk)
    }

    /// See [`TcpStream::write`]. Only the task that polled last is woken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    /// Says to the peer that no more will be written: it reads the end of the stream after what was.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

/// The reading direction of a [`TcpStream`], owned. The connection is closed with the second of its halves.
pub struct OwnedReadHalf(Rc<TcpStream>);

impl OwnedReadHalf {
    /// See [`TcpStream::read`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        read(self.0.stream(), buf).await
    }

    /// See [`TcpStream::read_exact`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read_exact`].
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        read_exact(self.0.stream(), buf).await
    }

    /// See [`TcpStream::read_chunk`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read_chunk(&mut self) -> io::Result<Option<Chunk>> {
        read_chunk(self.0.stream()).await
    }

    /// See [`TcpStream::read`]. Only the task that polled last is woken.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.stream().poll_read(cx, buf)
    }

    /// Puts the two halves of one stream together again.
    ///
    /// # Errors
    ///
    /// Gives both back if they are not of the same stream.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        if !Rc::ptr_eq(&self.0, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.forget();
        Ok(Rc::into_inner(self.0).expect("there are only two halves"))
    }
}

/// The writing direction of a [`TcpStream`], owned. Dropping it shuts the direction down, so that the peer
/// reads the end of the stream. The connection is closed with the second of its halves.
pub struct OwnedWriteHalf {
    stream: Rc<TcpStream>,
    shutdown_on_drop: bool,
}

impl OwnedWriteHalf {
    /// See [`TcpStream::write`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        write(self.stream.stream(), buf).await
    }

    /// See [`TcpStream::write_all`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write_all`].
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.stream.stream().write_all(buf).await
    }

    /// See [`TcpStream::write_chunk`].
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub fn write_chunk(&mut self, chunk: Chunk) -> impl Future<Output = io::Result<()>> {
        self.stream.stream().write_chunk(chunk)
    }

    /// See [`TcpStream::write`]. Only the task that polled last is woken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.stream().poll_write(cx, buf)
    }

    /// Says to the peer that no more will be written: it reads the end of the stream after what was.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.stream.stream().shutdown(Shutdown::Write)
    }

    fn forget(mut self) {
        self.shutdown_on_drop = false;
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // It fails if the connection is gone already, which is as good.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// The error of [`OwnedReadHalf::reunite`]: the halves are of two streams. Here they are.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these are halves of two different streams")
    }
}

impl std::error::Error for ReuniteError {}

impl fmt::Debug for ReadHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadHalf")
    }
}

impl fmt::Debug for WriteHalf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteHalf")
    }
}

impl fmt::Debug for OwnedReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnedReadHalf({:?})", self.0)
    }
}

impl fmt::Debug for OwnedWriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnedWriteHalf({:?})", self.stream)
    }
}

pub(super) fn owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Rc::new(stream);
    (OwnedReadHalf(Rc::clone(&stream)), OwnedWriteHalf { stream, shutdown_on_drop: true })
}

pub(super) fn read(stream: &Stream, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
    poll_fn(|cx| stream.poll_read(cx, buf))
}

pub(super) async fn read_exact(stream: &Stream, mut buf: &mut [u8]) -> io::Result<()> {
    while !buf.is_empty() {
        match read(stream, buf).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => buf = &mut buf[n..],
        }
    }
    Ok(())
}

pub(super) fn read_chunk(stream: &Stream) -> impl Future<Output = io::Result<Option<Chunk>>> {
    poll_fn(|cx| stream.poll_chunk(cx))
}

pub(super) fn write(stream: &Stream, buf: &[u8]) -> impl Future<Output = io::Result<usize>> {
    poll_fn(|cx| stream.poll_write(cx, buf))
}
