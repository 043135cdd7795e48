//! Staged operations: what can be done at once is done, the rest waits in the table.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::task::Poll;

use runtime_core::op::{Op, Token};
use runtime_core::reactor::{Completion, Reactor};
use socket2::{Protocol, SockRef};

use crate::EpollReactor;
use crate::poller::Interest;
use crate::table::{Reader, Waiting, Writer};

impl EpollReactor {
    /// Performs one staged operation.
    ///
    /// # Safety
    ///
    /// As for [`runtime_core::reactor::Reactor::turn`].
    pub(crate) unsafe fn perform(&mut self, token: Token, op: Op, done: &mut Vec<Completion>) {
        let started = match op {
            Op::Accept { fd } => {
                // SAFETY: a staged operation names an open descriptor, and it stays open while it waits.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                self.accept_from(Waiting { token, fd })
            }
            Op::Receive { fd } => {
                // SAFETY: as for an accept.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                self.wait_to_read(Reader::Receive(Waiting { token, fd }))
            }
            Op::Connect { fd, addr } => {
                // SAFETY: as for an accept; and the address that a staged operation names is valid.
                let (fd, addr) = unsafe { (BorrowedFd::borrow_raw(fd), addr.as_ref()) };
                match SockRef::from(&fd).connect(addr) {
                    Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                        self.wait_to_write(Writer::Connect(Waiting { token, fd }))
                    }
                    result => Poll::Ready(result),
                }
            }
            Op::Send { fd, bytes } => {
                // SAFETY: as for an accept; and the bytes of a staged operation are valid.
                let (fd, bytes) = unsafe { (BorrowedFd::borrow_raw(fd), bytes.as_ref()) };
                let result = self.send(fd, bytes).map(|count| count as i32);
                done.push(terminal(token, result));
                return;
            }
            Op::Writable { fd } => {
                // SAFETY: as for an accept.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                if self.table.is_full(fd) {
                    self.wait_to_write(Writer::Writable(Waiting { token, fd }))
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            Op::Close { fd } => {
                // SAFETY: a staged close owns its descriptor.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                self.forget(fd.as_fd());
                Poll::Ready(close(fd))
            }
            Op::Cancel { target } => {
                if self.table.cancel(target) {
                    self.cancelled.push(target);
                }
                return;
            }
        };
        if let Poll::Ready(result) = started {
            done.push(terminal(token, result.map(|()| 0)));
        }
    }

    /// Makes room for a descriptor that is new here: what is known of its number is of one that is gone.
    ///
    /// That one was closed by somebody else. If a duplicate of it lives, so does its watch, which nothing can
    /// end any more (`EPOLL_CTL_DEL` takes a number); its events are stale from now on.
    pub(crate) fn welcome(&mut self, fd: RawFd) {
        let left = self.table.forget(fd);
        debug_assert_eq!(left, [None; 2], "descriptor {fd} was closed while operations waited on it");
    }

    fn accept_from(&mut self, listener: Waiting) -> Poll<io::Result<()>> {
        // For a socket that does not listen there may never be an event.
        if !SockRef::from(&listener.fd).is_listener()? {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EINVAL)));
        }
        self.wait_to_read(Reader::Accept(listener))
    }

    fn wait_to_read(&mut self, reader: Reader) -> Poll<io::Result<()>> {
        let Waiting { token, fd } = reader.waiting();
        self.watch(fd, Interest::Reading)?;
        let descriptor = self.table.get(fd.as_raw_fd());
        if descriptor.reader.is_some() {
            return Poll::Ready(Err(busy()));
        }
        descriptor.reader = Some(reader);
        self.ready.add(fd.as_raw_fd(), descriptor);
        self.table.note(token, fd);
        Poll::Pending
    }

    fn wait_to_write(&mut self, writer: Writer) -> Poll<io::Result<()>> {
        let Waiting { token, fd } = writer.waiting();
        self.watch(fd, Interest::ReadingAndWriting)?;
        let descriptor = self.table.get(fd.as_raw_fd());
        if descriptor.writer.is_some() {
            return Poll::Ready(Err(busy()));
        }
        descriptor.writer = Some(writer);
        self.table.note(token, fd);
        Poll::Pending
    }

    /// Sees to it that a coming wait reports the descriptor when it is ready for `interest`.
    fn watch(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
        let (watched, data) = self.table.watch_of(fd);
        if watched == Interest::Nothing {
            // Nothing but a socket has a protocol, so a file is refused here (`ENOTSOCK`), as io_uring would.
            let is_tcp = SockRef::from(&fd).protocol()? == Some(Protocol::TCP);
            self.poller.add(fd, interest, data)?;
            let descriptor = self.table.get_or_insert(fd);
            descriptor.interest = interest;
            descriptor.short_means_drained = is_tcp;
        } else if interest == Interest::ReadingAndWriting {
            // Each time anew: there may be room by now, and whether an edge told so depends on what had made
            // the send stop, which may have been a shortage of memory.
            self.poller.modify(fd, interest, data)?;
            self.table.get(fd.as_raw_fd()).interest = interest;
        }
        // Otherwise what became readable has been reported, or will be.
        Ok(())
    }

    /// Leaves nothing of a descriptor that is about to be closed.
    fn forget(&mut self, fd: BorrowedFd<'_>) {
        // Closing ends the watch too, but only with the last duplicate of the descriptor.
        if self.table.watch_of(fd).0 != Interest::Nothing {
            // It fails if there is no watch to end.
            let _ = self.poller.delete(fd);
        }
        self.cancelled.extend(self.table.forget(fd.as_raw_fd()).into_iter().flatten());
    }
}

/// The last completion of an operation, with its count.
pub(crate) fn terminal(token: Token, result: io::Result<i32>) -> Completion {
    let result = match result {
        Ok(count) => count,
        Err(error) => -error.raw_os_error().unwrap_or(libc::EIO),
    };
    Completion { token, result, more: false, chunk: None }
}

/// The last completion of an operation that a cancel ended.
pub(crate) fn cancelled(token: Token) -> Completion {
    terminal(token, Err(io::Error::from_raw_os_error(libc::ECANCELED)))
}

/// An operation of the same direction is waiting already.
fn busy() -> io::Error {
    io::Error::from_raw_os_error(libc::EBUSY)
}

/// `close(2)`, whose answer the drop of an [`OwnedFd`] would swallow.
fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: `fd` owned the number and gave it up, so nobody else has it.
    let result = unsafe { libc::close(fd.into_raw_fd()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
