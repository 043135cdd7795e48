//! Staged operations: what can be done at once is done, the rest waits in the table or on a thread.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::task::Poll;

use kernel::call::{self, Prepared};
use kernel::descriptors::Owner;
use kernel::socket;
use runtime_core::Reactor;
use runtime_core::address::SockAddr;
use runtime_core::call::Call;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Outcome, Token};
use socket2::SockRef;

use crate::EpollReactor;
use crate::poller::{Interest, Poller, word};
use crate::table::{Reader, Sort, State, Table, Writer};

impl EpollReactor {
    /// Performs one staged operation.
    pub(crate) fn perform(
        &mut self,
        token: Token,
        op: Op,
        done: &mut VecDeque<Completion>,
        sent: &mut VecDeque<Completion>,
    ) {
        let started = match op {
            Op::Accept { fd } => self.accept_from(token, fd),
            Op::Receive { fd } => self.wait_to_read(fd, Reader::Receive(token)),
            Op::Connect { fd, addr } => self.connect(token, fd, &addr),
            Op::Send { fd, data } => {
                let result = self.send(fd, &data).map(Outcome::Count).map_err(Errno::from);
                return sent.push_back(Completion::last_with(token, result, data));
            }
            Op::Writable { fd } => self.writable(token, fd),
            Op::Call(call) => return self.call(token, call, done),
            Op::Close { fd } => Poll::Ready(self.forget(fd).and_then(Owner::close)),
            Op::Cancel { target } => {
                if self.table.cancel(target) || self.workers.cancel(target) {
                    self.cancelled.push(target);
                }
                return;
            }
        };
        if let Poll::Ready(result) = started {
            done.push_back(Completion::last(token, result.map(|()| Outcome::Done)));
        }
    }

    /// Writes what there is room for, and remembers if that is not all.
    #[inline]
    pub(crate) fn send(&mut self, fd: Fd, bytes: &[u8]) -> io::Result<usize> {
        let (socket, state) = self.table.descriptors.get_mut(fd)?;
        let result = socket::send(socket, bytes);
        state.full |= match &result {
            Ok(count) => *count < bytes.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        result
    }

    /// Takes a descriptor out, and leaves nothing of it here.
    pub(crate) fn forget(&mut self, fd: Fd) -> Result<Owner, Errno> {
        let (owner, state) = self.table.descriptors.remove(fd)?;
        // Closing ends the watch too, but only with the last duplicate of the descriptor.
        if state.interest != Interest::Nothing {
            // It fails if there is no watch to end.
            let _ = self.poller.delete(owner.as_fd());
        }
        self.cancelled.extend(state.waiting());
        Ok(owner)
    }

    fn accept_from(&mut self, token: Token, fd: Fd) -> Poll<Result<(), Errno>> {
        // For a socket that does not listen there may never be an event.
        if !SockRef::from(&self.table.descriptors.get(fd)?).is_listener()? {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        self.wait_to_read(fd, Reader::Accept(token))
    }

    fn connect(&mut self, token: Token, fd: Fd, addr: &SockAddr) -> Poll<Result<(), Errno>> {
        let addr = socket::to_kernel(addr)?;
        match SockRef::from(&self.table.descriptors.get(fd)?).connect(&addr) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
                self.wait_to_write(fd, Writer::Connect(token))
            }
            result => Poll::Ready(result.map_err(Errno::from)),
        }
    }

    fn writable(&mut self, token: Token, fd: Fd) -> Poll<Result<(), Errno>> {
        if self.table.descriptors.get_mut(fd)?.1.full {
            self.wait_to_write(fd, Writer::Writable(token))
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn wait_to_read(&mut self, fd: Fd, reader: Reader) -> Poll<Result<(), Errno>> {
        let state = watch(&self.poller, &mut self.table, fd, Interest::Reading)?;
        if state.reader.is_some() {
            return Poll::Ready(Err(Errno::EBUSY));
        }
        state.reader = Some(reader);
        self.ready.add(fd, state);
        self.table.note(reader.token(), fd);
        Poll::Pending
    }

    fn wait_to_write(&mut self, fd: Fd, writer: Writer) -> Poll<Result<(), Errno>> {
        let state = watch(&self.poller, &mut self.table, fd, Interest::ReadingAndWriting)?;
        if state.writer.is_some() {
            return Poll::Ready(Err(Errno::EBUSY));
        }
        state.writer = Some(writer);
        self.table.note(writer.token(), fd);
        Poll::Pending
    }

    fn call(&mut self, token: Token, call: Call, done: &mut VecDeque<Completion>) {
        match call {
            Call::ReadAt { fd, offset, mut bytes } => match self.read_now(fd, offset, &mut bytes) {
                Poll::Ready(result) => {
                    let result = result.map(Outcome::Count);
                    done.push_back(Completion::last_with(token, result, bytes.into()));
                }
                Poll::Pending => self.submit(token, Call::ReadAt { fd, offset, bytes }, done),
            },
            call @ (Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_)) => {
                self.submit(token, call, done);
            }
        }
    }

    /// Reads, if all of it is in memory. Pending if not, or if the kernel cannot tell.
    fn read_now(&mut self, fd: Fd, offset: u64, bytes: &mut Vec<u8>) -> Poll<Result<usize, Errno>> {
        let (file, state) = self.table.descriptors.get_mut(fd)?;
        if state.reads_may_wait {
            return Poll::Pending;
        }
        let result = call::read_now(file, offset, bytes);
        match result.as_ref().err().and_then(io::Error::raw_os_error) {
            Some(libc::EAGAIN | libc::EINTR) => Poll::Pending,
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EPERM) => {
                state.reads_may_wait = true;
                Poll::Pending
            }
            _ => Poll::Ready(result.map_err(Errno::from)),
        }
    }

    /// Has a thread make a call.
    fn submit(&mut self, token: Token, call: Call, done: &mut VecDeque<Completion>) {
        let unparker = match self.unparker() {
            Ok(unparker) => unparker,
            Err(error) => return done.push_back(call::refused(call, token, error.into())),
        };
        match Prepared::new(call, &mut self.table.descriptors) {
            Ok(prepared) => self.workers.submit(token, prepared, &unparker),
            Err((errno, call)) => done.push_back(call::refused(call, token, errno)),
        }
    }
}

/// Sees to it that a coming wait reports a socket when it is ready for `interest`.
fn watch<'a>(
    poller: &Poller,
    table: &'a mut Table,
    fd: Fd,
    interest: Interest,
) -> Result<&'a mut State, Errno> {
    let (socket, state) = table.descriptors.get_mut(fd)?;
    if state.sort == Sort::File {
        return Err(Errno::ENOTSOCK);
    }
    if state.interest == Interest::Nothing {
        poller.add(socket, interest, word(fd))?;
        state.interest = interest;
    } else if interest == Interest::ReadingAndWriting {
        // Each time anew: there may be room by now, and whether an edge told so depends on what had made
        // the send stop, which may have been a shortage of memory.
        poller.modify(socket, interest, word(fd))?;
        state.interest = interest;
    }
    // Otherwise what became readable has been reported, or will be.
    Ok(state)
}

/// The last completion of an operation that something else ended.
pub(crate) fn cancelled(token: Token) -> Completion {
    Completion::last(token, Err(Errno::ECANCELED))
}
