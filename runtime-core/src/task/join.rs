//! Waiting for a task's output.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::contain::drop_contained;

use super::cell::{JoinError, Joinable, Task};

/// Waits for a task's output, or for the reason why there is none. Dropping it detaches the task, which goes
/// on.
///
/// # Panics
///
/// When polled again after it was ready.
pub struct JoinHandle<T> {
    /// `None` once the output is taken.
    task: Option<Rc<dyn Joinable<T>>>,
}

impl<T: 'static> JoinHandle<T> {
    pub(crate) fn new(task: Rc<dyn Joinable<T>>) -> Self {
        Self { task: Some(task) }
    }
}

impl<T> JoinHandle<T> {
    /// Ends the task: instead of its next poll, its future is dropped and this handle gets
    /// a [`JoinError`] that says so. Does nothing if the task has finished; a task that is being polled finishes
    /// if that poll returns `Ready`.
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    /// Whether the task has finished or panicked, or its future has been dropped after an abort.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_finished())
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_ref().expect("a JoinHandle was polled after it was ready");
        let output = task.poll_join(cx);
        if output.is_ready() {
            // Nothing of a user's is left in there.
            self.task = None;
        }
        output
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        task.detach();
        // Until it has finished, the task's slot owns it too.
        if task.is_finished() {
            discard(task);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", if self.is_finished() { "finished" } else { "running" })
    }
}

thread_local! {
    /// A discarded task is being dropped on this thread.
    static DISCARDING: Cell<bool> = const { Cell::new(false) };
    /// Tasks that were discarded meanwhile.
    static DISCARDED: RefCell<Vec<Rc<dyn Task>>> = const { RefCell::new(Vec::new()) };
}

/// Drops one owner of a finished task. With the last one goes an output that nobody took; if that output
/// owns other finished tasks, they are dropped one after the other rather than one inside the other, so that
/// a long chain of them does not overflow the stack.
pub(super) fn discard(task: Rc<dyn Task>) {
    if Rc::strong_count(&task) > 1 {
        return;
    }
    if DISCARDING.replace(true) {
        // If the thread is ending and its locals are gone, `task` is dropped right here.
        let _ = DISCARDED.try_with(|discarded| discarded.borrow_mut().push(task));
        return;
    }
    drop_contained(task);
    while let Ok(Some(task)) = DISCARDED.try_with(|discarded| discarded.borrow_mut().pop()) {
        drop_contained(task);
    }
    DISCARDING.set(false);
}
