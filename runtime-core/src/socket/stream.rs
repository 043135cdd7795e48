//! A connected stream socket.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockAddr;

use crate::contain::{drop_contained, wake_contained};
use crate::context;
use crate::core::Core;
use crate::op::{Control, End, Op, SocketOption, Token};
use crate::operations::Completer;
use crate::reactor::Completion;
use crate::task::{Awaits, note};

use super::arrivals::{self, Arrivals, Receiver};
use super::bytes::Unread;
use super::descriptor::Descriptor;

/// How many received bytes may wait in a stream that nobody reads before it stops receiving.
const UNREAD_LIMIT: usize = 64 * 1024;

/// A connected stream socket.
///
/// Dropping it cancels what is in flight and closes the descriptor, in the loop's next turn.
///
/// Each direction has room for one waiting task: a second one that polls the same direction takes the place
/// of the first, which is then not woken any more.
pub struct Stream {
    io: Rc<StreamIo>,
    descriptor: Descriptor,
}

/// The part of a stream that its operations in flight own together with it.
struct StreamIo {
    core: Rc<Core>,
    /// Open for as long as the stream exists; after that, `incoming` is closed and it is not used any more.
    fd: RawFd,
    incoming: RefCell<Arrivals<Unread>>,
    outgoing: RefCell<Outgoing>,
}

/// Who waits for room in the send buffer, and the operation that does.
#[derive(Default)]
struct Outgoing {
    armed: Option<Token>,
    writer: Option<Waker>,
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

    /// Writes as much of `buf` as the send buffer has room for, or waits until it has some.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`: `BrokenPipe`, `ConnectionReset`, `NotConnected`, ... Never raises `SIGPIPE`.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let core = &self.io.core;
        // While the operation waits for room, an attempt would be in vain.
        if self.io.outgoing.borrow().armed.is_none() {
            ready!(core.poll_try(cx));
            match core.with_reactor(|reactor| reactor.send(self.descriptor.as_fd(), buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let token = self.io.await_room()?;
                    self.io.outgoing.borrow_mut().armed = Some(token);
                }
                result => return Poll::Ready(result),
            }
        }
        let waker = cx.waker().clone();
        let replaced = self.io.outgoing.borrow_mut().writer.replace(waker);
        drop(replaced);
        note(Awaits::Operation { name: "write", fd: self.io.fd });
        Poll::Pending
    }

    /// `shutdown(2)`. `Shutdown::Write` says to the peer that no more will be written.
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
        let Outgoing { armed, writer } = self.io.outgoing.take();
        if let Some(token) = armed {
            self.io.core.operations.cancel(token);
        }
        drop_contained(writer);
    }
}

impl StreamIo {
    fn await_room(self: &Rc<Self>) -> io::Result<Token> {
        let completer = Rc::clone(self) as Rc<dyn Completer>;
        // SAFETY: the operation names no memory. Its descriptor is open: this is called by a method of the
        // stream, whose drop cancels before it closes.
        unsafe { self.core.start(Op::Writable { fd: self.fd }, completer) }
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
        if self.outgoing.borrow().armed != Some(completion.token) {
            let chunk = completion.chunk.take();
            return arrivals::arrived(&self, &completion, chunk);
        }
        let Outgoing { writer, .. } = self.outgoing.take();
        if let Some(writer) = writer {
            wake_contained(writer);
        }
    }

    fn settle(self: Rc<Self>) {
        // What is unread must not keep the pool's chunks from others.
        arrivals::settle(&*self, |unread| unread.leave_pool() > UNREAD_LIMIT);
    }
}
