//! The table of tasks: a slot for each.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;

use crate::contain::drop_contained;
use crate::inbox::{Inbox, MAX_SLOTS};
use crate::mailbox::MAIL_SLOT;
use crate::policy::Policy;
use crate::registry::RuntimeId;

use super::body::Content;
use super::info::Activity;
use super::schedule::Schedule;
use super::vacancies::Vacancies;
use super::{Header, Origin, Task, TaskId, join};

/// A task of up to so many bytes stays in its slot when it has finished. A server spawns futures of few types, but many
/// of each; where the next one is of the same type, it needs no allocation, and its memory is still in the cache.
const SPARE_LEN: usize = 512;

/// The slot of the future of `block_on`.
pub(super) const ROOT: u32 = 0;

/// All tasks of a runtime.
pub(crate) struct Tasks {
    runtime: RuntimeId,
    pub(super) table: RefCell<Table>,
    pub(super) schedule: Schedule,
}

pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    /// Slots without a task, other than the reserved ones.
    vacant: Vacancies,
    pub(super) ready: VecDeque<TaskId>,
}

#[derive(Default)]
pub(super) struct Slot {
    /// Counts the tasks that had this slot, so that a waker of one that is gone does not wake its successor.
    pub(super) generation: u32,
    /// In the ready queue, or with the policy.
    pub(super) scheduled: bool,
    /// There is a task, or, in the root's slot, a `block_on`.
    alive: bool,
    /// In the root's slot one that stands for it, and is never polled itself. In a vacant slot the one that was there
    /// last, if its memory is worth keeping. If nobody else owns that one, it has no output any more: to drop it calls
    /// nothing of a user's.
    pub(super) task: Option<Rc<Task>>,
}

impl Tasks {
    pub(crate) fn new(runtime: RuntimeId, inbox: &Inbox, policy: Option<Box<dyn Policy>>) -> Self {
        let mut table = Table { slots: Vec::new(), vacant: Vacancies::default(), ready: VecDeque::new() };
        for reserved in [ROOT, MAIL_SLOT] {
            let slot = table.add_slot(inbox);
            debug_assert_eq!(slot, reserved);
        }
        Self { runtime, table: RefCell::new(table), schedule: Schedule::new(policy) }
    }

    /// Gives the root's slot to a new future and schedules it.
    pub(crate) fn start_root(&self, origin: Origin) -> TaskId {
        let mut table = self.table.borrow_mut();
        table.slots[ROOT as usize].next_generation();
        table.fill(ROOT, self.runtime, origin, true, pending::<()>()).header.id
    }

    /// The future of `block_on` is gone.
    pub(crate) fn end_root(&self) {
        let locals = {
            let slot = &mut self.table.borrow_mut().slots[ROOT as usize];
            slot.alive = false;
            slot.task.as_ref().map(|root| root.header.take_locals())
        };
        drop_contained(locals);
    }

