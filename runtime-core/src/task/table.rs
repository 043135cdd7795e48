//! The table of tasks: a slot for each, and the queue of those that are ready.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::pending;
use std::ptr;
use std::rc::Rc;

use crate::contain::drop_contained;
use crate::remote::injector::INJECTOR_SLOT;
use crate::remote::registry::{Identity, RuntimeNumber};
use crate::remote::wakes::{MAX_SLOTS, Wakes};

use super::body::Content;
use super::cell::Task;
use super::discard::discard;
use super::header::{Activity, Header, Origin};
use super::id::{ROOT, TaskId};
use super::info::TaskInfo;
use super::state::SlotState;
use super::vacancies::Vacancies;

/// A task of up to so many bytes stays in its slot when it has finished. A server spawns futures of few types, but many
/// of each; where the next one is of the same type, it needs no allocation, and its memory is still in the cache.
const SPARE_LEN: usize = 512;

thread_local! {
    /// That of the runtime which runs on this thread, or null. A plain pointer, since each wake looks here; and it has no
    /// destructor, so it can be looked at while the thread ends.
    static HERE: Cell<*const Table> = const { Cell::new(ptr::null()) };
}

/// Wakes a task of the runtime that runs on this thread. `false` if that is another one, or none.
#[inline]
pub(super) fn wake_here(runtime: RuntimeNumber, task: TaskId) -> bool {
    let here = HERE.get();
    if here.is_null() {
        return false;
    }
    // SAFETY: `enter` was promised that it stays where it is until `leave`.
    let table = unsafe { &*here };
    let is_its = table.runtime.number == runtime;
    if is_its {
        table.wake(task);
    }
    is_its
}

/// Has wakers find `table`. Returns what they found before, for [`leave`].
///
/// # Safety
///
/// `table` is neither dropped nor moved before `leave` is called on this thread with what this returns.
pub(crate) unsafe fn enter(table: *const Table) -> *const Table {
    HERE.replace(table)
}

/// Undoes an [`enter`].
///
/// # Safety
///
/// `before` came from the last `enter` on this thread that has not been undone.
pub(crate) unsafe fn leave(before: *const Table) {
    HERE.set(before);
}

/// The tasks of a runtime.
pub(crate) struct Table {
    runtime: Identity,
    /// Borrowed for no longer than it takes to change it: no user code runs meanwhile.
    slots: RefCell<Slots>,
}

struct Slots {
    slots: Vec<Slot>,
    /// Slots without a task, other than the reserved ones.
    vacant: Vacancies,
    /// Those to be polled, first in, first out. A task that was chosen out of turn, or has ended, may still be in it.
    queue: VecDeque<TaskId>,
}

#[derive(Default)]
struct Slot {
    state: SlotState,
    /// In the root's slot one that stands for it, and is never polled itself. In a vacant slot the one that was there
    /// last, if its memory is worth keeping. If nobody else owns that one, it has no output any more: to drop it calls
    /// no user code.
    task: Option<Rc<Task>>,
}

impl Table {
    pub(crate) fn new(runtime: Identity, wakes: &Wakes) -> Self {
        let mut slots = Slots { slots: Vec::new(), vacant: Vacancies::default(), queue: VecDeque::new() };
        for reserved in [ROOT, INJECTOR_SLOT] {
            let slot = slots.add(wakes);
            debug_assert_eq!(slot, reserved);
        }
        Self { runtime, slots: RefCell::new(slots) }
    }

    /// Gives the root's slot to a new future, with a number of its own, and schedules it.
    pub(crate) fn begin_root(&self, origin: Origin) -> TaskId {
        let mut slots = self.slots.borrow_mut();
        slots.slots[ROOT as usize].state.vacate();
        slots.fill(ROOT, self.runtime, origin, true, pending::<()>()).header.id
    }

