//! One waiter at most: the receiving end of a channel.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use runtime_core::contain::{drop_contained, wake_contained};
use runtime_core::task::{Awaits, note};

/// The waker of the task that waits.
#[derive(Default)]
pub(super) struct Waiter(Cell<Option<Waker>>);

impl Waiter {
    #[inline]
    pub(super) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            wake_contained(waker);
        }
    }

    /// The task does not wait any more.
    #[inline]
    pub(super) fn leave(&self) {
        if let Some(waker) = self.0.take() {
            drop_contained(waker);
        }
    }

    /// Asks `ready`, and leaves the waker if there is nothing yet. `name` is what the list of tasks says.
    pub(super) fn poll<T>(
        &self,
        name: &'static str,
        cx: &mut Context<'_>,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Poll<T> {
        if let Some(value) = ready() {
            return Poll::Ready(value);
        }
        if let Some(before) = self.0.replace(Some(cx.waker().clone())) {
            drop_contained(before);
        }
        // Cloning a waker may be users' code, and so the reason to ask again.
        if let Some(value) = ready() {
            self.leave();
            return Poll::Ready(value);
        }
        note(Awaits::Named(name));
        Poll::Pending
    }

    /// Waits until `ready` gives something. Nothing is left behind if the future is dropped.
    pub(super) fn wait<T, F: FnMut() -> Option<T>>(&self, name: &'static str, ready: F) -> Wait<'_, F> {
        Wait { waiter: self, name, ready }
    }
}

/// See [`Waiter::wait`].
pub(super) struct Wait<'a, F> {
    waiter: &'a Waiter,
    name: &'static str,
    ready: F,
}

/// Nothing is pinned.
impl<F> Unpin for Wait<'_, F> {}

impl<T, F: FnMut() -> Option<T>> Future for Wait<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        this.waiter.poll(this.name, cx, &mut this.ready)
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        self.waiter.leave();
    }
}
