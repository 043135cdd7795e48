//! How a task was spawned, and what is known of it, whatever its future is.

use std::borrow::Cow;
use std::panic::Location;

use crate::clock::Nanos;

use super::TaskId;
use super::awaits::Noted;
use super::locals::Locals;

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

/// What is known of a task and seldom asked for. Kept in the table of tasks rather than with the future, so that
/// tasks stay small for the allocator.
pub(crate) struct Details {
    pub(crate) origin: Origin,
    /// What it waited for when it was polled last. Out of date unless its slot says otherwise.
    pub(crate) noted: Noted,
    pub(crate) locals: Locals,
    /// What few tasks have.
    pub(crate) extras: Option<Box<Extras>>,
}

/// Where a task comes from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// Which task spawned it, or [`TaskId::NONE`].
    pub(crate) parent: TaskId,
    pub(crate) site: &'static Location<'static>,
    /// To the step of the loop.
    pub(crate) born: Nanos,
}

pub(crate) struct Extras {
    name: Option<Cow<'static, str>>,
    priority: u32,
}

impl Details {
    /// Of a slot that never had a task.
    #[track_caller]
    pub(crate) fn none() -> Self {
        let origin = Origin { parent: TaskId::NONE, site: Location::caller(), born: Nanos(0) };
        Self { origin, noted: Noted::default(), locals: None, extras: None }
    }

    /// Keeps what is out of the common.
    pub(crate) fn set_extras(&mut self, name: Option<Cow<'static, str>>, priority: u32) {
        self.extras = Some(Box::new(Extras { name, priority }));
    }

    pub(crate) fn priority(&self) -> u32 {
        self.extras.as_ref().map_or(Options::DEFAULT_PRIORITY, |extras| extras.priority)
    }

    pub(crate) fn name(&self) -> Option<&Cow<'static, str>> {
        self.extras.as_ref()?.name.as_ref()
    }

    /// Takes what is a user's, to be dropped with nothing borrowed.
    pub(crate) fn take_users(&mut self) -> Users {
        (self.locals.take(), self.extras.take())
    }
}

/// Values of users in the details of a task.
pub(crate) type Users = (Locals, Option<Box<Extras>>);
