//! From operations to flights, and from flights to requests.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use io_uring::{opcode, squeue};
use kernel::call::{self, Prepared};
use kernel::descriptors::Owner;
use kernel::socket;
use runtime_core::call::Call;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Op, Token};
use runtime_core::pool::Pool;
use runtime_core::reactor::{Reactor, Wait};

use crate::UringReactor;
use crate::buffers::Buffers;
use crate::submit;
use crate::table::Waiting;
use crate::work::{Whereabouts, Work};

impl UringReactor {
    pub(crate) fn perform(&mut self, token: Token, op: Op, pool: &Rc<Pool>) {
        let work = match op {
            Op::Accept { fd } => Ok(Work::Accept { fd }),
            Op::Receive { fd } => self.lend(pool).map(|()| Work::receive(fd)).map_err(Errno::from),
            Op::Send { fd, data } => Ok(Work::Send { fd, data }),
            Op::Writable { fd } => Ok(Work::Writable { fd }),
            Op::Connect { fd, addr } => match socket::to_kernel(&addr) {
                Ok(addr) => Ok(Work::Connect { fd, addr: Box::new(addr) }),
                Err(error) => Err(error.into()),
            },
            Op::Call(call) => match self.prepare(token, *call) {
                Ok(work) => Ok(work),
                Err((errno, call)) => Ok(Work::failed(call::refused(call, token, errno))),
            },
            Op::Close { fd } => self.close(fd),
            Op::Cancel { target } => return self.cancel(target),
        };
        let work = work.unwrap_or_else(|errno| Work::failed(Completion::last(token, Err(errno))));
        self.launch(token, work);
    }

    /// Makes sure that there is a buffer ring.
    fn lend(&mut self, pool: &Rc<Pool>) -> io::Result<()> {
        if self.buffers.is_none() {
            self.buffers = Some(Buffers::register(&self.ring.submitter(), pool)?);
        }
        Ok(())
    }

    /// Makes a call a request or, if the kernel has no opcode for it, gives it to the threads.
    fn prepare(&mut self, token: Token, call: Call) -> Result<Work, (Errno, Call)> {
        match call {
            Call::Open { path } if self.supported.has::<opcode::OpenAt>() => match to_kernel(&path) {
                Ok(path) => Ok(Work::Open { path }),
                Err(errno) => Err((errno, Call::Open { path })),
            },
            Call::Stat { path } if self.supported.has::<opcode::Statx>() => match to_kernel(&path) {
                Ok(path) => Ok(Work::Stat { path, answer: Vec::with_capacity(1) }),
                Err(errno) => Err((errno, Call::Stat { path })),
            },
            Call::ReadAt { fd, offset, bytes } if self.supported.has::<opcode::Read>() => {
                match self.check_offset(fd, offset) {
                    Ok(()) => Ok(Work::Read { fd, offset, bytes }),
                    Err(errno) => Err((errno, Call::ReadAt { fd, offset, bytes })),
                }
            }
            Call::ReadAt { fd, .. } => self.employ(token, call, Some(fd)),
            Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => {
                self.employ(token, call, None)
            }
        }
    }

    /// Checks what `pread(2)` does before it reads. io_uring does not: it reads what a pipe or a socket has, and takes an
    /// offset of -1 for the file's own position.
    fn check_offset(&mut self, fd: Fd, offset: u64) -> Result<(), Errno> {
        let (file, state) = self.table.get_mut(fd)?;
        call::file_offset(offset)?;
        if !state.has_offsets {
            // Without room for a byte it only says whether the file can be read at an offset.
            let no_offsets = Errno::new(libc::ESPIPE);
            let refused = call::read_now(file, offset, &mut Vec::new()).err().map(Errno::from);
            if refused == Some(no_offsets) {
                return Err(no_offsets);
            }
            state.has_offsets = true;
        }
        Ok(())
    }

