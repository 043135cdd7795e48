//! Spawning with more than the defaults.

use std::borrow::Cow;

use runtime_core::task::Options;
use runtime_core::{JoinHandle, spawn_with};

/// Spawns a task with a name, a priority, or at once.
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
    /// As [`spawn`](crate::spawn) does it: no name, priority 1, not eager.
    pub const fn new() -> Self {
        Self { name: None, priority: Options::DEFAULT_PRIORITY, eager: false }
    }

    /// What the list of tasks and reports call it.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A number for the scheduling [`Policy`](crate::policy::Policy). Without one it has no effect.
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Polls the task within [`Builder::spawn`] for the first time, rather than after those that are ready. If it can
    /// finish without waiting, it never enters the queue. Like asyncio's eager tasks, it changes the order: the task
    /// runs before what follows its spawning, and a chain of eager tasks that spawn one another is as deep on the stack.
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