    /// The future of `block_on` is gone. Its number stays as it is, for those who look at it.
    pub(crate) fn end_root(&self) {
        let root = {
            let slot = &mut self.slots.borrow_mut().slots[ROOT as usize];
            slot.state.end();
            slot.task.clone()
        };
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
            None => slots.add(wakes),
        };
        slots.fill(slot, self.runtime, origin, schedule, future)
    }

    /// Schedules a task, unless it already is, or is gone.
    #[inline]
    pub(crate) fn wake(&self, id: TaskId) {
        let Slots { slots, queue, .. } = &mut *self.slots.borrow_mut();
        if slots.get_mut(id.slot()).is_some_and(|slot| slot.state.schedule(id)) {
            queue.push_back(id);
        }
    }

    /// Schedules whatever task is in `slot`.
    pub(crate) fn wake_slot(&self, slot: u32) {
        let generation = self.slots.borrow().slots.get(slot as usize).map(|slot| slot.state.generation());
        if let Some(generation) = generation {
            self.wake(TaskId::new(slot, generation));
        }
    }

    /// How long the queue is.
    #[inline]
    pub(super) fn queue_len(&self) -> usize {
        self.slots.borrow().queue.len()
    }

    /// Takes the task that has been ready longest.
    #[inline]
    pub(super) fn take_first(&self) -> Option<Rc<Task>> {
        let Slots { slots, queue, .. } = &mut *self.slots.borrow_mut();
        loop {
            let id = queue.pop_front()?;
            let slot = &mut slots[id.slot()];
            if slot.state.take(id) {
                return slot.task.clone();
            }
        }
    }

    /// As [`Table::take_first`], but the task stays scheduled: it is the policy's. Its number and its priority.
    pub(super) fn hand_over_first(&self) -> Option<(TaskId, u32)> {
        let Slots { slots, queue, .. } = &mut *self.slots.borrow_mut();
        loop {
            let id = queue.pop_front()?;
            let slot = &slots[id.slot()];
            if slot.state.has(id) && slot.state.is_scheduled() {
                let task = slot.task.as_ref()?;
                return Some((id, task.header.priority()));
            }
        }
    }

    /// Takes a task out of turn, if it is scheduled.
    pub(super) fn take(&self, id: TaskId) -> Option<Rc<Task>> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.slots.get_mut(id.slot())?;
        if slot.state.take(id) { slot.task.clone() } else { None }
    }

    /// Puts every scheduled task in the queue, in the order of their slots.
    pub(super) fn queue_all_scheduled(&self) {
        let Slots { slots, queue, .. } = &mut *self.slots.borrow_mut();
        queue.clear();
        for (place, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.state.is_scheduled()) {
            queue.push_back(TaskId::new(place as u32, slot.state.generation()));
        }
    }

    /// Calls `f` with what is known of a task that is still there. `f` must not run user code.
    pub(crate) fn with_header<T>(&self, id: TaskId, f: impl FnOnce(&Header) -> T) -> Option<T> {
        let slots = self.slots.borrow();
        let slot = slots.slots.get(id.slot()).filter(|slot| slot.state.has(id))?;
        slot.task.as_ref().map(|task| f(&task.header))
    }

    /// Calls `f` with each task that has not finished. `f` must not run user code.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&Header, Activity)) {
        for slot in self.slots.borrow().slots.iter().filter(|slot| slot.state.is_alive()) {
            // In a shutdown, tasks that have finished keep their slots for a while.
            if let Some(task) = slot.task.as_ref().filter(|task| !task.header.finished.get()) {
                let header = &task.header;
                let activity = if slot.state.is_scheduled() {
                    Activity::Ready
                } else {
                    Activity::Waiting(header.waits_for())
                };
                f(header, activity);
            }
        }
    }

    /// Forgets a task that has finished.
    #[inline]
    pub(crate) fn forget(&self, task: Rc<Task>) {
        let header = &task.header;
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots.slots[header.id.slot()];
        slot.state.vacate();
        if size_of_val(&*task) > SPARE_LEN {
            // Not its last owner, so no user value is dropped here.
            slot.task = None;
        }
        slots.vacant.add(header.id.slot() as u32);
        drop(slots);
        // With nothing borrowed any more.
        if let Some(locals) = header.take_locals() {
            drop_contained(locals);
        }
        if header.detached.get() {
            discard(task);
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
            let tasks: Vec<_> = {
                let slots = self.slots.borrow();
                let alive = slots.slots.iter().filter(|slot| slot.state.is_alive());
                alive.filter_map(|slot| slot.task.clone()).collect()
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
        self.slots.borrow_mut().slots.iter_mut().for_each(|slot| std::mem::forget(slot.task.take()));
    }
}

impl Slots {
    /// Puts a task in a slot that has none.
    #[inline]
    fn fill<F: Future + 'static>(
        &mut self,
        slot: u32,
        runtime: Identity,
        origin: Origin,
        schedule: bool,
        future: F,
    ) -> Rc<Task<Content<F>>> {
        let entry = &mut self.slots[slot as usize];
        let id = TaskId::new(slot, entry.state.generation());
        let spare = entry.task.take();
        debug_assert!(
            spare.as_ref().is_none_or(|task| Rc::strong_count(task) > 1 || !task.header.has_output.get())
        );
        let task = Task::new(runtime, id, origin, future, spare);
        entry.state.occupy(schedule);
        entry.task = Some(Rc::clone(&task) as Rc<Task>);
        if schedule {
            self.queue.push_back(id);
        }
        task
    }

    /// Adds a vacant slot.
    fn add(&mut self, wakes: &Wakes) -> u32 {
        let slot = self.slots.len() as u32;
        assert!(slot < MAX_SLOTS, "at most {MAX_SLOTS} tasks can be alive at once");
        wakes.reserve(slot);
        self.vacant.reserve(slot + 1);
        self.slots.push(Slot::default());
        slot
    }
}
