//! How other threads reach a runtime.

use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_channel::oneshot;
use runtime_core::task::{Awaits, Options, note};
use runtime_core::{JoinError, JoinHandle, RuntimeGone, spawn_with};

/// Hands work to a runtime, from any thread. Any number of handles may exist, and none keeps the runtime alive.
///
/// ```
/// use carhop::Handle;
/// use std::thread;
///
/// carhop::run(async {
///     let handle = Handle::current();
///     let thread = thread::spawn(move || handle.spawn(async { 6 * 7 }));
///     let task = thread.join().unwrap();
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
#[derive(Clone)]
pub struct Handle(pub(crate) runtime_core::Handle);

impl Handle {
    /// A handle of the runtime that runs on this thread, if one does. For any other runtime there is
    /// [`Runtime::handle`](crate::Runtime::handle).
    pub fn try_current() -> Option<Self> {
        runtime_core::Handle::try_current().map(Self)
    }

    /// A handle of the runtime that runs on this thread, like asyncio's `get_running_loop`.
    ///
    /// # Panics
    ///
    /// If none is running; see [`Handle::try_current`].
    #[track_caller]
    pub fn current() -> Self {
        Self(runtime_core::Handle::current())
    }

    /// Has the runtime call `callback`, after the tasks that are ready by then, like asyncio's `call_soon_threadsafe`.
    /// Callbacks of one thread are called in the order in which they were posted. This never waits for the loop, and
    /// wakes it if it sleeps. Callbacks that are posted between two `block_on`s wait for the second one.
    ///
    /// A panic of `callback` is contained, and reported as an [`Incident`](crate::incident::Incident).
    ///
    /// # Errors
    ///
    /// [`RuntimeGone`] once the runtime is being dropped, and in a forked child; then `callback` is dropped on this
    /// thread. A callback that was posted before and not called by then is dropped on the thread of the runtime.
    #[track_caller]
    pub fn post(&self, callback: impl FnOnce() + Send + 'static) -> Result<(), RuntimeGone> {
        self.0.post(callback)
    }

    /// Spawns a task on the runtime, like asyncio's `run_coroutine_threadsafe`. If the runtime is gone, `future` is
    /// dropped, and the task counts as cancelled. To wait for the output where nothing is async, use
    /// `futures::executor::block_on`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> RemoteJoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.spawn_pinned(move || future)
    }

    /// Spawns a task whose future need not be `Send`: `make` makes it on the thread of the runtime.
    #[track_caller]
    pub fn spawn_pinned<F: Future + 'static>(
        &self,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> RemoteJoinHandle<F::Output>
    where
        F::Output: Send,
    {
        let site = Location::caller();
        let (answer, output) = oneshot::channel();
        let (abort, aborted) = oneshot::channel();
        let handle = self.clone();
        let start = move || {
            // `make` is called within the task, so that its panic is the task's.
            let task = spawn_with(Options { site, ..Options::here() }, async move { make().await });
            // Eager: it must be the task's joiner before the task can finish.
            let options =
                Options { site, eager: true, name: Some("answers another thread".into()), ..Options::here() };
            drop(spawn_with(options, answer_with(handle, task, answer, aborted)));
        };
        // If `start` is refused, or dropped uncalled, the channel is closed, and `RemoteJoinHandle` says so.
        let _ = self.post(start);
        RemoteJoinHandle { output, abort: Some(abort) }
    }

    /// Whether the runtime is gone.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sends the output of `task` to its `RemoteJoinHandle`. Once that is dropped, `task` goes on without a handle.
async fn answer_with<T: 'static>(
    handle: Handle,
    mut task: JoinHandle<T>,
    mut answer: oneshot::Sender<Answer<T>>,
    mut aborted: oneshot::Receiver<()>,
) {
    let output = poll_fn(|cx| {
        // After that, it is an error each time.
        if let Poll::Ready(Ok(())) = Pin::new(&mut aborted).poll(cx) {
            task.abort();
        }
        if answer.poll_canceled(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut task).poll(cx).map(Some)
    });
    if let Some(output) = output.await {
        // The receiver may have been dropped since the poll.
        let _ = answer.send(Answer { output: Some(output), handle });
    }
}

/// An output on its way to its `RemoteJoinHandle`.
struct Answer<T> {
    /// `None` once it is taken.
    output: Option<Result<T, JoinError>>,
    /// The handle of the runtime that it comes from.
    handle: Handle,
}

impl<T> Drop for Answer<T> {
    /// If the answer is dropped untaken, the runtime reports its panic.
    fn drop(&mut self) {
        if let Some(Err(error)) = self.output.take() {
            self.handle.0.report_unseen(error);
        }
    }
}

/// Waits for a task of a runtime, from any thread and in any executor. Dropping it detaches the task, which goes on.
///
/// # Errors
///
/// As a [`JoinHandle`](crate::JoinHandle). If the runtime has ended, the task counts as cancelled, and so it does when
/// this is polled again after it was ready.
pub struct RemoteJoinHandle<T> {
    output: oneshot::Receiver<Answer<T>>,
    /// `None` once the task was asked to end.
    abort: Option<oneshot::Sender<()>>,
}

impl<T> RemoteJoinHandle<T> {
    /// Asks for the end of the task, as [`JoinHandle::abort`](crate::JoinHandle::abort) does.
    pub fn abort(&mut self) {
        if let Some(abort) = self.abort.take() {
            // The task may have finished.
            let _ = abort.send(());
        }
    }
}

impl<T> Future for RemoteJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = Pin::new(&mut self.output).poll(cx);
        if poll.is_pending() {
            note(Awaits::Named("RemoteJoinHandle"));
        }
        let output = ready!(poll).ok().and_then(|mut answer| answer.output.take());
        Poll::Ready(output.unwrap_or_else(|| Err(JoinError::cancelled())))
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteJoinHandle")
    }
}
