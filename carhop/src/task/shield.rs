//! Work that goes on when no task waits for it any more.

use std::fmt;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use super::context::Context;
use super::{CancelToken, JoinError, JoinHandle, spawn};

/// Runs `future` as a task, which goes on when the [`Shield`] is dropped: by a timeout, say, or because the task that
/// waits for it was aborted. asyncio's `shield`.
///
/// The task is spawned at once, and not with the first poll. It does not inherit the current [`CancelToken`], but has
/// one of its own, which is never cancelled. No group waits for it. The end of the runtime ends it like any task.
///
/// ```
/// use carhop::task::shield;
/// use carhop::time::{sleep, timeout};
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// carhop::run(async {
///     let saved = Rc::new(Cell::new(false));
///     let flag = saved.clone();
///     let save = async move {
///         sleep(Duration::from_millis(5)).await;
///         flag.set(true);
///     };
///     assert!(timeout(Duration::from_millis(1), shield(save)).await.is_err());
///     sleep(Duration::from_millis(20)).await;
///     assert!(saved.get());
/// });
/// ```
///
/// # Panics
///
/// As [`spawn`]. A panic of `future` is the shield's output. If the shield is gone, it is reported as that of any task
/// without a handle.
#[track_caller]
pub fn shield<F: IntoFuture>(future: F) -> Shield<F::Output>
where
    F::IntoFuture: 'static,
    F::Output: 'static,
{
    let future = future.into_future();
    let handle = spawn(async move {
        if Context::current().is_some() {
            Context { token: CancelToken::new(), group: None }.enter();
        }
        future.await
    });
    Shield { handle }
}

/// Waits for a shielded task. Made by [`shield`].
///
/// # Errors
///
/// [`JoinError`] if the task panicked, or the runtime ended before it.
///
/// # Panics
///
/// When polled again after it was ready.
#[must_use = "without waiting for it, it is a `spawn`"]
pub struct Shield<T> {
    handle: JoinHandle<T>,
}

impl<T> Future for Shield<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

impl<T> fmt::Debug for Shield<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shield({})", if self.handle.is_finished() { "finished" } else { "running" })
    }
}