    /// Adds a task, and schedules it unless it is to be run at once.
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[inline]
    pub(crate) fn insert<F: Future + 'static>(
        &self,
        inbox: &Inbox,
        origin: Origin,
        schedule: bool,
        future: F,
    ) -> Rc<Task<Content<F>>> {
        let table = &mut *self.table.borrow_mut();
        let slot = match table.vacant.take_lowest() {
            Some(slot) => slot,
            None => table.add_slot(inbox),
        };
        table.fill(slot, self.runtime, origin, schedule, future)
    }

    /// Schedules a task, unless it already is, or is gone.
    pub(crate) fn wake(&self, id: TaskId) {
        let table = &mut *self.table.borrow_mut();
        // In a vacant slot, the next task would be scheduled twice.
        if let Some(slot) = table.slot(id).filter(|slot| slot.alive && !slot.scheduled) {
            slot.scheduled = true;
            table.ready.push_back(id);
        }
    }

    /// Schedules whatever task is in `slot`.
    pub(crate) fn wake_slot(&self, slot: u32) {
        let generation = self.table.borrow().slots.get(slot as usize).map(|slot| slot.generation);
        if let Some(generation) = generation {
            self.wake(TaskId::new(slot, generation));
        }
    }

    /// Calls `f`, which is none of users' code, with what is known of a task that is still there.
    pub(crate) fn with_header<T>(&self, id: TaskId, f: impl FnOnce(&Header) -> T) -> Option<T> {
        let mut table = self.table.borrow_mut();
        let slot = table.slot(id).filter(|slot| slot.alive)?;
        slot.task.as_ref().map(|task| f(&task.header))
    }

    /// Calls `f`, which is none of users' code, with each task that has not finished.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Header, Activity)) {
        for slot in self.table.borrow().slots.iter().filter(|slot| slot.alive) {
            // In a shutdown, tasks that have finished keep their slots for a while.
            if let Some(task) = slot.task.as_ref().filter(|task| !task.header.finished.get()) {
                let header = &task.header;
                f(
                    header,
                    if slot.scheduled { Activity::Ready } else { Activity::Waiting(header.waits_for()) },
                );
            }
        }
    }

    /// Forgets a task that has finished.
    #[inline]
    pub(crate) fn forget(&self, task: Rc<Task>) {
        let header = &task.header;
        let mut table = self.table.borrow_mut();
        let slot = &mut table.slots[header.id.slot()];
        slot.next_generation();
        (slot.scheduled, slot.alive) = (false, false);
        if size_of_val(&*task) > SPARE_LEN {
            // Not its last owner, so nothing of a user's is dropped here.
            slot.task = None;
        }
        table.vacant.add(header.id.slot() as u32);
        drop(table);
        // With nothing borrowed any more.
        if let Some(locals) = header.take_locals() {
            drop_contained(locals);
        }
        if header.detached.get() {
            join::discard(task);
        }
    }

    /// Drops the futures of all tasks, and of up to `late` that doing so spawns. `false`: there were more. `enter` is
    /// told whose future is dropped.
    pub(crate) fn cancel_all(&self, late: usize, enter: impl Fn(TaskId)) -> bool {
        let mut left = None;
        loop {
            // They keep their slots: the drops of futures may ask for the task-locals.
            let tasks: Vec<_> = self
                .table
                .borrow()
                .slots
                .iter()
                .filter(|slot| slot.alive)
                .filter_map(|slot| slot.task.clone())
                .collect();
            if tasks.is_empty() {
                return true;
            }
            // The first round does not count.
            left = Some(left.map_or(late, |left: usize| left.saturating_sub(tasks.len())));
            for task in tasks {
                enter(task.header.id);
                task.cancel();
                enter(TaskId::NONE);
                // Its task-locals, and an output that nobody will take.
                self.forget(task);
            }
            if left == Some(0) {
                return false;
            }
        }
    }

    /// Gives up on the tasks that are still there: they are never dropped.
    pub(crate) fn leak(&self) {
        let Table { slots, .. } = &mut *self.table.borrow_mut();
        slots.iter_mut().for_each(|slot| std::mem::forget(slot.task.take()));
    }
}

impl Table {
    #[inline]
    pub(super) fn slot(&mut self, id: TaskId) -> Option<&mut Slot> {
        self.slots.get_mut(id.slot()).filter(|slot| slot.generation == id.generation())
    }

    /// Puts a task in a slot that has none.
    #[inline]
    fn fill<F: Future + 'static>(
        &mut self,
        slot: u32,
        runtime: RuntimeId,
        origin: Origin,
        schedule: bool,
        future: F,
    ) -> Rc<Task<Content<F>>> {
        let entry = &mut self.slots[slot as usize];
        let id = TaskId::new(slot, entry.generation);
        let spare = entry.task.take();
        debug_assert!(
            spare.as_ref().is_none_or(|task| Rc::strong_count(task) > 1 || !task.header.has_output.get())
        );
        let task = Task::new(runtime, id, origin, future, spare);
        (entry.scheduled, entry.alive) = (schedule, true);
        entry.task = Some(Rc::clone(&task) as Rc<Task>);
        if schedule {
            self.ready.push_back(id);
        }
        task
    }

    fn add_slot(&mut self, inbox: &Inbox) -> u32 {
        let slot = self.slots.len() as u32;
        assert!(slot < MAX_SLOTS, "at most {MAX_SLOTS} tasks can be alive at once");
        inbox.reserve(slot);
        self.vacant.reserve(slot + 1);
        self.slots.push(Slot::default());
        slot
    }
}

impl Slot {
    fn next_generation(&mut self) {
        self.generation = (self.generation + 1) % TaskId::GENERATIONS;
    }
}
