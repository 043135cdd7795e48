//! Work that blocks, on threads of its own.
//!
//! ```text
//!                     a thread takes it                 it returns or panics
//! (nothing) ──▶ Queued ─────────────────▶ Running ───────────────────────────▶ Answered
//!                 │                                                               ▲
//!                 └── aborted, refused, or the runtime is dropped: never called ──┘
//! ```
//!
//! Whoever takes a job out of the queue, under its lock, owns it and answers it: so it is called or given up, once. The
//! answer goes to the handle, or is dropped where it is if there is none any more.

mod job;
mod threads;

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::handle::Handle;
use crate::task::{Awaits, JoinError, note};
use crate::{blocking::job::Answer, context};

pub(crate) use threads::Threads;
use threads::Ticket;

/// Calls `f` on another thread and returns a handle to await what it returns. For what blocks: files, look-ups, locks
/// of other threads, libraries that know no `await`. Like asyncio's `to_thread` and `run_in_executor`.
///
/// The threads belong to the runtime of this thread. They are started when they are needed, up to a limit (64, unless
/// the runtime was made with another), and end when they have had nothing to do for ten seconds. When all are busy, `f`
/// waits its turn: first in, first out. Calls that wait for each other need a limit that lets them all run.
///
/// `f` goes on even when its handle is dropped. When the runtime is dropped, what has not begun is cancelled, and what
/// runs goes on: neither the runtime nor the end of the process waits for it. To wait, as `asyncio.run` does, await the
/// handles before the end of `block_on`.
///
/// # Errors
///
/// The handle's, all of them a [`JoinError`]: a panic of `f`, which is an incident if the handle is gone; `is_cancelled`
/// after an abort or the end of the runtime; `is_refused` if the system lets the process start no thread and there is
/// none yet. If there is one, `f` waits for it.
///
/// # Panics
///
/// Outside of a running runtime, and in a child process that `fork` made.
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    // Taken out of the context first: dropping `f`, should it be refused, is a user's code.
    let core = context::with("spawn_blocking", Rc::clone);
    core.assert_same_process();
    let threads = Arc::clone(&core.threads);
    let (job, answer) = job::new(f, Handle::of(&core));
    let ticket = threads.submit(job);
    BlockingHandle { answer, threads, ticket }
}

/// Waits for what a closure on another thread returns, or for the reason why there is nothing. Dropping it detaches the
/// closure, which is still called. It may be sent to other threads and awaited there, also after the runtime is gone.
///
/// # Panics
///
/// When polled again after it was ready, and when polled in a child process that `fork` made.
pub struct BlockingHandle<T> {
    answer: Arc<Answer<T>>,
    threads: Arc<Threads>,
    ticket: Ticket,
}

impl<T> BlockingHandle<T> {
    /// Takes the closure out of the queue and drops it, if it has not begun: then the handle gets a [`JoinError`] that
    /// says so. A closure that runs cannot be stopped; it goes on, and the handle gets what it returns.
    pub fn abort(&self) {
        // In a forked child, a thread that is not there may hold the lock.
        if self.threads.are_of_this_process()
            && let Some(job) = self.threads.withdraw(self.ticket)
        {
            job.give_up(JoinError::cancelled());
        }
    }

    /// Whether the closure has returned or panicked, or will never be called.
    pub fn is_finished(&self) -> bool {
        self.threads.are_of_this_process() && self.answer.is_there()
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.threads.process.assert_current();
        let answer = self.answer.poll(cx);
        if answer.is_pending() {
            note(Awaits::Named("spawn_blocking"));
        }
        answer
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if self.threads.are_of_this_process() {
            self.answer.forsake();
        } else {
            // As in `abort`: not even its memory is given back there.
            mem::forget(Arc::clone(&self.answer));
        }
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockingHandle({})", if self.is_finished() { "finished" } else { "queued or running" })
    }
}
