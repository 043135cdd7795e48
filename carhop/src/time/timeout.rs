//! A limit on how long a future may take.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;

use super::{Instant, Sleep, sleep, sleep_until};

/// Waits for `future`, but no longer than `duration` from now, like asyncio's `timeout` and `wait_for`. Then the future
/// is dropped.
///
/// What the drop does depends on the future. A read or an accept that is given up loses nothing, because what arrives
/// later waits in the socket. A [`JoinHandle`](crate::JoinHandle) that is dropped lets its task go on, where asyncio's
/// `wait_for` cancels it: pass the task's own future instead of a handle, or abort the task.
///
/// ```
/// use carhop::time::{sleep, timeout};
/// use std::time::Duration;
///
/// carhop::run(async {
///     let mut task = carhop::spawn(async {
///         sleep(Duration::from_millis(20)).await;
///         "served"
///     });
///     // By reference, so that the handle is left.
///     while timeout(Duration::from_millis(3), &mut task).await.is_err() {
///         println!("not yet");
///     }
///     let task = carhop::spawn(std::future::pending::<()>());
///     let abort = task.abort_handle();
///     if timeout(Duration::from_millis(1), task).await.is_err() {
///         abort.abort();
///     }
/// });
/// ```
///
/// # Errors
///
/// [`Elapsed`] if the time is over first. The future is polled before the clock is looked at, so one that is
/// ready always wins.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub fn timeout<F: IntoFuture>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    until(sleep(duration), future.into_future())
}

/// Waits for `future`, but no longer than until `deadline`, like asyncio's `timeout_at`. See [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the deadline has passed first.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub fn timeout_at<F: IntoFuture>(
    deadline: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    until(sleep_until(deadline), future.into_future())
}

async fn until<F: Future>(sleep: Sleep, future: F) -> Result<F::Output, Elapsed> {
    let mut sleep = pin!(sleep);
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| Err(Elapsed(()))),
    })
    .await
}

/// The error of [`timeout`]: the time is over.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the deadline has elapsed")]
pub struct Elapsed(());

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
