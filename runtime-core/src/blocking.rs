//! Work that blocks, on the threads of the reactor.
//!
//! ```text
//!                     a thread takes it                 it returns or panics
//! (nothing) ──▶ Queued ─────────────────▶ Running ───────────────────────────▶ Answered
//!                 │                                                               ▲
//!                 └── aborted, refused, or the runtime is dropped: never called ──┘
//! ```
//!
//! The closure stays here until a thread takes it, under the lock: so it is called or given up, once. The answer goes to
//! the handle, or is dropped where it is if there is none any more.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::call::{Call, Job};
use crate::contain::{contain, drop_contained, forget_payload, wake_contained};
use crate::context;
use crate::errno::Errno;
use crate::handle::Handle;
use crate::io::Descriptor;
use crate::op::{Completion, Op};
use crate::operations::{Completer, Role};
use crate::process::Process;
use crate::reactor::Wait;
use crate::task::{Awaits, JoinError, note};

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
    let io = core.io();
    io.assert_same_process();
    let work = Arc::new(Work {
        state: Mutex::new(State::Queued(Box::new(f), Awaiter::Handle(None))),
        handle: Handle::of(&core),
        process: Process::current(),
    });
    let job = {
        let work = Arc::clone(&work);
        Job::with_answer(move |done| work.call(done))
    };
    let queued = Rc::new(Queued(Arc::clone(&work) as Arc<dyn GiveUp>));
    if io.start(Op::Call(Call::Run(job)), Role::Request, queued).is_ok() {
        // Now: this task may block until the closure has been called. Should the reactor fail, its next turn says so.
        let _ = io.perform(Wait::No);
    }
    BlockingHandle { work }
}

/// Waits for what a closure on another thread returns, or for the reason why there is nothing. Dropping it detaches the
/// closure, which is still called. It may be sent to other threads and awaited there, also after the runtime is gone.
///
/// # Panics
///
/// When polled again after it was ready, and when polled in a child process that `fork` made.
pub struct BlockingHandle<T> {
    work: Arc<Work<T>>,
}

/// A closure, later what it returned.
struct Work<T> {
    state: Mutex<State<T>>,
    /// Where a panic that nobody will be told of otherwise is reported.
    handle: Handle,
    /// In a forked child, a thread that is not there may hold the lock.
    process: Process,
}

enum State<T> {
    Queued(Box<dyn FnOnce() -> T + Send>, Awaiter),
    /// It is being called, or dropped.
    Running(Awaiter),
    Answered(Result<T, JoinError>),
    /// The answer is taken, or was dropped.
    Over,
}

/// Who waits for the answer.
enum Awaiter {
    /// The handle, in which nobody may wait yet.
    Handle(Option<Waker>),
    /// Nobody any more.
    Gone,
}

impl<T> BlockingHandle<T> {
    /// Takes the closure out of the queue and drops it, if it has not begun: then the handle gets a [`JoinError`] that
    /// says so. A closure that runs cannot be stopped; it goes on, and the handle gets what it returns.
    pub fn abort(&self) {
        if self.work.process.is_current() {
            self.work.give_up(JoinError::cancelled());
        }
    }

    /// Whether the closure has returned or panicked, or will never be called.
    pub fn is_finished(&self) -> bool {
        self.work.process.is_current() && matches!(*self.work.lock(), State::Answered(_) | State::Over)
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.work.process.assert_current();
        let answer = self.work.poll(cx);
        if answer.is_pending() {
            note(Awaits::Named("spawn_blocking"));
        }
        answer
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        if self.work.process.is_current() {
            self.work.forsake();
        } else {
            // Not even its memory is given back there: its drop might lock.
            mem::forget(Arc::clone(&self.work));
        }
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockingHandle({})", if self.is_finished() { "finished" } else { "queued or running" })
    }
}

