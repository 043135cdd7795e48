//! The table of tasks, and the queue of those that are ready.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use crate::contain::{self, contain, drop_contained};
use crate::inbox::{Inbox, MAX_SLOTS};
use crate::mailbox::MAIL_SLOT;
use crate::policy::{Policy, Ready};

use super::{Header, Noted, Options, Task, TaskId, join};

/// The slot of the root future.
const ROOT: u32 = 0;

/// What the loop runs next.
pub(crate) enum Next {
    /// The future of `block_on`.
    Root(TaskId),
    /// A spawned task.
    Task(TaskId, Rc<dyn Task>),
}

/// All tasks of a runtime.
pub(crate) struct Tasks {
    table: RefCell<Table>,
    /// Of the future of `block_on`, while there is one.
    root: RefCell<Option<Header>>,
    /// Whether there is a policy. Else the queue is first in, first out.
    has_policy: Cell<bool>,
    /// Borrowed while it is asked: it is only ever asked by the loop, which is not entered twice.
    policy: RefCell<Option<Box<dyn Policy>>>,
    /// How many tasks the policy was told of and has not chosen yet.
    held: Cell<usize>,
    /// The policy had tasks and chose none.
    declined: Cell<bool>,
}

struct Table {
    slots: Vec<Slot>,
    /// Slots without a task, other than the root's.
    vacant: Vec<u32>,
    ready: VecDeque<TaskId>,
}

struct Slot {
    /// Counts the tasks that had this slot, so that a waker of one that is gone does not wake its successor.
    generation: u32,
    /// In the ready queue.
    scheduled: bool,
    /// `None` for the root, and in a vacant slot.
    task: Option<Rc<dyn Task>>,
}

impl Tasks {
    pub(crate) fn new(inbox: &Inbox, policy: Option<Box<dyn Policy>>) -> Self {
        let mut table = Table { slots: Vec::new(), vacant: Vec::new(), ready: VecDeque::new() };
        for reserved in [ROOT, MAIL_SLOT] {
            let slot = table.add_slot(inbox);
            debug_assert_eq!(slot, reserved);
        }
        Self {
            table: RefCell::new(table),
            root: RefCell::default(),
            has_policy: Cell::new(policy.is_some()),
            policy: RefCell::new(policy),
            held: Cell::new(0),
            declined: Cell::new(false),
        }
    }

    /// Gives the root's slot to a new future and schedules it.
    pub(crate) fn start_root(&self, header: impl FnOnce(TaskId) -> Header) -> TaskId {
        let id = self.schedule_root();
        // Dropped with nothing borrowed: task-locals are users' values.
        let before = self.root.replace(Some(header(id)));
        drop(before);
        id
    }

    /// The future of `block_on` is gone.
    pub(crate) fn end_root(&self) {
        drop_contained(self.root.take());
    }

    fn schedule_root(&self) -> TaskId {
        let mut table = self.table.borrow_mut();
        let Table { slots, ready, .. } = &mut *table;
        let slot = &mut slots[ROOT as usize];
        slot.next_generation();
        slot.scheduled = true;
        let id = TaskId { slot: ROOT, generation: slot.generation };
        ready.push_back(id);
        id
    }

