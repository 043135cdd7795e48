//! The table of tasks: a slot for each.

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;

use crate::contain::drop_contained;
use crate::remote::injector::INJECTOR_SLOT;
use crate::remote::registry::Identity;
use crate::remote::wakes::{MAX_SLOTS, Wakes};

use super::body::Content;
use super::cell::Task;
use super::header::{Activity, Header, Origin};
use super::id::{ROOT, TaskId};
use super::info::TaskInfo;
use super::join;
use super::ready::Ready;
use super::vacancies::Vacancies;

/// A task of up to so many bytes stays in its slot when it has finished. A server spawns futures of few types, but many
/// of each; where the next one is of the same type, it needs no allocation, and its memory is still in the cache.
const SPARE_LEN: usize = 512;

/// The tasks of a runtime, by slot.
pub(crate) struct Table {
    runtime: Identity,
    ready: Ready,
    slots: RefCell<Slots>,
}

struct Slots {
    /// In the root's slot one that stands for it, and is never polled itself. In a vacant slot the one that was there
    /// last, if its memory is worth keeping. If nobody else owns that one, it has no output any more: to drop it calls
    /// no user code.
    tasks: Vec<Option<Rc<Task>>>,
    /// Slots without a task, other than the reserved ones.
    vacant: Vacancies,
}

impl Table {
    pub(crate) fn new(runtime: Identity, wakes: &Wakes) -> Self {
        let slots = RefCell::new(Slots { tasks: Vec::new(), vacant: Vacancies::default() });
        let table = Self { runtime, ready: Ready::new(runtime.number), slots };
        for reserved in [ROOT, INJECTOR_SLOT] {
            let slot = table.add_slot(&mut table.slots.borrow_mut(), wakes);
            debug_assert_eq!(slot, reserved);
        }
        table
    }

    /// Which of them are ready.
    #[inline]
    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Gives the root's slot to a new future and schedules it.
    pub(crate) fn begin_root(&self, origin: Origin) -> TaskId {
        let id = self.ready.begin_root();
        self.fill(&mut self.slots.borrow_mut(), id, origin, pending::<()>());
        id
    }

    /// The future of `block_on` is gone.
    pub(crate) fn end_root(&self) {
        self.ready.end_root();
        let root = self.slots.borrow().tasks[ROOT as usize].clone();
        drop_contained(root.map(|root| root.header.take_locals()));
    }

    /// Adds a task, and schedules it unless it is to be run at once.
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[inline]
    pub(crate) fn insert<F: Future + 'static>(
        &self,
        wakes: &Wakes,
        origin: Origin,
        schedule: bool,
        future: F,
    ) -> Rc<Task<Content<F>>> {
        let slots = &mut *self.slots.borrow_mut();
        let slot = match slots.vacant.take_lowest() {
            Some(slot) => slot,
            None => self.add_slot(slots, wakes),
        };
        let id = self.ready.occupy(slot, schedule);
        self.fill(slots, id, origin, future)
    }

    /// A task that is there: the caller knows it from [`Ready`].
    #[inline]
    pub(super) fn task(&self, id: TaskId) -> Option<Rc<Task>> {
        self.slots.borrow().tasks[id.slot()].clone()
    }

    /// Calls `f` with what is known of a task that is still there. `f` must not run user code.
    pub(crate) fn with_header<T>(&self, id: TaskId, f: impl FnOnce(&Header) -> T) -> Option<T> {
        if !self.ready.is_alive(id) {
            return None;
        }
        let slots = self.slots.borrow();
        slots.tasks[id.slot()].as_ref().map(|task| f(&task.header))
    }

    /// Calls `f` with each task that has not finished. `f` must not run user code.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Header, Activity)) {
        let slots = self.slots.borrow();
        for (slot, is_scheduled) in self.ready.alive() {
            // In a shutdown, tasks that have finished keep their slots for a while.
            if let Some(task) = slots.tasks[slot].as_ref().filter(|task| !task.header.finished.get()) {
                let header = &task.header;
                let activity =
                    if is_scheduled { Activity::Ready } else { Activity::Waiting(header.waits_for()) };
                f(header, activity);
            }
        }
    }

    /// Forgets a task that has finished.
    #[inline]
    pub(crate) fn forget(&self, task: Rc<Task>) {
        let header = &task.header;
        let slot = header.id.slot();
        self.ready.vacate(slot);
        let mut slots = self.slots.borrow_mut();
        if size_of_val(&*task) > SPARE_LEN {
            // Not its last owner, so no user value is dropped here.
            slots.tasks[slot] = None;
        }
        slots.vacant.add(slot as u32);
        drop(slots);
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
    pub(crate) fn cancel_all(
        &self,
        late: usize,
        enter: impl Fn(TaskId),
        describe: &dyn Fn(&Header) -> TaskInfo,
    ) -> bool {
        let mut left = None;
        loop {
            // They keep their slots: the drops of futures may ask for the task-locals.
            let alive = self.ready.alive();
            let tasks: Vec<_> = {
                let slots = self.slots.borrow();
                alive.into_iter().filter_map(|(slot, _)| slots.tasks[slot].clone()).collect()
            };
            if tasks.is_empty() {
                return true;
            }
            // The first round does not count.
            left = Some(left.map_or(late, |left: usize| left.saturating_sub(tasks.len())));
            for task in tasks {
                enter(task.header.id);
                task.cancel(describe);
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
        self.slots.borrow_mut().tasks.iter_mut().for_each(|task| std::mem::forget(task.take()));
    }

    /// Puts a task in its slot.
    #[inline]
    fn fill<F: Future + 'static>(
        &self,
        slots: &mut Slots,
        id: TaskId,
        origin: Origin,
        future: F,
    ) -> Rc<Task<Content<F>>> {
        let place = &mut slots.tasks[id.slot()];
        let spare = place.take();
        debug_assert!(
            spare.as_ref().is_none_or(|task| Rc::strong_count(task) > 1 || !task.header.has_output.get())
        );
        let task = Task::new(self.runtime, id, origin, future, spare);
        *place = Some(Rc::clone(&task) as Rc<Task>);
        task
    }

    fn add_slot(&self, slots: &mut Slots, wakes: &Wakes) -> u32 {
        let slot = slots.tasks.len() as u32;
        assert!(slot < MAX_SLOTS, "at most {MAX_SLOTS} tasks can be alive at once");
        wakes.reserve(slot);
        slots.vacant.reserve(slot + 1);
        slots.tasks.push(None);
        self.ready.add_slot();
        slot
    }
}
