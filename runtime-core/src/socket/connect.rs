//! Connecting.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use socket2::{SockAddr, Type};

use crate::contain::{drop_contained, wake_contained};
use crate::context;
use crate::core::Core;
use crate::op::{Op, Token};
use crate::operations::Completer;
use crate::reactor::Completion;
use crate::task::{Awaits, note};

use super::descriptor::Descriptor;
use super::stream::Stream;

/// Connects a stream socket to `addr`. Dropping the future gives the attempt up and closes the socket.
///
/// # Errors
///
/// Those of `socket(2)` and `connect(2)`: `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`, ...
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub async fn connect(addr: &SockAddr) -> io::Result<Stream> {
    let core = context::with("a socket", Rc::clone);
    // Locals are dropped in reverse: an attempt that is given up is cancelled first, then its socket closed.
    let descriptor = Descriptor::open(&core, addr.domain(), Type::STREAM)?;
    Connecting::start(&core, &descriptor, addr)?.await?;
    Ok(Stream::new(descriptor))
}

/// An operation in flight, cancelled on drop.
struct Connecting {
    core: Rc<Core>,
    fd: RawFd,
    token: Token,
    attempt: Rc<Attempt>,
}

/// The part that the operation owns together with the future.
struct Attempt {
    addr: SockAddr,
    result: Cell<Option<i32>>,
    waiter: RefCell<Option<Waker>>,
}

impl Connecting {
    fn start(core: &Rc<Core>, descriptor: &Descriptor, addr: &SockAddr) -> io::Result<Self> {
        let attempt =
            Rc::new(Attempt { addr: addr.clone(), result: Cell::new(None), waiter: RefCell::default() });
        let op = Op::Connect { fd: descriptor.raw(), addr: NonNull::from(&attempt.addr) };
        // SAFETY: the address is inside the completer's `Rc`, so it does not move, and nobody changes it. The
        // descriptor outlives `self`, whose drop cancels.
        let token = unsafe { core.start(op, Rc::clone(&attempt) as Rc<dyn Completer>) }?;
        Ok(Self { core: Rc::clone(core), fd: descriptor.raw(), token, attempt })
    }
}

impl Future for Connecting {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.attempt.result.get() {
            Some(0) => Poll::Ready(Ok(())),
            Some(error) => Poll::Ready(Err(io::Error::from_raw_os_error(-error))),
            None => {
                // Cloned and dropped with nothing borrowed: it may be a user's own.
                let waker = cx.waker().clone();
                let replaced = self.attempt.waiter.replace(Some(waker));
                drop(replaced);
                note(Awaits::Operation { name: "connect", fd: self.fd });
                Poll::Pending
            }
        }
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if self.attempt.result.get().is_none() {
            self.core.operations.cancel(self.token);
            drop_contained(self.attempt.waiter.take());
        }
    }
}

impl Completer for Attempt {
    fn complete(self: Rc<Self>, completion: Completion) {
        self.result.set(Some(completion.result));
        if let Some(waiter) = self.waiter.take() {
            wake_contained(waiter);
        }
    }
}
