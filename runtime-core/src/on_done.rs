//! Callbacks for the ends of tasks.

use crate::spawn::spawn_with;
use crate::task::{JoinError, JoinHandle, Options};

impl<T: 'static> JoinHandle<T> {
    /// Calls `callback` with the output when the task has finished: not at once then, but after the tasks that are
    /// ready before, like asyncio's `add_done_callback`. The callback runs as a task of its own; if the runtime ends
    /// before, it is dropped.
    ///
    /// An output has one owner, so this takes the handle. To await the task too, or for a second callback, send the
    /// output on from the first; an [`AbortHandle`](crate::AbortHandle) can be made before.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime. A panic of `callback` is reported as that of any task without a handle.
    #[track_caller]
    pub fn on_done(self, callback: impl FnOnce(Result<T, JoinError>) + 'static) {
        // Eager: it must be the task's joiner before the task can finish, to get its place in the queue then. If the
        // task has finished, that place is the end of the queue now.
        let options = Options { eager: !self.is_finished(), ..Options::here() };
        drop(spawn_with(options, async move { callback(self.await) }));
    }
}
