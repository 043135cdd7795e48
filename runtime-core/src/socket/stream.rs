//! A connected stream socket.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::SockAddr;

use crate::context;
use crate::core::Core;
use crate::op::{Control, End, Op, SocketOption};
use crate::operations::Completer;
use crate::reactor::Completion;

use super::arrivals::{self, Arrivals, Receiver};
use super::bytes::Unread;
use super::chunk::Chunk;
use super::departures::{self, Departures};
use super::descriptor::Descriptor;
use super::write::{Write, WriteChunk};

/// How many received bytes may wait in a stream that nobody reads before it stops receiving.
const UNREAD_LIMIT: usize = 64 * 1024;

/// A connected stream socket.
///
/// Dropping it cancels what is in flight, but for writes that are staged, and closes the descriptor, in the loop's next
/// turn.
///
/// Each direction has room for one waiting task: a second one that polls the same direction takes the place
/// of the first, which is then not woken any more, and repeats what it has written if it is polled all the same.
pub struct Stream {
    pub(super) io: Rc<StreamIo>,
    descriptor: Descriptor,
}

/// The part of a stream that its operations in flight own together with it.
pub(super) struct StreamIo {
    pub(super) core: Rc<Core>,
    /// Open for as long as the stream exists; after that, `incoming` is closed and it is not used any more.
    pub(super) fd: RawFd,
    incoming: RefCell<Arrivals<Unread>>,
    pub(super) outgoing: RefCell<Departures>,
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
        let core = context::with("a socket", Rc::clone);
        Descriptor::adopt(&core, fd).map(Self::new)
    }

    pub(super) fn new(descriptor: Descriptor) -> Self {
        let io = Rc::new(StreamIo {
            core: Rc::clone(&descriptor.core),
            fd: descriptor.raw(),
            incoming: RefCell::new(Arrivals::new()),
            outgoing: RefCell::default(),
        });
        Self { io, descriptor }
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
        let read = ready!(arrivals::poll(&self.io, cx, |unread| unread.read(buf)))?;
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
        let chunk = ready!(arrivals::poll(&self.io, cx, Unread::take))?;
        Poll::Ready(Ok(chunk.flatten()))
    }

    /// Writes as much of `bytes` as the send buffer has room for, or waits until it has some. Where other tasks are
    /// ready to run, too, a small write is made with theirs, in the loop's next turn.
    ///
    /// One that is dropped right after it was polled in vain, as by a timeout, has written nothing. One that is dropped
    /// unpolled when it could have gone on, as by an abort, may have written, and nobody hears how much.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`: `BrokenPipe`, `ConnectionReset`, `NotConnected`, ... Never raises `SIGPIPE`.
    pub fn write<'a>(&'a self, bytes: &'a [u8]) -> Write<'a> {
        Write::new(self, bytes)
    }

    /// Writes all of `chunk`. While there is no room for it, it holds no buffer of the pool. Where other tasks are
    /// ready to run, too, it is written with what they write, in the loop's next turn, without being copied before.
    ///
    /// Dropping the future leaves open how much is written.
    ///
    /// # Errors
    ///
    /// As [`Stream::write`].
    pub fn write_chunk(&self, chunk: Chunk) -> WriteChunk<'_> {
        WriteChunk::new(self, chunk)
    }

    /// Writes at once as much of `bytes` as the send buffer has room for, or waits until it has some. Until it is ready,
    /// nothing has been written.
    ///
    /// # Errors
    ///
    /// As [`Stream::write`].
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        departures::poll(self, cx, bytes)
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

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        arrivals::close(&*self.io);
        departures::close(&self.io);
    }
}

impl Receiver for StreamIo {
    type Queue = Unread;

    fn core(&self) -> &Core {
        &self.core
    }

    fn incoming(&self) -> &RefCell<Arrivals<Unread>> {
        &self.incoming
    }

    fn fd(&self) -> RawFd {
        self.fd
    }

    fn op(&self) -> Op {
        Op::Receive { fd: self.fd }
    }
}

impl Completer for StreamIo {
    fn complete(self: Rc<Self>, mut completion: Completion) {
        if !departures::departed(&self, completion.token, completion.result) {
            let chunk = completion.chunk.take();
            arrivals::arrived(&self, &completion, chunk);
        }
    }

    fn settle(self: Rc<Self>) {
        // What is unread must not keep the pool's chunks from others.
        arrivals::settle(&*self, |unread| unread.leave_pool() > UNREAD_LIMIT);
    }
}
