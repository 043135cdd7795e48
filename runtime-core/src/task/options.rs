//! How a task is spawned.

use std::borrow::Cow;
use std::panic::Location;

/// How a task is spawned, where the defaults will not do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the list of tasks calls it.
    pub name: Option<Cow<'static, str>>,
    /// What a scheduling policy may order by.
    pub priority: u32,
    /// Polled within `spawn` for the first time, rather than when its turn has come.
    pub eager: bool,
    /// Whether it starts with the task-locals of the task that spawns it.
    pub inherit: bool,
    /// Where in the program it is spawned.
    pub site: &'static Location<'static>,
}

impl Options {
    /// The priority of a task that asks for none.
    pub const DEFAULT_PRIORITY: u32 = 1;

    /// The defaults, for a task that the caller spawns.
    #[track_caller]
    pub fn here() -> Self {
        Self {
            name: None,
            priority: Self::DEFAULT_PRIORITY,
            eager: false,
            inherit: true,
            site: Location::caller(),
        }
    }
}
