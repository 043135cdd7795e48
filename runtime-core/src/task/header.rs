//! What is known of a task, whatever its future is.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::task::Waker;

use crate::clock::Nanos;
use crate::registry::RuntimeId;

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

/// The part of a task that has one type for all futures.
pub(crate) struct Header {
    pub(crate) runtime: RuntimeId,
    pub(crate) id: TaskId,
    /// Which task spawned it, if one did.
    pub(crate) parent: Option<TaskId>,
    pub(crate) site: &'static Location<'static>,
    /// To the step of the loop.
    pub(crate) born: Nanos,
    /// The future is to be dropped instead of polled.
    pub(crate) abort: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// There is no handle any more.
    pub(crate) detached: Cell<bool>,
    pub(crate) joiner: Cell<Option<Waker>>,
    pub(crate) noted: Cell<Noted>,
    pub(crate) locals: RefCell<Locals>,
    /// What few tasks have.
    pub(crate) extras: Option<Box<Extras>>,
}

pub(crate) struct Extras {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) priority: u32,
}

impl Header {
    #[inline]
    pub(crate) fn new(
        runtime: RuntimeId,
        id: TaskId,
        parent: Option<TaskId>,
        site: &'static Location<'static>,
        born: Nanos,
    ) -> Self {
        Self {
            runtime,
            id,
            parent,
            site,
            born,
            abort: Cell::new(false),
            finished: Cell::new(false),
            detached: Cell::new(false),
            joiner: Cell::new(None),
            noted: Cell::default(),
            locals: RefCell::default(),
            extras: None,
        }
    }

    /// Keeps what is out of the common.
    pub(crate) fn set_extras(&mut self, name: Option<Cow<'static, str>>, priority: u32) {
        if name.is_some() || priority != Options::DEFAULT_PRIORITY {
            self.extras = Some(Box::new(Extras { name, priority }));
        }
    }

    pub(crate) fn priority(&self) -> u32 {
        self.extras.as_ref().map_or(Options::DEFAULT_PRIORITY, |extras| extras.priority)
    }

    pub(crate) fn name(&self) -> Option<&Cow<'static, str>> {
        self.extras.as_ref()?.name.as_ref()
    }
}
