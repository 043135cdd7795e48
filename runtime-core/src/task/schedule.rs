//! Who is ready, and who of them runs next.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use crate::contain::{self, contain, drop_contained};
use crate::policy::{Policy, Ready};

use super::table::Table;
use super::{Task, TaskId, Tasks};

/// A policy that chooses so many tasks in a row that are not ready is beyond hope.
const MAX_WRONG_CHOICES: u32 = 10_000;

/// The policy, if there is one, and what it holds.
///
/// Wakes put tasks in the queue of the table, with a policy as without; only the loop, when it looks for the next task,
/// moves them on to the policy. So a policy, which is users' code, is never called in the middle of anything.
pub(super) struct Schedule {
    /// Whether there is a policy. Else the queue is first in, first out.
    has_policy: Cell<bool>,
    /// Borrowed while it is asked: it is only ever asked by the loop, which is not entered twice.
    policy: RefCell<Option<Box<dyn Policy>>>,
    /// How many tasks the policy was told of and has not chosen yet.
    held: Cell<usize>,
    /// The policy had tasks and chose none.
    declined: Cell<bool>,
}

impl Schedule {
    pub(super) fn new(policy: Option<Box<dyn Policy>>) -> Self {
        Self {
            has_policy: Cell::new(policy.is_some()),
            policy: RefCell::new(policy),
            held: Cell::new(0),
            declined: Cell::new(false),
        }
    }
}

impl Tasks {
    /// Whether any task may run now.
    pub(crate) fn any_ready(&self) -> bool {
        let Schedule { held, declined, .. } = &self.schedule;
        !self.table.borrow().ready.is_empty() || (held.get() > 0 && !declined.get())
    }

    /// Takes the task that has been ready longest.
    #[inline]
    pub(crate) fn next_in_line(&self) -> Option<Rc<Task>> {
        self.table.borrow_mut().first_ready()
    }

    pub(crate) fn has_policy(&self) -> bool {
        self.schedule.has_policy.get()
    }

    /// Drops the policy: nobody runs any more.
    pub(crate) fn drop_policy(&self) {
        self.schedule.has_policy.set(false);
        drop_contained(self.schedule.policy.take());
    }

    /// Takes the task that the policy chooses.
    #[cold]
    pub(crate) fn chosen(&self) -> Option<Rc<Task>> {
        let Schedule { has_policy, policy, held, .. } = &self.schedule;
        let mut policy = policy.borrow_mut();
        let payload = match contain(|| self.ask(policy.as_deref_mut()?)) {
            Ok(next) => return next,
            Err(payload) => payload,
        };
        let broken = policy.take();
        drop(policy);
        drop_contained(broken);
        has_policy.set(false);
        held.set(0);
        contain::report("the scheduling policy, which is not asked any more,", payload);
        let mut table = self.table.borrow_mut();
        table.queue_all_scheduled();
        table.first_ready()
    }

    /// Tells the policy who is ready, and asks it who shall run.
    fn ask(&self, policy: &mut dyn Policy) -> Option<Rc<Task>> {
        let Schedule { held, declined, .. } = &self.schedule;
        // Those that it spawns or wakes itself are for the next time, or this might never end.
        let ready = self.table.borrow().ready.len();
        for _ in 0..ready {
            let Some(ready) = self.next_to_tell_of() else { break };
            held.update(|held| held + 1);
            policy.push(ready);
        }
        if held.get() == 0 {
            return None;
        }
        for _ in 0..=MAX_WRONG_CHOICES {
            let Some(id) = policy.pop() else {
                declined.set(true);
                return None;
            };
            let next = self.table.borrow_mut().take(id);
            if next.is_some() {
                held.update(|held| held.saturating_sub(1));
                declined.set(false);
                return next;
            }
        }
        resume_unwind(Box::new("it keeps choosing tasks that are not ready"))
    }

    fn next_to_tell_of(&self) -> Option<Ready> {
        let mut table = self.table.borrow_mut();
        let id = table.first_ready_id()?;
        let task = table.slots[id.slot()].task.as_ref()?;
        Some(Ready::new(id, task.header.priority()))
    }
}

impl Table {
    #[inline]
    fn first_ready(&mut self) -> Option<Rc<Task>> {
        loop {
            let id = self.ready.pop_front()?;
            if let Some(next) = self.take(id) {
                return Some(next);
            }
        }
    }

    /// As `first_ready`, but the task stays scheduled.
    fn first_ready_id(&mut self) -> Option<TaskId> {
        loop {
            let id = self.ready.pop_front()?;
            if self.slot(id).is_some_and(|slot| slot.scheduled) {
                return Some(id);
            }
        }
    }

    /// Takes a task out of the scheduled ones. `None` if it has finished since, or is not scheduled.
    #[inline]
    fn take(&mut self, id: TaskId) -> Option<Rc<Task>> {
        let slot = self.slot(id).filter(|slot| slot.scheduled)?;
        slot.scheduled = false;
        slot.task.clone()
    }

    /// Puts every scheduled task in the queue, in the order of their slots.
    fn queue_all_scheduled(&mut self) {
        self.ready.clear();
        for (place, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.scheduled) {
            self.ready.push_back(TaskId::new(place as u32, slot.generation));
        }
    }
}
