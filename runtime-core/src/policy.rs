//! Who runs next, where first in, first out will not do.

use crate::task::id::TaskId;

/// Chooses which of the ready tasks runs next. A runtime without one runs them first in, first out.
///
/// The loop calls it between polls, never in the middle of one, and with nothing of its own borrowed: it may spawn and
/// wake. What it does not choose does not run, so a policy can starve tasks, and with them whoever waits for them. The
/// future of `block_on` is scheduled like any task, with the priority 1.
///
/// A policy that panics is dropped; that is reported as an incident, and tasks run first in, first out from then on.
pub trait Policy {
    /// A task has become ready. It is told once, until the task is chosen.
    fn push(&mut self, task: Ready);

    /// Chooses a task of those that were pushed and not yet chosen. `None` while there are any means that none shall
    /// run now: the loop waits for the kernel, a timer or another thread, and asks again then. Tasks that are not ready
    /// are passed over, and the policy is asked once more; one that chooses nothing else counts as one that panics.
    fn pop(&mut self) -> Option<TaskId>;
}

/// A task that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ready {
    /// Which one.
    pub task: TaskId,
    /// What it was spawned with; 1 if with nothing.
    pub priority: u32,
}

impl Ready {
    pub(crate) fn new(task: TaskId, priority: u32) -> Self {
        Self { task, priority }
    }
}
