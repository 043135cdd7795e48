//! What is known of a task, whatever its future is.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::panic::Location;
use std::task::Waker;

use crate::clock::Nanos;
use crate::remote::registry::Identity;

use super::awaits::{Awaits, Noted};
use super::id::TaskId;
use super::info::{State, TaskInfo};
use super::locals::Locals;
use super::options::Options;

/// The part of a task that has one type for all futures.
pub(crate) struct Header {
    /// Its runtime, which it may outlive.
    pub(super) runtime: Identity,
    pub(crate) id: TaskId,
    pub(super) origin: Origin,
    /// The future is to be dropped instead of polled.
    pub(super) abort: Cell<bool>,
    pub(super) finished: Cell<bool>,
    /// There is an output, which nobody has taken.
    pub(super) has_output: Cell<bool>,
    /// There is no handle any more.
    pub(super) detached: Cell<bool>,
    /// Who waits for the output.
    pub(super) joiner: Cell<Option<Waker>>,
    /// What it noted in its last poll is still true, and it noted something.
    waits: Cell<bool>,
    noted: Cell<Noted>,
    locals: Cell<Locals>,
    /// What few tasks have.
    extras: OnceCell<Box<Extras>>,
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

struct Extras {
    name: Option<Cow<'static, str>>,
    priority: u32,
}

impl Header {
    #[inline]
    pub(super) fn new(runtime: Identity, id: TaskId, origin: Origin) -> Self {
        Self {
            runtime,
            id,
            origin,
            abort: Cell::new(false),
            finished: Cell::new(false),
            has_output: Cell::new(false),
            detached: Cell::new(false),
            joiner: Cell::new(None),
            waits: Cell::new(false),
            noted: Cell::default(),
            locals: Cell::new(None),
            extras: OnceCell::new(),
        }
    }

    /// Becomes that of the next task. The last one has left nothing of a user's: no joiner when it finished, no
    /// task-locals when it was forgotten.
    #[inline]
    pub(super) fn restart(&mut self, id: TaskId, origin: Origin) {
        (self.id, self.origin) = (id, origin);
        for flag in [&self.abort, &self.finished, &self.has_output, &self.detached, &self.waits] {
            flag.set(false);
        }
        self.extras.take();
    }

    /// Keeps what is out of the common. Once, when it is spawned.
    pub(crate) fn set_extras(&self, name: Option<Cow<'static, str>>, priority: u32) {
        let was_set = self.extras.set(Box::new(Extras { name, priority })).is_err();
        debug_assert!(!was_set);
    }

    pub(super) fn name(&self) -> Option<&Cow<'static, str>> {
        self.extras.get()?.name.as_ref()
    }

    pub(super) fn priority(&self) -> u32 {
        self.extras.get().map_or(Options::DEFAULT_PRIORITY, |extras| extras.priority)
    }

    /// Calls `f` with its task-locals. `f` must not run users' code.
    pub(crate) fn with_locals<T>(&self, f: impl FnOnce(&mut Locals) -> T) -> T {
        let mut locals = self.locals.take();
        let result = f(&mut locals);
        self.locals.set(locals);
        result
    }

    /// Takes its task-locals, which are to be dropped with nothing borrowed.
    #[inline]
    pub(super) fn take_locals(&self) -> Locals {
        self.locals.take()
    }

    /// A poll begins: what it waited for has come, or it was told so.
    #[inline]
    pub(crate) fn stop_waiting(&self) {
        self.waits.set(false);
    }

    /// A poll has ended, in which it came to what it waits for.
    #[inline]
    pub(crate) fn wait_for(&self, noted: Noted) {
        self.waits.set(true);
        self.noted.set(noted);
    }

    /// What it waits for, as far as it said.
    pub(super) fn waits_for(&self) -> Noted {
        if self.waits.get() { self.noted.get() } else { Noted::default() }
    }

    /// What there is to say of the task.
    pub(crate) fn info(&self, activity: Activity, now: Nanos) -> TaskInfo {
        let state = match activity {
            Activity::Running => State::Running,
            Activity::Ready => State::Ready,
            Activity::Waiting(noted) => {
                let left = match noted.last {
                    Awaits::Timer { deadline } if deadline != Nanos::NEVER => {
                        Some(deadline.saturating_since(now))
                    }
                    _ => None,
                };
                State::Waiting { awaits: noted.last, others: noted.count.saturating_sub(1), left }
            }
        };
        TaskInfo {
            id: self.id,
            name: self.name().cloned(),
            location: self.origin.site,
            parent: Some(self.origin.parent).filter(|&parent| parent != TaskId::NONE),
            state,
            age: now.saturating_since(self.origin.born),
        }
    }
}

/// What the table of tasks knows of one.
#[derive(Clone, Copy)]
pub(crate) enum Activity {
    Running,
    Ready,
    Waiting(Noted),
}
