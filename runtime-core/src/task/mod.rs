//! Tasks: a slot for each, a queue of those that are ready, and the wakers that bring them there.
//!
//! ```text
//!            spawn                     popped                 Ready, panic or abort
//! (nothing) ───────▶ Scheduled ───────────────▶ Running ───────────────────────────▶ Finished
//!                      ▲   ▲                      │  │
//!                      │   └── woken while running┘  │ Pending
//!                      │                             ▼
//!                      └───────────── woken ─────── Idle
//! ```
//!
//! A slot knows whether its task is scheduled; the task itself (`cell`) knows whether it has finished. The
//! root future of `block_on` is scheduled in the same queue, in a slot of its own.

mod awaits;
mod cell;
mod join;
mod waker;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::inbox::{Inbox, MAX_SLOTS};

pub(crate) use awaits::take_noted;
pub use awaits::{Awaits, note};
pub use cell::JoinError;
pub(crate) use cell::{Task, TaskCell};
pub use join::JoinHandle;
pub use waker::TaskId;
pub(crate) use waker::waker;

/// The slot of the root future.
const ROOT: u32 = 0;

/// What the loop runs next.
pub(crate) enum Next {
    /// The future of `block_on`.
    Root,
    /// A spawned task.
    Task(TaskId, Rc<dyn Task>),
}

/// All tasks of a runtime.
pub(crate) struct Tasks {
    table: RefCell<Table>,
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
    pub(crate) fn new(inbox: &Inbox) -> Self {
        let tasks = Self {
            table: RefCell::new(Table { slots: Vec::new(), vacant: Vec::new(), ready: VecDeque::new() }),
        };
        let root = tasks.table.borrow_mut().add_slot(inbox);
        debug_assert_eq!(root, ROOT);
        tasks
    }

    /// Gives the root's slot to a new future and schedules it.
    pub(crate) fn start_root(&self) -> TaskId {
        let mut table = self.table.borrow_mut();
        let Table { slots, ready, .. } = &mut *table;
        let slot = &mut slots[ROOT as usize];
        slot.next_generation();
        slot.scheduled = true;
        let id = TaskId { slot: ROOT, generation: slot.generation };
        ready.push_back(id);
        id
    }

    /// Adds a task and schedules it. `make` is told its name.
    ///
    /// # Panics
    ///
    /// If 2^24 tasks are alive.
    #[inline]
    pub(crate) fn insert<T: Task + 'static>(
        &self,
        inbox: &Inbox,
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
        entry.scheduled = true;
        entry.task = Some(Rc::clone(&task) as Rc<dyn Task>);
        table.ready.push_back(id);
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
        !self.table.borrow().ready.is_empty()
    }

    /// Takes the task that has been ready longest.
    #[inline]
    pub(crate) fn next(&self) -> Option<Next> {
        let Table { slots, ready, .. } = &mut *self.table.borrow_mut();
        loop {
            let id = ready.pop_front()?;
            let slot = &mut slots[id.slot as usize];
            // The queue may still name a task that has finished since.
            if slot.generation != id.generation {
                continue;
            }
            slot.scheduled = false;
            match &slot.task {
                Some(task) => return Some(Next::Task(id, Rc::clone(task))),
                None if id.slot == ROOT => return Some(Next::Root),
                None => {}
            }
        }
    }

    /// Forgets a task that has finished.
    pub(crate) fn remove(&self, id: TaskId) {
        let removed = {
            let Table { slots, vacant, .. } = &mut *self.table.borrow_mut();
            let slot = &mut slots[id.slot as usize];
            if slot.generation != id.generation {
                return;
            }
            slot.next_generation();
            slot.scheduled = false;
            vacant.push(id.slot);
            slot.task.take()
        };
        // Dropped after the borrow has ended: with it goes, perhaps, the task's output.
        drop(removed);
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

/// Polls `task` and forgets it if that was the last time.
#[inline]
pub(crate) fn run(tasks: &Tasks, id: TaskId, task: Rc<dyn Task>, waker: &std::task::Waker) {
    if task.poll(waker) {
        tasks.remove(id);
        join::discard(task);
    }
}

/// Gives other tasks a turn: the future is ready when it is polled the second time, after every task that
/// was ready before. Like asyncio's `sleep(0)`.
pub fn yield_now() -> impl Future<Output = ()> + Send + Sync {
    let mut yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    })
}
