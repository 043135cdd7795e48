//! What is to be done, with all that it takes.

use std::ffi::CString;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use kernel::call::stat_of;
use runtime_core::data::Data;
use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Fd, Outcome, Token};
use socket2::SockAddr;

use crate::flights::Place;
use crate::table::Table;

/// An operation, in the hands of the reactor.
///
/// What the kernel writes to is in vectors: unlike a box, one may be moved while somebody else writes to its memory.
pub(crate) enum Work {
    /// Accepts connections, in one request as long as that goes on.
    Accept { fd: Fd },
    /// Receives, in one request as long as that goes on.
    Receive(Receive),
    /// Attempts to write.
    Send { fd: Fd, data: Data },
    /// Waits for room.
    Writable { fd: Fd },
    /// Connects.
    Connect { fd: Fd, addr: Box<SockAddr> },
    /// Closes a descriptor that has no other owner.
    Close { number: RawFd },
    /// Lets go of a descriptor that has, behind all requests that name its number.
    LetGo { shared: Arc<OwnedFd> },
    /// Opens a file.
    Open { path: CString },
    /// Asks the file system. The answer has room for one.
    Stat { path: CString, answer: Vec<libc::statx> },
    /// Reads to the spare capacity.
    Read { fd: Fd, offset: u64, bytes: Vec<u8> },
    /// A call that is made on a thread, about a file if it names one.
    OnThread { file: Option<Fd> },
    /// Failed before the kernel saw it. It goes through the queues nevertheless, so that results are in order.
    Failed { completion: Box<Completion>, is_send: bool },
}

/// What is peculiar to receives.
pub(crate) struct Receive {
    pub(crate) fd: Fd,
    pub(crate) parked: Option<Place>,
    /// Has got data since it was last started.
    pub(crate) fed: bool,
    /// May have missed the end of its stream, and is going to be looked at.
    pub(crate) watched: bool,
}

/// Where an operation is, and so what it takes to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// With the kernel, which makes an attempt now and then. In between it cannot find the request.
    Waiting,
    /// The same, as an accept.
    Accepting,
    /// With the kernel, which makes one attempt, however long that takes.
    Working,
    /// With the kernel, which is done with it as soon as it has it.
    Ending,
    /// In the queue of parked receives.
    Parked,
    /// With the threads that make calls.
    Thread,
}

impl Work {
    pub(crate) fn receive(fd: Fd) -> Self {
        Work::Receive(Receive { fd, parked: None, fed: false, watched: false })
    }

    /// What ends with this completion when its turn comes.
    pub(crate) fn failed(completion: Completion) -> Self {
        Work::Failed { completion: Box::new(completion), is_send: false }
    }

    #[inline]
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        match self {
            Work::Receive(Receive { parked: Some(_), .. }) => Whereabouts::Parked,
            Work::Accept { .. } => Whereabouts::Accepting,
            Work::Receive(_) | Work::Writable { .. } | Work::Connect { .. } => Whereabouts::Waiting,
            Work::Open { .. } | Work::Stat { .. } | Work::Read { .. } => Whereabouts::Working,
            Work::Send { .. } | Work::Close { .. } | Work::LetGo { .. } | Work::Failed { .. } => {
                Whereabouts::Ending
            }
            Work::OnThread { .. } => Whereabouts::Thread,
        }
    }

    /// The descriptor that it names.
    #[inline]
    pub(crate) fn fd(&self) -> Option<Fd> {
        match self {
            Work::Accept { fd }
            | Work::Receive(Receive { fd, .. })
            | Work::Send { fd, .. }
            | Work::Writable { fd }
            | Work::Connect { fd, .. }
            | Work::Read { fd, .. } => Some(*fd),
            Work::OnThread { file } => *file,
            Work::Close { .. }
            | Work::LetGo { .. }
            | Work::Open { .. }
            | Work::Stat { .. }
            | Work::Failed { .. } => None,
        }
    }

    /// The descriptor on which it may wait.
    #[inline]
    pub(crate) fn waits_on(&self) -> Option<Fd> {
        if self.is_send() { None } else { self.fd() }
    }

    /// Whether its completion belongs to those of sends.
    #[inline]
    pub(crate) fn is_send(&self) -> bool {
        matches!(self, Work::Send { .. } | Work::Failed { is_send: true, .. })
    }

    /// The terminal completion of what the kernel has no result for.
    pub(crate) fn fail(self, token: Token, errno: Errno, table: &mut Table) -> Completion {
        // SAFETY: it is an error.
        unsafe { self.end(token, Err(errno), table) }
    }

    /// The terminal completion.
    ///
    /// # Safety
    ///
    /// Unless it is an error, `result` is the kernel's last one for the request that `submit::request` made of this,
    /// and nobody has made use of it.
    #[inline]
    pub(crate) unsafe fn end(
        self,
        token: Token,
        result: Result<u32, Errno>,
        table: &mut Table,
    ) -> Completion {
        let count = |count| Outcome::Count(count as usize);
        match self {
            Work::Send { data, .. } => Completion::last_with(token, result.map(count), data),
            Work::Open { .. } => {
                // SAFETY: the result of an open is a new descriptor, and nobody has it.
                let owned = result.map(|number| unsafe { OwnedFd::from_raw_fd(number as RawFd) });
                Completion::last(token, owned.map(|file| Outcome::Fd(table.insert(file))))
            }
            Work::Stat { mut answer, .. } => {
                let stat = result.map(|_| {
                    // SAFETY: there is room for one, and the kernel has written it.
                    unsafe { answer.set_len(1) };
                    Outcome::Stat(Box::new(stat_of(&answer[0])))
                });
                Completion::last(token, stat)
            }
            Work::Read { mut bytes, .. } => {
                if let Ok(count) = result {
                    // SAFETY: the kernel has written so many bytes to the spare capacity, from its start.
                    unsafe { bytes.set_len(bytes.len() + count as usize) };
                }
                Completion::last_with(token, result.map(count), bytes.into())
            }
            Work::LetGo { shared } => {
                drop(shared);
                Completion::last(token, result.map(|_| Outcome::Done))
            }
            Work::Failed { completion, .. } => *completion,
            Work::Accept { .. }
            | Work::Receive(_)
            | Work::Writable { .. }
            | Work::Connect { .. }
            | Work::Close { .. }
            | Work::OnThread { .. } => Completion::last(token, result.map(|_| Outcome::Done)),
        }
    }
}
