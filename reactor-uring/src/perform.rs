//! From operations to flights, and from flights to requests.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
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
use crate::table::{Table, Waiting};
use crate::work::{Whereabouts, Work};

impl UringReactor {
    #[inline]
    pub(crate) fn perform(&mut self, token: Token, op: Op, pool: &Rc<Pool>) {
        let failed = |errno| Work::failed(Completion::last(token, Err(errno)));
        let work = match op {
            Op::Accept { fd } => Work::Accept { fd },
            Op::Receive { fd } => match self.lend(pool) {
                Ok(()) => Work::receive(fd),
                Err(error) => failed(error.into()),
            },
            Op::Send { fd, data } => Work::Send { fd, data },
            Op::Writable { fd } => Work::Writable { fd },
            Op::Connect { fd, addr } => match socket::to_kernel(&addr) {
                Ok(addr) => Work::Connect { fd, addr: Box::new(addr) },
                Err(error) => failed(error.into()),
            },
            Op::Call(call) => match self.prepare(token, call) {
                Ok(Some(work)) => work,
                Ok(None) => return,
                Err((errno, call)) => Work::failed(call::refused(call, token, errno)),
            },
            Op::Close { fd } => self.close(fd).unwrap_or_else(failed),
            Op::Cancel { target } => return self.cancel(target),
        };
        self.launch(token, work);
    }

    /// Makes sure that there is a buffer ring.
    fn lend(&mut self, pool: &Rc<Pool>) -> io::Result<()> {
        if self.buffers.is_none() {
            self.buffers = Some(Buffers::register(&self.ring.submitter(), pool)?);
        }
        Ok(())
    }

    /// What the kernel is to do for a call. If it has no opcode for that, the threads have the call afterwards.
    fn prepare(&mut self, token: Token, call: Call) -> Result<Option<Work>, (Errno, Call)> {
        match call {
            Call::Open { path } if self.supported.has::<opcode::OpenAt>() => match to_kernel(&path) {
                Ok(path) => Ok(Some(Work::Open { path })),
                Err(errno) => Err((errno, Call::Open { path })),
            },
            Call::Stat { path } if self.supported.has::<opcode::Statx>() => match to_kernel(&path) {
                Ok(path) => Ok(Some(Work::Stat { path, answer: Vec::with_capacity(1) })),
                Err(errno) => Err((errno, Call::Stat { path })),
            },
            Call::ReadAt { fd, offset, bytes } if self.supported.has::<opcode::Read>() => {
                match self.check_offset(fd, offset) {
                    Ok(()) => Ok(Some(Work::Read { fd, offset, bytes })),
                    Err(errno) => Err((errno, Call::ReadAt { fd, offset, bytes })),
                }
            }
            Call::ReadAt { fd, .. } => self.give_to_threads(token, call, Some(fd)).map(|()| None),
            Call::Resolve { .. } | Call::Open { .. } | Call::Stat { .. } | Call::Run(_) => {
                self.give_to_threads(token, call, None).map(|()| None)
            }
        }
    }

    /// Checks what `pread(2)` checks before it reads. io_uring does not: it reads what a pipe or a socket has, and
    /// takes an offset of -1 for the file's own position.
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

    fn give_to_threads(&mut self, token: Token, call: Call, file: Option<Fd>) -> Result<(), (Errno, Call)> {
        let unpark = match self.unparker() {
            Ok(unpark) => unpark,
            Err(error) => return Err((error.into(), call)),
        };
        let prepared = Prepared::new(call, &mut self.table)?;
        self.flights.insert(token, Work::OnThread { file }, &mut self.table);
        self.workers.submit(token, prepared, &unpark);
        Ok(())
    }

    /// Makes a name stale. What waits on the descriptor is cancelled in the same enter and before it is closed, since
    /// the kernel keeps it open for what is armed on it.
    fn close(&mut self, fd: Fd) -> Result<Work, Errno> {
        let (owner, state) = self.table.remove(fd)?;
        self.cancel_all(&state.waiting);
        let sole = match owner {
            Owner::Sole(fd) => Ok(fd),
            Owner::Shared(fd) => Arc::try_unwrap(fd),
        };
        Ok(match sole {
            Ok(fd) => Work::Close { number: fd.into_raw_fd() },
            Err(shared) => Work::LetGo { shared },
        })
    }

    pub(crate) fn cancel_all(&mut self, waiting: &Waiting) {
        for token in waiting.tokens(&self.flights) {
            self.cancel(token);
        }
    }

    pub(crate) fn cancel(&mut self, target: Token) {
        match self.flights.cancel(target) {
            Some(Whereabouts::Accepting) => {
                self.finish_accepting();
                self.request(submit::cancel(target));
            }
            Some(Whereabouts::Waiting | Whereabouts::Working) => self.request(submit::cancel(target)),
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
    fn finish_accepting(&mut self) {
        // Should it fail, so will the enter of this turn, which says so.
        let _ = self.ring.submit(Wait::No);
    }

    /// Hands an operation to the kernel. If that cannot be, it fails when its turn comes.
    #[inline]
    pub(crate) fn launch(&mut self, token: Token, mut work: Work) {
        match number_of(&work, &self.table) {
            Ok(number) => {
                let request = submit::request(token, &mut work, false, number);
                self.flights.insert(token, work, &mut self.table);
                self.request(request);
            }
            Err(errno) => self.refuse(token, work, errno),
        }
    }

    /// Hands an operation to the kernel again.
    pub(crate) fn restart(&mut self, token: Token) {
        let flight = self.flights.get_mut(token).expect("only what is under way is restarted");
        flight.recalled = false;
        if let Work::Receive(receive) = &mut flight.work {
            receive.fed = false;
        }
        match number_of(&flight.work, &self.table) {
            Ok(number) => {
                let request = submit::request(token, &mut flight.work, flight.fallback, number);
                self.request(request);
            }
            Err(errno) => {
                let work = self.flights.remove(token, &mut self.table);
                self.refuse(token, work, errno);
            }
        }
    }

    #[cold]
    fn refuse(&mut self, token: Token, work: Work, errno: Errno) {
        let is_send = work.is_send();
        let completion = Box::new(work.fail(token, errno, &mut self.table));
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
        // SAFETY: memory is named only by the requests of operations. It is their flights', which are in `flights`
        // until the request's last completion (`complete`) or, if that does not come, are leaked (`drop`). Nobody
        // changes it there.
        unsafe { self.ring.push(request) };
    }
}

/// The number of the descriptor that an operation names; any, if it names none.
#[inline]
fn number_of(work: &Work, table: &Table) -> Result<RawFd, Errno> {
    match work.fd() {
        Some(fd) => table.get(fd).map(|fd| fd.as_raw_fd()),
        None => Ok(-1),
    }
}

/// A path as the kernel takes it.
fn to_kernel(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
