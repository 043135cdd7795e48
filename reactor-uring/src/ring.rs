//! The two queues shared with the kernel, and the one system call that moves them.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::squeue::SubmissionQueue;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Submitter, cqueue, squeue};
use runtime_core::clock;
use runtime_core::reactor::Wait;

/// How long a refused submission rests, if it may, before it is tried again.
const REST: Duration = Duration::from_millis(1);

/// An io_uring with room for any number of requests: what the submission queue cannot hold waits its turn.
pub(crate) struct Ring {
    io: IoUring,
    /// Requests that found the submission queue full, in order.
    backlog: VecDeque<squeue::Entry>,
    flags: EnterFlags,
}

impl Ring {
    pub(crate) fn new(io: IoUring) -> Self {
        // Deferred completions are delivered to an enter with GETEVENTS only, so there is no other.
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        // A loop that waits for the network is idle, not waiting for a disk (Linux 6.15).
        flags.set(EnterFlags::NO_IOWAIT, io.params().is_feature_no_iowait());
        Self { io, backlog: VecDeque::new(), flags }
    }

    /// Queues a request behind all former ones.
    ///
    /// # Safety
    ///
    /// Memory that the request names stays valid until its last completion.
    #[inline]
    pub(crate) unsafe fn push(&mut self, request: squeue::Entry) {
        // SAFETY: the caller's promise is the one that the queue asks for.
        let queued = self.backlog.is_empty() && unsafe { self.io.submission().push(&request) }.is_ok();
        if !queued {
            self.backlog.push_back(request);
        }
    }

    /// How many requests the kernel has not seen yet.
    #[inline]
    pub(crate) fn unsubmitted(&self) -> usize {
        self.submissions().len() + self.backlog.len()
    }

    /// How many enters it takes to submit everything, if the kernel takes all that it is shown.
    pub(crate) fn rounds(&self) -> usize {
        self.unsubmitted().div_ceil(self.submissions().capacity())
    }

    /// Whether an enter would achieve something even without waiting: there are requests to submit, or
    /// completions which the kernel holds back until it is asked.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        let queue = self.submissions();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow() || !self.backlog.is_empty()
    }

    /// Whether there are completions that have been delivered and not taken.
    pub(crate) fn has_completions(&self) -> bool {
        // SAFETY: the ring is one thread's, and no method keeps such a view for longer than it runs.
        !unsafe { self.io.completion_shared() }.is_empty()
    }

    /// Submits as much as the submission queue holds and lets the kernel deliver. Waits for a completion as told
    /// if that was everything.
    ///
    /// # Errors
    ///
    /// Those after which the ring is of no use. An elapsed time, a signal, and a kernel that does not take more
    /// requests for now are none: what it has not taken stays queued.
    pub(crate) fn submit(&mut self, wait: Wait) -> io::Result<()> {
        let mut queue = self.io.submission();
        while !queue.is_full()
            && let Some(request) = self.backlog.pop_front()
        {
            // SAFETY: `Ring::push` had the caller's promise for this request.
            unsafe { queue.push(&request) }.expect("the queue has room");
        }
        let queued = queue.len() as u32;
        drop(queue);
        let if_all = if self.backlog.is_empty() { wait } else { Wait::No };
        for _attempt in 0..2 {
            if self.enter(queued, if_all)? == Entered::Took {
                return Ok(());
            }
        }
        // What has ended frees memory and makes room once it is delivered.
        let soon = clock::monotonic().saturating_add(REST);
        self.enter(0, wait.until_at_most(soon)).map(drop)
    }

    /// The next completion that has been delivered.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<cqueue::Entry> {
        self.io.completion().next()
    }

    pub(crate) fn submitter(&self) -> Submitter<'_> {
        self.io.submitter()
    }

    fn submissions(&self) -> SubmissionQueue<'_> {
        // SAFETY: the ring is one thread's, and no method keeps such a view for longer than it runs.
        unsafe { self.io.submission_shared() }
    }

    fn enter(&mut self, to_submit: u32, wait: Wait) -> io::Result<Entered> {
        let timeout = match wait {
            Wait::No | Wait::Forever => None,
            Wait::Until(deadline) => Some(deadline.saturating_since(clock::monotonic())),
        };
        let waits = match wait {
            Wait::No => false,
            Wait::Until(_) => timeout.is_some_and(|left| !left.is_zero()),
            Wait::Forever => true,
        };
        let timespec = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(timespec) = &timespec {
            args = args.timespec(timespec);
        }
        // SAFETY: EXT_ARG announces a `SubmitArgs`, which outlives the call, as does the time it points to.
        let entered =
            unsafe { self.io.submitter().enter(to_submit, u32::from(waits), self.flags.bits(), Some(&args)) };
        match entered {
            Ok(_) => Ok(Entered::Took),
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR) => Ok(Entered::Took),
                Some(libc::EAGAIN | libc::EBUSY) => Ok(Entered::Refused),
                _ => Err(error),
            },
        }
    }
}

/// What the kernel did with the submission queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entered {
    /// It took the queue, or a part of it.
    Took,
    /// It took nothing: it has no memory for a request (`EAGAIN`), or completions that it must deliver first
    /// (`EBUSY`). The queue is as it was.
    Refused,
}
