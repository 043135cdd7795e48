//! Waiting for a task's output.

use std::fmt;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use crate::contain::drop_contained;

use super::awaits::{Awaits, note};
use super::body::Produces;
use super::cell::Task;
use super::discard::discard;
use super::error::JoinError;
use super::id::TaskId;
use super::waker::waker;

/// Waits for a task's output, or for the reason why there is none. Dropping it detaches the task, which goes
/// on.
///
/// # Panics
///
/// When polled again after it was ready.
pub struct JoinHandle<T> {
    /// `None` once the output is taken.
    task: Option<Rc<Task<dyn Produces<T>>>>,
}

impl<T: 'static> JoinHandle<T> {
    pub(crate) fn new(task: Rc<Task<dyn Produces<T>>>) -> Self {
        Self { task: Some(task) }
    }
}

impl<T> JoinHandle<T> {
    /// Ends the task: instead of its next poll, its future is dropped and this handle gets
    /// a [`JoinError`] that says so. Does nothing if the task has finished; a task that is being polled finishes
    /// if that poll returns `Ready`.
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            abort(&**task as &Task);
        }
    }

    /// Whether the task has finished or panicked, or its future has been dropped after an abort.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.header.finished.get())
    }

    /// The task's number; used again some time after the task has ended.
    ///
    /// # Panics
    ///
    /// After the handle was ready.
    pub fn id(&self) -> TaskId {
        self.task.as_ref().expect("a JoinHandle was asked for its task after it was ready").header.id
    }

    /// Something that can end the task and does not wait for it.
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle { task: self.task.as_ref().map(|task| Rc::downgrade(task) as Weak<Task>) }
    }
}

/// Ends a task; see [`JoinHandle::abort_handle`]. Any number of them may exist, and none keeps the task alive, though
/// each keeps the memory in which it was.
#[derive(Clone)]
pub struct AbortHandle {
    /// `None` if the handle it came from was ready.
    task: Option<Weak<Task>>,
}

impl AbortHandle {
    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        if let Some(task) = self.task.as_ref().and_then(Weak::upgrade) {
            abort(&task);
        }
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        let task = self.task.as_ref().and_then(Weak::upgrade);
        task.is_none_or(|task| task.header.finished.get())
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbortHandle({})", if self.is_finished() { "finished" } else { "running" })
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_ref().expect("a JoinHandle was polled after it was ready");
        let header = &task.header;
        if !header.finished.get() {
            // It may be a user's own, whose code ends the runtime, and with it the task.
            let waker = cx.waker().clone();
            if !header.finished.get() {
                drop(header.joiner.replace(Some(waker)));
                note(Awaits::Task(header.id));
                return Poll::Pending;
            }
            drop_contained(waker);
        }
        header.has_output.set(false);
        let output = task.body.take_output();
        // No user value remains in there.
        self.task = None;
        Poll::Ready(output)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        let task: Rc<Task> = task;
        task.detach();
        if task.header.finished.get() {
            discard(task);
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHandle({})", if self.is_finished() { "finished" } else { "running" })
    }
}

/// Has a task end instead of being polled again.
fn abort(task: &Task) {
    if task.abort() {
        waker(task.header.runtime.number, task.header.id).wake();
    }
}