    /// Gives a call to the threads.
    fn employ(&mut self, token: Token, call: Call, file: Option<Fd>) -> Result<Work, (Errno, Call)> {
        let unpark = match self.unparker() {
            Ok(unpark) => unpark,
            Err(error) => return Err((error.into(), call)),
        };
        let prepared = Prepared::new(call, &mut self.table)?;
        self.workers.submit(token, prepared, &unpark);
        Ok(Work::OnThread { file })
    }

    /// Makes a name stale. What waits on the descriptor is cancelled in the same enter and before it is closed, since the
    /// kernel keeps it open for what is armed on it.
    fn close(&mut self, fd: Fd) -> Result<Work, Errno> {
        let (owner, state) = self.table.remove(fd)?;
        self.cancel_all(&state.waiting);
        let sole = match owner {
            Owner::Sole(fd) => Ok(fd),
            Owner::Shared(fd) => Arc::try_unwrap(fd),
        };
        Ok(match sole {
            Ok(fd) => Work::Close { number: fd.into_raw_fd() },
            Err(shared) => Work::LetGo { _shared: shared },
        })
    }

    pub(crate) fn cancel_all(&mut self, waiting: &Waiting) {
        for token in waiting.tokens(&self.flights) {
            self.cancel(token);
        }
    }

    pub(crate) fn cancel(&mut self, target: Token) {
        match self.flights.cancel(target) {
            Some(Whereabouts::Waiting | Whereabouts::Working) => {
                self.finish_accepting(target);
                self.request(submit::cancel(target));
            }
            Some(Whereabouts::Parked) => self.withdrawn.push(target),
            Some(Whereabouts::Thread) => {
                self.workers.cancel(target);
                self.withdrawn.push(target);
            }
            Some(Whereabouts::Ending) | None => {}
        }
    }

    /// Before an accept is cancelled, lets it take the connections of which the kernel has told it. Of all who
    /// wait for a listener the kernel tells only one (`EPOLLEXCLUSIVE`): if that one gives up instead, another
    /// runtime that shares the listener does not hear of them.
    fn finish_accepting(&mut self, target: Token) {
        let flight = self.flights.get_mut(target).expect("what is cancelled is under way");
        if let Work::Accept { .. } = flight.work {
            // Should it fail, so will the enter of this turn, which says so.
            let _ = self.ring.submit(Wait::No);
        }
    }

    pub(crate) fn launch(&mut self, token: Token, work: Work) {
        let is_request = work.whereabouts() != Whereabouts::Thread;
        self.flights.insert(token, work, &mut self.table);
        if is_request {
            self.start(token);
        }
    }

    /// Hands an operation to the kernel, for the first time or again.
    pub(crate) fn start(&mut self, token: Token) {
        let flight = self.flights.get_mut(token).expect("only what is under way is started");
        flight.recalled = false;
        if let Work::Receive(receive) = &mut flight.work {
            receive.fed = false;
        }
        match submit::request(token, flight, &self.table) {
            Ok(request) => self.request(request),
            Err(errno) => self.refuse(token, errno),
        }
    }

    /// Ends an operation that cannot be started, when its turn comes.
    #[cold]
    fn refuse(&mut self, token: Token, errno: Errno) {
        let work = self.flights.remove(token, &mut self.table);
        let is_send = work.is_send();
        // SAFETY: an error is no result of the kernel's that somebody else could have.
        let completion = Box::new(unsafe { work.end(token, Err(errno), &mut self.table) });
        self.launch(token, Work::Failed { completion, is_send });
    }

    /// Asks the kernel for the end of its request, though the operation is not over.
    pub(crate) fn recall(&mut self, token: Token) {
        let flight = self.flights.get_mut(token).expect("only what is under way is recalled");
        if !mem::replace(&mut flight.recalled, true) {
            self.request(submit::cancel(token));
        }
    }

    #[inline]
    pub(crate) fn request(&mut self, request: squeue::Entry) {
        // SAFETY: memory is named only by the requests of `start`. It is the flight's, which is in `flights` until the
        // request's last completion (`complete`) or, if that does not come, is leaked (`drop`). Nobody changes it there.
        unsafe { self.ring.push(request) };
    }
}

/// A path as the kernel takes it.
fn to_kernel(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
