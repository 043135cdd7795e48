//! Which tasks are ready: all that a wake on the thread of the loop touches.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr;

use crate::remote::registry::RuntimeNumber;

use super::id::{ROOT, TaskId};

thread_local! {
    /// That of the runtime which runs on this thread, or null. A plain pointer, since each wake looks here; and it has no
    /// destructor, so it can be looked at while the thread ends.
    static HERE: Cell<*const Ready> = const { Cell::new(ptr::null()) };
}

/// Wakes a task of the runtime that runs on this thread. `false` if that is another one, or none.
#[inline]
pub(super) fn wake_here(runtime: RuntimeNumber, task: TaskId) -> bool {
    let here = HERE.get();
    if here.is_null() {
        return false;
    }
    // SAFETY: `enter` was promised that it stays where it is until `leave`.
    let ready = unsafe { &*here };
    let is_its = ready.runtime == runtime;
    if is_its {
        ready.wake(task);
    }
    is_its
}

/// Has [`wake_here`] find `ready`. Returns what it found before, for [`leave`].
///
/// # Safety
///
/// `ready` is neither dropped nor moved before `leave` is called on this thread with what this returns.
pub(crate) unsafe fn enter(ready: *const Ready) -> *const Ready {
    HERE.replace(ready)
}

/// Undoes an [`enter`].
///
/// # Safety
///
/// `before` came from the last `enter` on this thread that has not been undone.
pub(crate) unsafe fn leave(before: *const Ready) {
    HERE.set(before);
}

/// The tasks of one runtime, so far as waking them goes.
pub(crate) struct Ready {
    runtime: RuntimeNumber,
    slots: RefCell<Slots>,
}

struct Slots {
    states: Vec<State>,
    /// Those to be polled, first in, first out. A task that was chosen out of turn, or has ended, may still be in it.
    queue: VecDeque<TaskId>,
}

/// A slot, in one word, so that a wake compares once.
///
/// ```text
/// 25           24        23             0
/// │ scheduled   │ alive   │ generation   │
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
struct State(u32);

/// There is a task, or, in the root's slot, a `block_on`.
const ALIVE: u32 = TaskId::GENERATIONS;
/// It is in the queue, or with the policy.
const SCHEDULED: u32 = ALIVE << 1;

impl Ready {
    pub(super) fn new(runtime: RuntimeNumber) -> Self {
        Self { runtime, slots: RefCell::new(Slots { states: Vec::new(), queue: VecDeque::new() }) }
    }

    /// Adds a vacant slot.
    pub(super) fn add_slot(&self) {
        self.slots.borrow_mut().states.push(State(0));
    }

    /// Gives a vacant slot to a task, whose number this returns.
    #[inline]
    pub(super) fn occupy(&self, slot: u32, schedule: bool) -> TaskId {
        let Slots { states, queue } = &mut *self.slots.borrow_mut();
        let state = &mut states[slot as usize];
        let id = TaskId::new(slot, state.generation());
        state.0 |= ALIVE;
        if schedule {
            state.0 |= SCHEDULED;
            queue.push_back(id);
        }
        id
    }

    /// The task in a slot is gone: its number is nobody's from now on.
    #[inline]
    pub(super) fn vacate(&self, slot: usize) {
        let state = &mut self.slots.borrow_mut().states[slot];
        *state = State((state.generation() + 1) % TaskId::GENERATIONS);
    }

    /// Schedules a task, unless it already is, or is gone.
    #[inline]
    pub(crate) fn wake(&self, id: TaskId) {
        let Slots { states, queue } = &mut *self.slots.borrow_mut();
        if let Some(state) = states.get_mut(id.slot()).filter(|state| state.0 == ALIVE | id.generation()) {
            state.0 |= SCHEDULED;
            queue.push_back(id);
        }
    }

    /// Schedules whatever task is in `slot`.
    pub(crate) fn wake_slot(&self, slot: u32) {
        let generation = self.slots.borrow().states.get(slot as usize).map(|state| state.generation());
        if let Some(generation) = generation {
            self.wake(TaskId::new(slot, generation));
        }
    }

    /// Whether any task is in the queue.
    #[inline]
    pub(super) fn any(&self) -> bool {
        !self.slots.borrow().queue.is_empty()
    }

    /// How long the queue is.
    pub(super) fn len(&self) -> usize {
        self.slots.borrow().queue.len()
    }

    /// Takes the task that has been ready longest.
    #[inline]
    pub(super) fn take_first(&self) -> Option<TaskId> {
        let slots = &mut *self.slots.borrow_mut();
        loop {
            let id = slots.queue.pop_front()?;
            if slots.take(id) {
                return Some(id);
            }
        }
    }

