//! Functions that the loop calls later.

use std::time::Duration;

use runtime_core::task::Options;
use runtime_core::{AbortHandle, spawn_with};

use crate::time::{Instant, sleep_until};

/// Calls `callback` after the tasks that are ready now, like asyncio's `call_soon`.
///
/// ```
/// carhop::run(async {
///     carhop::defer(|| println!("second"));
///     println!("first");
///     carhop::yield_now().await;
/// });
/// ```
///
/// # Panics
///
/// Outside of a running runtime. A panic of `callback` is contained, and reported as an
/// [`Incident`](crate::incident::Incident).
#[track_caller]
pub fn defer(callback: impl FnOnce() + 'static) -> CallHandle {
    // No `JoinHandle` is kept, so a panic is reported at once, whether or not the `CallHandle` is kept.
    let task = spawn_with(Options::here(), async move { callback() }).abort_handle();
    CallHandle { task, when: None }
}

/// Calls `callback` when `delay` has passed from now, like asyncio's `call_later`. [`Duration::MAX`] is never.
///
/// ```
/// use std::time::Duration;
///
/// carhop::run(async {
///     let (sender, receiver) = carhop::sync::oneshot::channel();
///     carhop::call_later(Duration::from_millis(1), move || sender.send("later").unwrap());
///     carhop::call_later(Duration::from_millis(1), || unreachable!("it was cancelled")).cancel();
///     assert_eq!(receiver.await, Ok("later"));
/// });
/// ```
///
/// # Panics
///
/// As [`defer`].
#[track_caller]
pub fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> CallHandle {
    call_at(Instant::now() + delay, callback)
}

/// Calls `callback` at `when`, like asyncio's `call_at`. Callbacks of the same time are called in the order in which
/// this was called. If the time has passed, `callback` is called as soon as possible.
///
/// ```
/// use carhop::time::Instant;
/// use std::time::Duration;
///
/// carhop::run(async {
///     let (sender, receiver) = carhop::sync::oneshot::channel();
///     let when = Instant::now() + Duration::from_millis(1);
///     let call = carhop::call_at(when, move || sender.send(Instant::now()).unwrap());
///     assert_eq!(call.when(), Some(when));
///     assert!(receiver.await.unwrap() >= when);
/// });
/// ```
///
/// # Panics
///
/// As [`defer`].
#[track_caller]
pub fn call_at(when: Instant, callback: impl FnOnce() + 'static) -> CallHandle {
    // Eager, so that the timer is set now.
    let options = Options { eager: true, ..Options::here() };
    let task = spawn_with(options, async move {
        sleep_until(when).await;
        callback();
    })
    .abort_handle();
    CallHandle { task, when: Some(when) }
}

/// Cancels the call of a callback. Dropping the handle changes nothing: the callback is called all the same. Keeping
/// the handle after the call keeps some memory allocated, though not the callback.
#[derive(Debug)]
pub struct CallHandle {
    task: AbortHandle,
    when: Option<Instant>,
}

impl CallHandle {
    /// Cancels the call. The loop drops the callback soon. Does nothing after the call.
    pub fn cancel(&self) {
        self.task.abort();
    }

    /// When the call is due; `None` if it is due as soon as possible ([`defer`]).
    pub fn when(&self) -> Option<Instant> {
        self.when
    }
}
