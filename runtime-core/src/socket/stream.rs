//! A connected stream socket.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::address::SockAddr;
use crate::context;
use crate::io::Descriptor;
use crate::op::{Control, End, Fd, SocketOption};

use super::bytes::Unread;
use super::chunk::Chunk;
use super::receive;
use super::send;
use super::stream_io::StreamIo;
use super::write::{WriteAll, WriteChunk};

/// A connected stream socket.
///
/// Dropping it cancels what is in flight, but for writes that are staged, and closes the descriptor, in the loop's next
/// turn.
///
/// Each direction has room for one waiting task: a second one that polls the same direction takes the place
/// of the first, which is then not woken any more.
pub struct Stream {
    io: Rc<StreamIo>,
    descriptor: Descriptor,
}

impl Stream {
    /// Takes over a connected stream socket that was made elsewhere.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        Descriptor::import(&context::io("a socket"), fd).map(Self::new)
    }

    pub(super) fn new(descriptor: Descriptor) -> Self {
        Self { io: StreamIo::of(&descriptor), descriptor }
    }

    /// Reads what has arrived, at most `buf.len()` bytes; 0 at the end of the stream, or if `buf` is empty.
    ///
    /// Only looks at what the socket has received, so nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, once, after all bytes that arrived before: `ConnectionReset`, `TimedOut`, ...;
    /// `NotConnected` after the runtime has been dropped.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = ready!(receive::poll(&self.io, cx, |unread| unread.read(buf)))?;
        Poll::Ready(Ok(read.unwrap_or(0)))
    }

    /// Reads what has arrived, as it came; `None` at the end of the stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// As [`Stream::poll_read`].
    pub fn poll_chunk(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Chunk>>> {
        let chunk = ready!(receive::poll(&self.io, cx, Unread::take))?;
        Poll::Ready(Ok(chunk.flatten()))
    }

    /// Writes all of `bytes`. Where other tasks are ready to run, too, a small write is made with theirs, in the loop's next
    /// turn.
    ///
    /// Dropping the future leaves open how much is written.
    ///
    /// # Errors
    ///
    /// As [`Stream::poll_write`].
    pub fn write_all<'a>(&'a self, bytes: &'a [u8]) -> WriteAll<'a> {
        WriteAll::new(&self.io, bytes)
    }

    /// Writes all of `chunk`. While there is no room for it, it holds no buffer of the pool. Where other tasks are
    /// ready to run, too, it is written with what they write, in the loop's next turn, without being copied before.
    ///
    /// Dropping the future leaves open how much is written.
    ///
    /// # Errors
    ///
    /// As [`Stream::poll_write`].
    pub fn write_chunk(&self, chunk: Chunk) -> WriteChunk<'_> {
        WriteChunk::new(&self.io, chunk)
    }

    /// Writes at once as much of `bytes` as the send buffer has room for, or waits until it has some. Until it is ready,
    /// nothing has been written.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`: `BrokenPipe`, `ConnectionReset`, `NotConnected`, ... Never raises `SIGPIPE`.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        send::poll(&self.io, cx, bytes)
    }

    /// `shutdown(2)`, at once. `Shutdown::Write` says to the peer that no more will be written.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is gone already, or the runtime.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.descriptor.control(Control::Shutdown(how))
    }

    /// Sets a socket option.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_option(&self, option: SocketOption, value: u32) -> io::Result<()> {
        self.descriptor.control(Control::Set(option, value))
    }

    /// The value of a socket option.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn option(&self, option: SocketOption) -> io::Result<u32> {
        self.descriptor.option(option)
    }

    /// The address of one end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is gone already, or the runtime.
    pub fn address(&self, end: End) -> io::Result<SockAddr> {
        self.descriptor.address(end)
    }
}

impl Stream {
    /// Its name in the reactor.
    pub fn fd(&self) -> Fd {
        self.descriptor.fd()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({})", self.fd())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        receive::close(&*self.io);
        send::close(&*self.io);
    }
}