    /// As [`Ready::take_first`], but the task stays scheduled: it is the policy's.
    pub(super) fn hand_over_first(&self) -> Option<TaskId> {
        let Slots { states, queue } = &mut *self.slots.borrow_mut();
        loop {
            let id = queue.pop_front()?;
            if states[id.slot()].is_scheduled(id) {
                return Some(id);
            }
        }
    }

    /// Takes a task out of turn. `false` if it is not scheduled, or gone.
    pub(super) fn take(&self, id: TaskId) -> bool {
        self.slots.borrow_mut().take(id)
    }

    /// Puts every scheduled task in the queue, in the order of their slots.
    pub(super) fn queue_all_scheduled(&self) {
        let Slots { states, queue } = &mut *self.slots.borrow_mut();
        queue.clear();
        for (slot, state) in states.iter().enumerate().filter(|(_, state)| state.0 & SCHEDULED != 0) {
            queue.push_back(TaskId::new(slot as u32, state.generation()));
        }
    }

    /// Whether the task is still there.
    pub(super) fn is_alive(&self, id: TaskId) -> bool {
        let slots = self.slots.borrow();
        slots
            .states
            .get(id.slot())
            .is_some_and(|state| state.is_alive() && state.generation() == id.generation())
    }

    /// The slots that have a task, and whether it is scheduled.
    pub(super) fn alive(&self) -> Vec<(usize, bool)> {
        let slots = self.slots.borrow();
        let states = slots.states.iter().enumerate().filter(|(_, state)| state.is_alive());
        states.map(|(slot, state)| (slot, state.0 & SCHEDULED != 0)).collect()
    }

    /// The future of a `block_on` begins: it has a number of its own, and is scheduled.
    pub(super) fn begin_root(&self) -> TaskId {
        self.vacate(ROOT as usize);
        self.occupy(ROOT, true)
    }

    /// The future of a `block_on` is gone. Its number stays as it is, for those who look at it.
    pub(super) fn end_root(&self) {
        let state = &mut self.slots.borrow_mut().states[ROOT as usize];
        *state = State(state.generation());
    }
}

impl Slots {
    #[inline]
    fn take(&mut self, id: TaskId) -> bool {
        let Some(state) = self.states.get_mut(id.slot()).filter(|state| state.is_scheduled(id)) else {
            return false;
        };
        state.0 &= !SCHEDULED;
        true
    }
}

impl State {
    #[inline]
    const fn generation(self) -> u32 {
        self.0 % TaskId::GENERATIONS
    }

    #[inline]
    const fn is_alive(self) -> bool {
        self.0 & ALIVE != 0
    }

    /// Whether that task is there and scheduled.
    #[inline]
    const fn is_scheduled(self, id: TaskId) -> bool {
        self.0 == SCHEDULED | ALIVE | id.generation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready_with(slots: u32) -> Ready {
        let ready = Ready::new(0);
        (0..slots).for_each(|_| ready.add_slot());
        ready
    }

    #[test]
    fn a_task_is_queued_once_however_often_it_is_woken() {
        let ready = ready_with(3);
        let (a, b) = (ready.occupy(1, true), ready.occupy(2, false));
        ready.wake(a);
        ready.wake(b);
        ready.wake(b);
        assert_eq!([ready.take_first(), ready.take_first(), ready.take_first()], [Some(a), Some(b), None]);
        ready.wake(a);
        assert_eq!(ready.take_first(), Some(a));
    }

    #[test]
    fn a_wake_of_a_task_that_is_gone_does_not_reach_its_successor() {
        let ready = ready_with(2);
        let former = ready.occupy(1, true);
        ready.vacate(1);
        ready.wake(former);
        assert_eq!(ready.take_first(), None);
        let successor = ready.occupy(1, false);
        ready.wake(former);
        assert!(!ready.any() && successor != former);
        ready.wake_slot(1);
        assert_eq!(ready.take_first(), Some(successor));
    }

    #[test]
    fn a_task_that_was_chosen_out_of_turn_is_passed_over() {
        let ready = ready_with(3);
        let (a, b) = (ready.occupy(1, true), ready.occupy(2, true));
        assert!(ready.take(a) && !ready.take(a));
        assert_eq!(ready.take_first(), Some(b));
        assert_eq!(ready.take_first(), None);
    }

    #[test]
    fn the_root_has_a_new_number_each_time_and_is_not_woken_after_its_end() {
        let ready = ready_with(1);
        let first = ready.begin_root();
        ready.end_root();
        ready.wake(first);
        assert_eq!(ready.take_first(), None);
        assert!(!ready.is_alive(first));
        assert_ne!(ready.begin_root(), first);
    }
}
