//! Who of the ready tasks runs next.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::panic::resume_unwind;
use std::rc::Rc;

use crate::contain::{self, contain, drop_contained};
use crate::policy::{Policy, Ready};
use crate::remote::registry::Identity;
use crate::remote::wakes::Wakes;

use super::cell::Task;
use super::table::Table;

/// A policy that chooses so many tasks in a row that are not ready is beyond hope.
const MAX_WRONG_CHOICES: u32 = 10_000;

/// All tasks of a runtime, and the policy that chooses among them, if there is one.
///
/// Wakes put tasks in the queue, with a policy as without; only the loop, when it looks for the next task, moves them on
/// to the policy. So a policy, which is users' code, is never called in the middle of anything.
pub(crate) struct Tasks {
    table: Table,
    /// Whether there is a policy. Else the queue is first in, first out.
    has_policy: Cell<bool>,
    /// Borrowed while it is asked: it is only ever asked by the loop, which is not entered twice.
    policy: RefCell<Option<Box<dyn Policy>>>,
    /// How many tasks the policy was told of and has not chosen yet.
    held: Cell<usize>,
    /// The policy had tasks and chose none.
    declined: Cell<bool>,
}

impl Tasks {
    pub(crate) fn new(runtime: Identity, wakes: &Wakes, policy: Option<Box<dyn Policy>>) -> Self {
        Self {
            table: Table::new(runtime, wakes),
            has_policy: Cell::new(policy.is_some()),
            policy: RefCell::new(policy),
            held: Cell::new(0),
            declined: Cell::new(false),
        }
    }

    /// Whether any task may run now.
    #[inline]
    pub(crate) fn any_ready(&self) -> bool {
        self.queue_len() > 0 || (self.held.get() > 0 && !self.declined.get())
    }

    /// Takes the task that has been ready longest.
    #[inline]
    pub(crate) fn next_in_line(&self) -> Option<Rc<Task>> {
        self.table.take_first()
    }

    #[inline]
    pub(crate) fn has_policy(&self) -> bool {
        self.has_policy.get()
    }

    /// Drops the policy: nobody runs any more.
    pub(crate) fn drop_policy(&self) {
        self.has_policy.set(false);
        drop_contained(self.policy.take());
    }

    /// Takes the task that the policy chooses.
    #[cold]
    pub(crate) fn chosen(&self) -> Option<Rc<Task>> {
        let mut policy = self.policy.borrow_mut();
        let payload = match contain(|| self.ask(policy.as_deref_mut()?)) {
            Ok(next) => return next,
            Err(payload) => payload,
        };
        let broken = policy.take();
        drop(policy);
        drop_contained(broken);
        self.has_policy.set(false);
        self.held.set(0);
        contain::report("the scheduling policy, which is not asked any more,", payload);
        self.queue_all_scheduled();
        self.next_in_line()
    }

    /// Tells the policy who is ready, and asks it who shall run.
    fn ask(&self, policy: &mut dyn Policy) -> Option<Rc<Task>> {
        // Those that it spawns or wakes itself are for the next time, or this might never end.
        for _ in 0..self.queue_len() {
            let Some((id, priority)) = self.hand_over_first() else { break };
            self.held.update(|held| held + 1);
            policy.push(Ready::new(id, priority));
        }
        if self.held.get() == 0 {
            return None;
        }
        for _ in 0..=MAX_WRONG_CHOICES {
            let Some(id) = policy.pop() else {
                self.declined.set(true);
                return None;
            };
            if let Some(next) = self.table.take(id) {
                self.held.update(|held| held.saturating_sub(1));
                self.declined.set(false);
                return Some(next);
            }
        }
        resume_unwind(Box::new("it keeps choosing tasks that are not ready"))
    }
}

impl Deref for Tasks {
    type Target = Table;

    #[inline]
    fn deref(&self) -> &Table {
        &self.table
    }
}