impl<T> Work<T> {
    /// Calls the closure, on this thread, unless it was given up. Contains panics. `done` is called before anybody sees
    /// the answer.
    fn call(&self, done: &dyn Fn()) {
        let f = {
            let mut state = self.lock();
            match mem::replace(&mut *state, State::Over) {
                State::Queued(f, awaiter) => {
                    *state = State::Running(awaiter);
                    f
                }
                other => return *state = other,
            }
        };
        let answer = contain(f).map_err(|payload| JoinError::panic(payload, None));
        done();
        self.answer(answer);
    }

    /// Gives the answer of what ran, or was given up, to the handle or, if that is gone, drops it.
    fn answer(&self, answer: Result<T, JoinError>) {
        let mut state = self.lock();
        let State::Running(awaiter) = mem::replace(&mut *state, State::Over) else {
            unreachable!("it is answered once, by the thread that took the closure")
        };
        match awaiter {
            Awaiter::Handle(waker) => {
                *state = State::Answered(answer);
                drop(state);
                if let Some(waker) = waker {
                    wake_contained(waker);
                }
            }
            Awaiter::Gone => {
                drop(state);
                self.drop_unseen(answer);
            }
        }
    }

    /// Takes the answer, or leaves the waker of whoever waits for it.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        // Cloned before anything is locked.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let (result, unused) = match &mut *state {
            State::Queued(_, awaiter) | State::Running(awaiter) => {
                let Awaiter::Handle(former) = awaiter else { unreachable!("this is its handle") };
                (Poll::Pending, former.replace(waker))
            }
            State::Answered(_) => match mem::replace(&mut *state, State::Over) {
                State::Answered(answer) => (Poll::Ready(answer), Some(waker)),
                _ => unreachable!("it was just seen"),
            },
            State::Over => {
                drop(state);
                panic!("a BlockingHandle was polled after it was ready");
            }
        };
        drop(state);
        drop_contained(unused);
        result
    }

    /// Nobody will take the answer. The closure is called all the same.
    fn forsake(&self) {
        let mut state = self.lock();
        match &mut *state {
            State::Queued(_, awaiter) | State::Running(awaiter) => {
                let former = mem::replace(awaiter, Awaiter::Gone);
                drop(state);
                drop_contained(former);
            }
            State::Answered(_) | State::Over => {
                let former = mem::replace(&mut *state, State::Over);
                drop(state);
                if let State::Answered(answer) = former {
                    self.drop_unseen(answer);
                }
            }
        }
    }

    fn drop_unseen(&self, answer: Result<T, JoinError>) {
        match answer {
            Ok(value) => drop_contained(value),
            Err(error) => self.handle.report_unseen(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be given up before it begins.
trait GiveUp {
    /// Drops the closure, which is not called, and answers with `error`. Does nothing once the closure has begun.
    fn give_up(&self, error: JoinError);
}

impl<T> GiveUp for Work<T> {
    fn give_up(&self, error: JoinError) {
        let mut state = self.lock();
        match mem::replace(&mut *state, State::Over) {
            State::Queued(f, awaiter) => {
                *state = State::Running(awaiter);
                drop(state);
                // Its panic is the answer, unless there is an error that says more.
                let error = match contain(|| drop(f)) {
                    Err(payload) if error.is_cancelled() => JoinError::panic(payload, None),
                    Err(payload) => {
                        forget_payload(payload);
                        error
                    }
                    Ok(()) => error,
                };
                self.answer(Err(error));
            }
            other => *state = other,
        }
    }
}

/// The operation that has a closure called. When it ends, or is forgotten, before that, the closure is given up.
struct Queued(Arc<dyn GiveUp>);

impl Completer<Descriptor> for Queued {
    fn complete(self: Rc<Self>, _: Role, completion: Completion<Descriptor>) {
        match completion.result {
            Ok(_) => {}
            Err(Errno::ECANCELED) => self.0.give_up(JoinError::cancelled()),
            Err(errno) => self.0.give_up(JoinError::refused(errno.into())),
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.give_up(JoinError::cancelled());
    }
}
