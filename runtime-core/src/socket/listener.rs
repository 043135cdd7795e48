//! A listening socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::address::{Kind, SockAddr};
use crate::context;
use crate::io::{Descriptor, Io};
use crate::op::{Completion, Control, End, Fd, Op, Outcome, SocketOption};
use crate::operations::{Completer, Role};

use super::receive::{self, News, ReceiveSide, Receiver};
use super::shared::Shared;
use super::stream::Stream;

/// How many accepted connections may wait for their taker before the listener stops accepting more.
const UNTAKEN_LIMIT: usize = 64;

/// A listening stream socket.
///
/// Accepts from the first [`Listener::poll_accept`] on, also between two calls: what was accepted waits here.
/// Dropping the listener closes it and all connections that nobody has taken.
pub struct Listener {
    io: Rc<ListenerIo>,
    descriptor: Descriptor,
}

/// The part of a listener that its operation in flight owns together with it.
struct ListenerIo {
    io: Rc<Io>,
    /// Stale when the listener is gone; then `incoming` is closed.
    fd: Fd,
    incoming: RefCell<ReceiveSide<VecDeque<Descriptor>>>,
}

impl Listener {
    /// A socket bound to `addr` that listens with this backlog.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `setsockopt(2)`, `bind(2)` and `listen(2)`: `AddrInUse`, `AddrNotAvailable`,
    /// `PermissionDenied`, ...
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub fn bind(addr: &SockAddr, options: &[(SocketOption, u32)], backlog: i32) -> io::Result<Self> {
        let descriptor = Descriptor::open(&context::io("a socket"), addr.family(), Kind::Stream)?;
        for &(option, value) in options {
            descriptor.control(Control::Set(option, value))?;
        }
        descriptor.control(Control::Bind(addr))?;
        descriptor.control(Control::Listen(backlog))?;
        Ok(Self::new(descriptor))
    }

    /// Takes over a listening socket that was made elsewhere.
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

    fn new(descriptor: Descriptor) -> Self {
        let io = Rc::new(ListenerIo {
            io: Rc::clone(descriptor.io()),
            fd: descriptor.fd(),
            incoming: RefCell::new(ReceiveSide::new()),
        });
        Self { io, descriptor }
    }

    /// Takes the connection that has waited longest, with its peer's address.
    ///
    /// Only looks at what the listener has accepted, so no connection is lost when the caller gives up
    /// waiting. A connection that its peer has reset meanwhile is skipped.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`, once each; notably the lack of descriptors (`EMFILE`, `ENFILE`), which lasts
    /// until some are closed: wait a while before you try again. `NotConnected` after the runtime has been
    /// dropped.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, SockAddr)>> {
        loop {
            let Some(descriptor) = ready!(receive::poll(&self.io, cx, VecDeque::pop_front))?.flatten() else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match descriptor.address(End::Peer) {
                Ok(peer) => return Poll::Ready(Ok((Stream::new(descriptor), peer))),
                // accept(2) itself skips a connection that was reset before; this one was reset just after.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub fn local_address(&self) -> io::Result<SockAddr> {
        self.descriptor.address(End::Local)
    }
}

impl Listener {
    /// Its name in the reactor.
    pub fn fd(&self) -> Fd {
        self.descriptor.fd()
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        receive::close(&*self.io);
    }
}

impl Shared for ListenerIo {
    fn io(&self) -> &Io {
        &self.io
    }

    fn fd(&self) -> Fd {
        self.fd
    }
}

impl Receiver for ListenerIo {
    type Queue = VecDeque<Descriptor>;

    fn incoming(&self) -> &RefCell<ReceiveSide<VecDeque<Descriptor>>> {
        &self.incoming
    }

    fn op(&self) -> Op {
        Op::Accept { fd: self.fd }
    }
}

impl Completer<Descriptor> for ListenerIo {
    fn complete(self: Rc<Self>, _: Role, completion: Completion<Descriptor>) {
        let news = match completion.result {
            Ok(Outcome::Fd(descriptor)) => News::Item(descriptor),
            Ok(other) => unreachable!("an accept brought {other:?}"),
            Err(errno) => News::Failure(errno),
        };
        receive::arrived(&self, news, completion.more);
    }

    fn settle(self: Rc<Self>) {
        receive::settle(&*self, |untaken| untaken.len() > UNTAKEN_LIMIT);
    }
}
