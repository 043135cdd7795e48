//! Spawning with options.

use std::borrow::Cow;

use runtime_core::task::Options;
use runtime_core::{JoinHandle, spawn_with};

/// Spawns a task with options: a name, a priority, a first poll at once.
///
/// ```
/// use carhop::task;
///
/// carhop::run(async {
///     let cook = task::Builder::new().name("cook").spawn(async { "pasta" });
///     assert!(task::tasks().to_string().contains("`cook`"));
///     assert_eq!(cook.await.unwrap(), "pasta");
/// });
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    priority: u32,
    eager: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The options of [`spawn`](crate::spawn): no name, priority 1, not eager.
    pub const fn new() -> Self {
        Self { name: None, priority: Options::DEFAULT_PRIORITY, eager: false }
    }

    /// The task's name in the list of tasks and in reports.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A number for the scheduling [`Policy`](crate::policy::Policy). Without one it has no effect.
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Polls the task for the first time within [`Builder::spawn`], rather than after the tasks that are ready. If it
    /// can finish without waiting, it never enters the queue. As with asyncio's eager tasks, this changes the order:
    /// the task runs before the code that follows the spawn. A chain of eager tasks that spawn one another uses the
    /// stack for each.
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// Spawns a task, as [`spawn`](crate::spawn) does.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime, and if 2^24 tasks are alive.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(self, future: F) -> JoinHandle<F::Output> {
        let Self { name, priority, eager } = self;
        spawn_with(Options { name, priority, eager, ..Options::here() }, future)
    }
}
