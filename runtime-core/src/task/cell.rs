//! One task: its future, later its output, in one allocation.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::contain::{contain, drop_contained, forget_payload, wake_contained};
use crate::context;
use crate::registry::RuntimeId;

use super::error::JoinError;
use super::waker::waker;
use super::{Awaits, TaskId, note};

/// What the loop does with a task, whatever its future is.
pub(crate) trait Task {
    fn header(&self) -> &Header;
    /// Polls the future once; `true` when the task has finished. Contains panics.
    fn poll(&self, waker: &Waker) -> bool;
    /// Drops the future, if it is still there. Contains panics.
    fn cancel(&self);
    /// Drops the output, if it is still there. That is a user's code.
    fn drop_output(&self);
    /// To be asked for its type.
    fn into_any(self: Rc<Self>) -> Rc<dyn Any>;
}

/// What a join handle does with a task, whatever its future is.
pub(crate) trait Joinable<T>: Task {
    /// Takes the output, or leaves the waker of whoever waits for it.
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>>;
    /// The handle is gone: forgets who waits for the output.
    fn detach(&self);
}

impl dyn Task {
    pub(crate) fn abort(&self) {
        let header = self.header();
        if !header.finished.get() && !header.abort.replace(true) {
            waker(header.runtime, header.id).wake();
        }
    }
}

/// The part of a task that has one type for all futures.
pub(crate) struct Header {
    runtime: RuntimeId,
    pub(crate) id: TaskId,
    /// The future is to be dropped instead of polled.
    abort: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// There is an output, which nobody has taken.
    pub(super) has_output: Cell<bool>,
    /// There is no handle any more.
    pub(super) detached: Cell<bool>,
    joiner: Cell<Option<Waker>>,
}

impl Header {
    #[inline]
    pub(crate) fn new(runtime: RuntimeId, id: TaskId) -> Self {
        Self {
            runtime,
            id,
            abort: Cell::new(false),
            finished: Cell::new(false),
            has_output: Cell::new(false),
            detached: Cell::new(false),
            joiner: Cell::new(None),
        }
    }
}

/// A task.
pub(crate) struct TaskCell<F: Future> {
    header: Header,
    /// Borrowed while the future is polled or dropped. `header.finished` says when others may touch it.
    stage: RefCell<Stage<F>>,
}

/// The future is dropped in place and never moved: `poll` relies on it.
enum Stage<F: Future> {
    Future(F),
    /// `None` once it is taken.
    Output(Option<Result<F::Output, JoinError>>),
}

impl<F: Future + 'static> TaskCell<F> {
    /// A task, in the memory of `spare` if that had a future of the same type, and nobody has a handle of it.
    #[inline]
    pub(crate) fn new(header: Header, future: F, spare: Option<Rc<dyn Task>>) -> Rc<Self> {
        if let Some(spare) = spare
            && let Ok(mut cell) = spare.into_any().downcast::<Self>()
            && let Some(this) = Rc::get_mut(&mut cell)
        {
            this.header = header;
            *this.stage.get_mut() = Stage::Future(future);
            return cell;
        }
        // Allocated first, so that the cell is written where it stays: `Rc::new` would make it on the stack.
        let mut cell = Rc::new(MaybeUninit::uninit());
        let new = Self { header, stage: RefCell::new(Stage::Future(future)) };
        Rc::get_mut(&mut cell).expect("nobody else has it").write(new);
        // SAFETY: the line before wrote all of it.
        unsafe { cell.assume_init() }
    }

    /// Polls the future. Once it is ready, the output takes its place; `true` then.
    fn advance(&self, waker: &Waker) -> bool {
        let stage = &mut *self.stage.borrow_mut();
        let Stage::Future(future) = stage else { unreachable!("a finished task is not polled") };
        // SAFETY: the future is pinned: a `TaskCell` exists only inside the `Rc` that `new` makes, so it does
        // not move, and `stage` is only ever overwritten, which drops a future in place. Where `new` puts another
        // future in the place of the last output, nobody else owns the cell, and that output's future is gone.
        match unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => {
                *stage = Stage::Output(Some(Ok(output)));
                true
            }
            Poll::Pending => false,
        }
    }

    /// Puts `error` in the place of the future, or of its output if that future's drop panicked. Should the drop of
    /// a cancelled future panic, that is the error.
    fn fail(&self, error: JoinError) {
        // An assignment writes the new value even if the drop of the old one panics.
        let dropped = contain(|| *self.stage.borrow_mut() = Stage::Output(None));
        let error = match dropped {
            Err(payload) if error.is_cancelled() => self.panicked(payload),
            Err(payload) => {
                forget_payload(payload);
                error
            }
            Ok(()) => error,
        };
        *self.stage.borrow_mut() = Stage::Output(Some(Err(error)));
        self.finish();
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) -> JoinError {
        JoinError::panic(payload, context::try_with(|core| core.info(self.header.id)).flatten())
    }

    fn finish(&self) {
        self.header.finished.set(true);
        self.header.has_output.set(true);
        if let Some(joiner) = self.header.joiner.take() {
            wake_contained(joiner);
        }
        if self.header.detached.get() {
            self.report_unseen_panic();
        }
    }

    /// There is no handle, and so nobody who will take the output.
    fn report_unseen_panic(&self) {
        let error = match &mut *self.stage.borrow_mut() {
            Stage::Output(output) if output.as_ref().is_some_and(is_panic) => {
                self.header.has_output.set(false);
                output.take().and_then(Result::err)
            }
            _ => None,
        };
        if let Some(error) = error {
            error.report_to(self.header.runtime);
        }
    }
}

impl<F: Future + 'static> Task for TaskCell<F> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn poll(&self, waker: &Waker) -> bool {
        if self.header.abort.get() {
            self.fail(JoinError::cancelled());
            return true;
        }
        match contain(|| self.advance(waker)) {
            Ok(false) => return false,
            Ok(true) => self.finish(),
            Err(payload) => self.fail(self.panicked(payload)),
        }
        true
    }

    fn cancel(&self) {
        if !self.header.finished.get() {
            self.fail(JoinError::cancelled());
        }
    }

    fn drop_output(&self) {
        self.header.has_output.set(false);
        let output = match &mut *self.stage.borrow_mut() {
            Stage::Output(output) => output.take(),
            Stage::Future(_) => None,
        };
        // With nothing borrowed any more.
        drop(output);
    }

    fn into_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

impl<F: Future + 'static> Joinable<F::Output> for TaskCell<F> {
    fn poll_join(&self, cx: &mut Context<'_>) -> Poll<Result<F::Output, JoinError>> {
        if !self.header.finished.get() {
            // It may be a user's own, whose code ends the runtime, and with it the task.
            let waker = cx.waker().clone();
            if !self.header.finished.get() {
                drop(self.header.joiner.replace(Some(waker)));
                note(Awaits::Task(self.header.id));
                return Poll::Pending;
            }
            drop_contained(waker);
        }
        match &mut *self.stage.borrow_mut() {
            Stage::Output(output) => {
                self.header.has_output.set(false);
                Poll::Ready(output.take().expect("taken once: its handle forgets the task"))
            }
            Stage::Future(_) => unreachable!("a finished task has no future"),
        }
    }

    fn detach(&self) {
        self.header.detached.set(true);
        drop_contained(self.header.joiner.take());
        if self.header.finished.get() {
            self.report_unseen_panic();
        }
    }
}

fn is_panic<T>(output: &Result<T, JoinError>) -> bool {
    output.as_ref().is_err_and(JoinError::is_panic)
}
