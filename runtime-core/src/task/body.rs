//! The future of a task, later its output.

use std::any::TypeId;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::error::JoinError;

/// The part of a task that depends on what its future is. Runs users' code, and contains no panic of it.
///
/// # Safety
///
/// `Self` is the [`Content`] of the future whose type `future_type` names: the memory of a finished task is used again
/// for the next one of that type.
pub(crate) unsafe trait Body {
    /// Polls the future. Once it is ready, the output takes its place; `true` then.
    fn advance(&self, waker: &Waker) -> bool;
    /// Drops the future. Should that panic, it is gone all the same.
    fn drop_future(&self);
    /// Puts an error where the output would be, which is not there.
    fn set_error(&self, error: JoinError);
    /// Drops the output, if it is still there.
    fn drop_output(&self);
    /// Takes the output if it is a panic.
    fn take_panic(&self) -> Option<JoinError>;
    /// The type of the future.
    fn future_type(&self) -> TypeId;
}

/// A [`Body`] for those who know the type of its output.
pub(crate) trait Produces<T>: Body {
    /// Takes the output, once.
    fn take_output(&self) -> Result<T, JoinError>;
}

/// The body of a task with the future `F`.
pub(crate) struct Content<F: Future> {
    /// Borrowed while the future is polled or dropped. The task's header says when others may touch it.
    stage: RefCell<Stage<F>>,
}

enum Stage<F: Future> {
    /// It is dropped in place and never moved: `advance` relies on it.
    Future(F),
    /// `None` once it is taken.
    Output(Option<Result<F::Output, JoinError>>),
}

impl<F: Future> Content<F> {
    /// # Safety
    ///
    /// It does not move any more once it is polled.
    #[inline]
    pub(super) unsafe fn new(future: F) -> Self {
        Self { stage: RefCell::new(Stage::Future(future)) }
    }

    /// Puts another future in the place of what is left of the last one, whose output nobody wants any more.
    #[inline]
    pub(super) fn restart(&mut self, future: F) {
        *self.stage.get_mut() = Stage::Future(future);
    }
}

// SAFETY: it is the `Content` of an `F`, and says so.
unsafe impl<F: Future + 'static> Body for Content<F> {
    fn advance(&self, waker: &Waker) -> bool {
        let stage = &mut *self.stage.borrow_mut();
        let Stage::Future(future) = stage else { unreachable!("a finished task is not polled") };
        // SAFETY: the future is pinned: whoever made this promised not to move it, and `stage` is only ever
        // overwritten, which drops a future in place.
        match unsafe { Pin::new_unchecked(future) }.poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => {
                *stage = Stage::Output(Some(Ok(output)));
                true
            }
            Poll::Pending => false,
        }
    }

    fn drop_future(&self) {
        // An assignment writes the new value even if the drop of the old one panics.
        *self.stage.borrow_mut() = Stage::Output(None);
    }

    fn set_error(&self, error: JoinError) {
        *self.stage.borrow_mut() = Stage::Output(Some(Err(error)));
    }

    fn drop_output(&self) {
        let output = match &mut *self.stage.borrow_mut() {
            Stage::Output(output) => output.take(),
            Stage::Future(_) => None,
        };
        // With nothing borrowed any more.
        drop(output);
    }

    fn take_panic(&self) -> Option<JoinError> {
        match &mut *self.stage.borrow_mut() {
            Stage::Output(output) => output.take_if(|output| is_panic(output))?.err(),
            Stage::Future(_) => None,
        }
    }

    fn future_type(&self) -> TypeId {
        TypeId::of::<F>()
    }
}

impl<F: Future + 'static> Produces<F::Output> for Content<F> {
    fn take_output(&self) -> Result<F::Output, JoinError> {
        match &mut *self.stage.borrow_mut() {
            Stage::Output(output) => output.take().expect("taken once: its handle forgets the task"),
            Stage::Future(_) => unreachable!("a finished task has no future"),
        }
    }
}

fn is_panic<T>(output: &Result<T, JoinError>) -> bool {
    output.as_ref().is_err_and(JoinError::is_panic)
}
