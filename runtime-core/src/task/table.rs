//! The table of tasks: a slot for each.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::contain::drop_contained;
use crate::inbox::{Inbox, MAX_SLOTS};
use crate::mailbox::MAIL_SLOT;
use crate::policy::Policy;

use super::awaits::Noted;
use super::details::{Origin, Users};
use super::info::Activity;
use super::schedule::Schedule;
use super::vacancies::Vacancies;
use super::{Details, Task, TaskId, join};

/// A task of up to so many bytes stays in its slot when it has finished. A server spawns futures of few types, but many
/// of each; where the next one is of the same type, it needs no allocation, and its memory is still in the cache.
const SPARE_LEN: usize = 512;

/// The slot of the root future.
pub(super) const ROOT: u32 = 0;

/// All tasks of a runtime.
pub(crate) struct Tasks {
    pub(super) table: RefCell<Table>,
    pub(super) schedule: Schedule,
}

pub(super) struct Table {
    pub(super) slots: Vec<Slot>,
    /// One for each slot, apart from it because they are seldom looked at.
    pub(super) details: Vec<Details>,
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
    /// Its details say what it waits for.
    pub(super) waits: bool,
    /// There is a task, or, in the root's slot, a `block_on`.
    alive: bool,
    /// Its details may own something of a user's.
    has_users: bool,
    /// `None` for the root. In a vacant slot the one that was there last, if its memory is worth keeping. If nobody else
    /// owns that one, it has no output any more: to drop it calls nothing of a user's.
    pub(super) task: Option<Rc<dyn Task>>,
}

impl Tasks {
    pub(crate) fn new(inbox: &Inbox, policy: Option<Box<dyn Policy>>) -> Self {
        let mut table = Table {
            slots: Vec::new(),
            details: Vec::new(),
            vacant: Vacancies::default(),
            ready: VecDeque::new(),
        };
        for reserved in [ROOT, MAIL_SLOT] {
            let slot = table.add_slot(inbox);
            debug_assert_eq!(slot, reserved);
        }
        Self { table: RefCell::new(table), schedule: Schedule::new(policy) }
    }

    /// Gives the root's slot to a new future and schedules it.
    pub(crate) fn start_root(&self, origin: Origin) -> TaskId {
        let mut table = self.table.borrow_mut();
        table.details[ROOT as usize].origin = origin;
        let slot = &mut table.slots[ROOT as usize];
        slot.next_generation();
        (slot.scheduled, slot.waits, slot.alive) = (true, false, true);
        let id = TaskId::new(ROOT, slot.generation);
        table.ready.push_back(id);
        id
    }

    /// The future of `block_on` is gone.
    pub(crate) fn end_root(&self) {
        let users = {
            let mut table = self.table.borrow_mut();
            table.slots[ROOT as usize].alive = false;
            table.take_users(ROOT)
        };
        drop_contained(users);
    }

