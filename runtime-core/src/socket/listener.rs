//! A listening socket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::{SockAddr, Type};

use crate::context;
use crate::core::Core;
use crate::op::{Control, End, Op, SocketOption};
use crate::operations::Completer;
use crate::reactor::Completion;

use super::arrivals::{self, Arrivals, Receiver};
use super::descriptor::Descriptor;
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
    core: Rc<Core>,
    /// Open for as long as the listener exists; after that, `incoming` is closed and it is not used any more.
    fd: RawFd,
    incoming: RefCell<Arrivals<VecDeque<Descriptor>>>,
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
        let core = context::with("a socket", Rc::clone);
        let descriptor = Descriptor::open(&core, addr.domain(), Type::STREAM)?;
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
        let core = context::with("a socket", Rc::clone);
        Descriptor::adopt(&core, fd).map(Self::new)
    }

    fn new(descriptor: Descriptor) -> Self {
        let io = Rc::new(ListenerIo {
            core: Rc::clone(&descriptor.core),
            fd: descriptor.raw(),
            incoming: RefCell::new(Arrivals::new()),
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
            let Some(descriptor) = ready!(arrivals::poll(&self.io, cx, VecDeque::pop_front))?.flatten()
            else {
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

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        arrivals::close(&*self.io);
    }
}

impl Receiver for ListenerIo {
    type Queue = VecDeque<Descriptor>;

    fn core(&self) -> &Core {
        &self.core
    }

    fn incoming(&self) -> &RefCell<Arrivals<VecDeque<Descriptor>>> {
        &self.incoming
    }

    fn fd(&self) -> RawFd {
        self.fd
    }

    fn op(&self) -> Op {
        Op::Accept { fd: self.fd }
    }
}

impl Completer for ListenerIo {
    fn complete(self: Rc<Self>, completion: Completion) {
        let accepted = (completion.result >= 0).then(|| {
            // SAFETY: the result of an accept is a new descriptor, which whoever takes the completion owns.
            Descriptor::new(&self.core, unsafe { OwnedFd::from_raw_fd(completion.result) })
        });
        arrivals::arrived(&self, &completion, accepted);
    }

    fn settle(self: Rc<Self>) {
        arrivals::settle(&*self, |untaken| untaken.len() > UNTAKEN_LIMIT);
    }
}
