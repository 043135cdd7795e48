//! Spawning tasks on the runtime of this thread, and asking about them.

use std::panic::Location;
use std::rc::Rc;

use crate::context;
use crate::task::{JoinHandle, Options, TaskId, TaskInfo, TaskTree};

/// Adds a task to the runtime of this thread. It is polled for the first time after those that are ready
/// now, and goes on even when its handle is dropped.
///
/// When it has finished, a task of up to 512 bytes keeps its memory, for the next one of the same type: a runtime holds
/// the memory of as many tasks as ever lived at once.
///
/// # Panics
///
/// Outside of a running runtime, and if 2^24 tasks are alive.
#[inline]
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let site = Location::caller();
    context::with("spawn", |core| core.spawn(site, future))
}

/// As [`spawn`], with options.
///
/// # Panics
///
/// As [`spawn`].
#[track_caller]
pub fn spawn_with<F: Future + 'static>(options: Options, future: F) -> JoinHandle<F::Output> {
    let core = context::with("spawn", Rc::clone);
    core.spawn_with(options, future)
}

/// The task that is being polled on this thread, if one is.
pub fn current_task() -> Option<TaskId> {
    context::try_with(|core| core.current_task()).flatten()
}

/// What there is to say of the task that is being polled on this thread, if one is.
pub fn current_info() -> Option<TaskInfo> {
    context::try_with(|core| core.current_info()).flatten()
}

/// All tasks of the runtime of this thread.
///
/// # Panics
///
/// Outside of a running runtime.
#[track_caller]
pub fn tasks() -> TaskTree {
    context::with("the list of tasks", |core| core.tree())
}