    /// Adds a task, and schedules it unless it is to be run at once. `make` is told its number, and given the one that
    /// had the slot before.
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[inline]
    pub(crate) fn insert<T: Task + 'static>(
        &self,
        inbox: &Inbox,
        origin: Origin,
        schedule: bool,
        make: impl FnOnce(TaskId, Option<Rc<dyn Task>>) -> Rc<T>,
    ) -> Rc<T> {
        let table = &mut *self.table.borrow_mut();
        let slot = match table.vacant.take_lowest() {
            Some(slot) => slot,
            None => table.add_slot(inbox),
        };
        let entry = &mut table.slots[slot as usize];
        let id = TaskId::new(slot, entry.generation);
        let spare = entry.task.take();
        debug_assert!(
            spare.as_ref().is_none_or(|task| Rc::strong_count(task) > 1 || !task.header().has_output.get())
        );
        let task = make(id, spare);
        (entry.scheduled, entry.waits, entry.alive) = (schedule, false, true);
        entry.task = Some(Rc::clone(&task) as Rc<dyn Task>);
        table.details[slot as usize].origin = origin;
        if schedule {
            table.ready.push_back(id);
        }
        task
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

    /// Keeps what a task waits for.
    pub(crate) fn note(&self, id: TaskId, noted: Noted) {
        let mut table = self.table.borrow_mut();
        if let Some(slot) = table.slot(id) {
            slot.waits = true;
            table.details[id.slot()].noted = noted;
        }
    }

    /// Calls `f`, which is none of users' code, with the details of a task that is still there.
    pub(crate) fn with_details<T>(&self, id: TaskId, f: impl FnOnce(&Details) -> T) -> Option<T> {
        let mut table = self.table.borrow_mut();
        table.slot(id).filter(|slot| slot.alive)?;
        Some(f(&table.details[id.slot()]))
    }

    /// The same for an `f` that may leave something of a user's in them.
    pub(crate) fn change_details<T>(&self, id: TaskId, f: impl FnOnce(&mut Details) -> T) -> Option<T> {
        let mut table = self.table.borrow_mut();
        table.slot(id).filter(|slot| slot.alive)?.has_users = true;
        Some(f(&mut table.details[id.slot()]))
    }

    /// Calls `f`, which is none of users' code, with each task that has not finished.
    pub(crate) fn for_each(&self, mut f: impl FnMut(TaskId, &Details, Activity)) {
        let table = self.table.borrow();
        let slots = table.slots.iter().zip(&table.details).enumerate();
        for (place, (slot, details)) in slots.filter(|(_, (slot, _))| slot.has_unfinished()) {
            let id = TaskId::new(place as u32, slot.generation);
            f(id, details, slot.activity(details));
        }
    }

    /// Forgets a task that has finished.
    #[inline]
    pub(crate) fn forget(&self, id: TaskId, task: Rc<dyn Task>) {
        let mut table = self.table.borrow_mut();
        let slot = &mut table.slots[id.slot()];
        slot.next_generation();
        (slot.scheduled, slot.alive) = (false, false);
        if size_of_val(&*task) > SPARE_LEN {
            // Not its last owner, so nothing of a user's is dropped here.
            slot.task = None;
        }
        let users = table.take_users(id.slot() as u32);
        table.vacant.add(id.slot() as u32);
        drop(table);
        // With nothing borrowed any more.
        if users.is_some() {
            drop_contained(users);
        }
        if task.header().detached.get() {
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
                let id = task.header().id;
                enter(id);
                task.cancel();
                enter(TaskId::NONE);
                // Its task-locals, and an output that nobody will take.
                self.forget(id, task);
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

    /// Takes what the details of `slot` have of users', to be dropped with nothing borrowed.
    #[inline]
    fn take_users(&mut self, slot: u32) -> Option<Users> {
        let had_users = std::mem::take(&mut self.slots[slot as usize].has_users);
        had_users.then(|| self.details[slot as usize].take_users())
    }

    fn add_slot(&mut self, inbox: &Inbox) -> u32 {
        let slot = self.slots.len() as u32;
        assert!(slot < MAX_SLOTS, "at most {MAX_SLOTS} tasks can be alive at once");
        inbox.reserve(slot);
        self.vacant.reserve(slot + 1);
        self.slots.push(Slot::default());
        self.details.push(Details::none());
        slot
    }
}

impl Slot {
    /// In a shutdown, tasks that have finished keep their slots for a while.
    fn has_unfinished(&self) -> bool {
        self.alive && self.task.as_ref().is_none_or(|task| !task.header().finished.get())
    }

    fn next_generation(&mut self) {
        self.generation = (self.generation + 1) % TaskId::GENERATIONS;
    }

    fn activity(&self, details: &Details) -> Activity {
        match (self.scheduled, self.waits) {
            (true, _) => Activity::Ready,
            (false, true) => Activity::Waiting(details.noted),
            (false, false) => Activity::Waiting(Noted::default()),
        }
    }
}