    /// Adds a task, and schedules it unless it is to be run at once. `make` is told its number.
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[inline]
    pub(crate) fn insert<T: Task + 'static>(
        &self,
        inbox: &Inbox,
        schedule: bool,
        make: impl FnOnce(TaskId) -> Rc<T>,
    ) -> Rc<T> {
        let table = &mut *self.table.borrow_mut();
        let slot = match table.vacant.pop() {
            Some(slot) => slot,
            None => table.add_slot(inbox),
        };
        let entry = &mut table.slots[slot as usize];
        let id = TaskId { slot, generation: entry.generation };
        let task = make(id);
        entry.scheduled = schedule;
        entry.task = Some(Rc::clone(&task) as Rc<dyn Task>);
        if schedule {
            table.ready.push_back(id);
        }
        task
    }

    /// Schedules a task, unless it already is, or is gone.
    pub(crate) fn wake(&self, id: TaskId) {
        let Table { slots, ready, .. } = &mut *self.table.borrow_mut();
        match slots.get_mut(id.slot as usize) {
            Some(slot) if slot.generation == id.generation && !slot.scheduled => {
                slot.scheduled = true;
                ready.push_back(id);
            }
            _ => {}
        }
    }

    /// Schedules whatever task is in `slot`.
    pub(crate) fn wake_slot(&self, slot: u32) {
        let generation = self.table.borrow().slots.get(slot as usize).map(|slot| slot.generation);
        if let Some(generation) = generation {
            self.wake(TaskId { slot, generation });
        }
    }

    pub(crate) fn any_ready(&self) -> bool {
        !self.table.borrow().ready.is_empty() || (self.held.get() > 0 && !self.declined.get())
    }

    /// Takes the task that has been ready longest or, if there is a policy, the one that it chooses.
    #[inline]
    pub(crate) fn next(&self) -> Option<Next> {
        if self.has_policy.get() { self.chosen() } else { self.table.borrow_mut().first_ready() }
    }

    #[cold]
    fn chosen(&self) -> Option<Next> {
        let mut policy = self.policy.borrow_mut();
        let asked = contain(|| self.ask(policy.as_deref_mut()?));
        match asked {
            Ok(next) => next,
            Err(payload) => {
                let broken = policy.take();
                drop(policy);
                drop_contained(broken);
                self.has_policy.set(false);
                self.held.set(0);
                contain::report("the scheduling policy, which is not asked any more,", payload);
                let mut table = self.table.borrow_mut();
                table.queue_all_scheduled();
                table.first_ready()
            }
        }
    }

    /// Tells the policy who is ready, and asks it who shall run.
    fn ask(&self, policy: &mut dyn Policy) -> Option<Next> {
        while let Some(id) = self.next_to_tell_of() {
            let priority = self.with_header(id, Header::priority).unwrap_or(Options::DEFAULT_PRIORITY);
            self.held.update(|held| held + 1);
            policy.push(Ready::new(id, priority));
        }
        // It may name tasks that have ended; never more than it was told of.
        for _ in 0..self.held.get() {
            let Some(id) = policy.pop() else {
                self.declined.set(true);
                return None;
            };
            self.held.update(|held| held - 1);
            let next = self.table.borrow_mut().take(id);
            if next.is_some() {
                self.declined.set(false);
                return next;
            }
        }
        None
    }

    fn next_to_tell_of(&self) -> Option<TaskId> {
        self.table.borrow_mut().first_ready_id()
    }

    /// Calls `f`, which is none of users' code, with the header of a task that is still there.
    pub(crate) fn with_header<T>(&self, id: TaskId, f: impl FnOnce(&Header) -> T) -> Option<T> {
        if id.slot == ROOT {
            return self.root.borrow().as_ref().filter(|root| root.id == id).map(f);
        }
        let table = self.table.borrow();
        let slot = table.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.task.as_ref().map(|task| f(task.header()))
    }

    /// Calls `f`, which is none of users' code, with the header of each task, and whether it is scheduled.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Header, bool)) {
        let (table, root) = (self.table.borrow(), self.root.borrow());
        if let Some(root) = &*root {
            f(root, table.slots[ROOT as usize].scheduled);
        }
        for slot in &table.slots {
            if let Some(task) = &slot.task {
                f(task.header(), slot.scheduled);
            }
        }
    }

    /// Keeps what the future of `block_on` waits for.
    pub(crate) fn note_root(&self, noted: Noted) {
        if let Some(root) = &*self.root.borrow() {
            root.noted.set(noted);
        }
    }

    /// Forgets a task that has finished, and whose last owner but its handle `task` is.
    pub(crate) fn forget(&self, id: TaskId, task: Rc<dyn Task>) {
        let removed = self.table.borrow_mut().remove(id);
        // Dropped after the borrow has ended: with it goes, perhaps, the task's output.
        drop(removed);
        join::discard(task);
    }

    /// Drops the futures of all tasks, and of up to `late` that doing so spawns. `false`: there were more.
    pub(crate) fn cancel_all(&self, late: usize) -> bool {
        let mut left = None;
        loop {
            let tasks: Vec<_> = {
                let Table { slots, .. } = &mut *self.table.borrow_mut();
                slots.iter_mut().filter_map(|slot| slot.task.take()).collect()
            };
            if tasks.is_empty() {
                return true;
            }
            // The first round does not count.
            left = Some(left.map_or(late, |left: usize| left.saturating_sub(tasks.len())));
            tasks.iter().for_each(|task| task.cancel());
            // Outputs that nobody will take.
            tasks.into_iter().for_each(join::discard);
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
    fn first_ready(&mut self) -> Option<Next> {
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
            let slot = &self.slots[id.slot as usize];
            if slot.generation == id.generation && slot.scheduled {
                return Some(id);
            }
        }
    }

    /// Takes a task out of the scheduled ones. `None` if it has finished since, or is not scheduled.
    #[inline]
    fn take(&mut self, id: TaskId) -> Option<Next> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation || !slot.scheduled {
            return None;
        }
        slot.scheduled = false;
        match &slot.task {
            Some(task) => Some(Next::Task(id, Rc::clone(task))),
            None if id.slot == ROOT => Some(Next::Root(id)),
            None => None,
        }
    }

    fn remove(&mut self, id: TaskId) -> Option<Rc<dyn Task>> {
        let slot = &mut self.slots[id.slot as usize];
        if slot.generation != id.generation {
            return None;
        }
        slot.next_generation();
        slot.scheduled = false;
        self.vacant.push(id.slot);
        slot.task.take()
    }

    /// Puts every scheduled task in the queue, in the order of their slots.
    fn queue_all_scheduled(&mut self) {
        self.ready.clear();
        for (place, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.scheduled) {
            self.ready.push_back(TaskId { slot: place as u32, generation: slot.generation });
        }
    }

    fn add_slot(&mut self, inbox: &Inbox) -> u32 {
        let slot = self.slots.len() as u32;
        assert!(slot < MAX_SLOTS, "at most {MAX_SLOTS} tasks can be alive at once");
        inbox.reserve(slot);
        self.slots.push(Slot { generation: 0, scheduled: false, task: None });
        slot
    }
}

impl Slot {
    fn next_generation(&mut self) {
        self.generation = (self.generation + 1) % TaskId::GENERATIONS;
    }
}
