//! What the table of tasks knows of a slot, in one word.

use super::id::TaskId;

/// A slot of the table. A wake compares it once.
///
/// ```text
/// 25           24        23             0
/// │ scheduled   │ alive   │ generation   │
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SlotState(u32);

/// There is a task, or, in the root's slot, a `block_on`.
const ALIVE: u32 = TaskId::GENERATIONS;
/// It is in the queue, or with the policy.
const SCHEDULED: u32 = ALIVE << 1;

impl SlotState {
    /// Counts the tasks that had the slot before, so that a waker of one that is gone does not wake its successor.
    #[inline]
    pub(super) const fn generation(self) -> u32 {
        self.0 % TaskId::GENERATIONS
    }

    #[inline]
    pub(super) const fn is_alive(self) -> bool {
        self.0 & ALIVE != 0
    }

    #[inline]
    pub(super) const fn is_scheduled(self) -> bool {
        self.0 & SCHEDULED != 0
    }

    /// Whether that task is there, scheduled or not.
    #[inline]
    pub(super) const fn has(self, id: TaskId) -> bool {
        self.0 & !SCHEDULED == ALIVE | id.generation()
    }

    /// A task has the slot from now on.
    #[inline]
    pub(super) fn occupy(&mut self, schedule: bool) {
        self.0 |= if schedule { ALIVE | SCHEDULED } else { ALIVE };
    }

    /// The task is gone, and its number nobody's.
    #[inline]
    pub(super) fn vacate(&mut self) {
        self.0 = (self.generation() + 1) % TaskId::GENERATIONS;
    }

    /// The task is gone, but keeps its number.
    pub(super) fn end(&mut self) {
        self.0 = self.generation();
    }

    /// Schedules a task, unless it already is, or is gone. Whether it was scheduled just now.
    #[inline]
    pub(super) fn schedule(&mut self, id: TaskId) -> bool {
        let waits = self.0 == ALIVE | id.generation();
        if waits {
            self.0 |= SCHEDULED;
        }
        waits
    }

    /// Takes a task out of the scheduled ones, if it is among them.
    #[inline]
    pub(super) fn take(&mut self, id: TaskId) -> bool {
        let is_scheduled = self.0 == SCHEDULED | ALIVE | id.generation();
        if is_scheduled {
            self.0 &= !SCHEDULED;
        }
        is_scheduled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: u32 = 5;

    fn occupied() -> (SlotState, TaskId) {
        let mut state = SlotState::default();
        state.occupy(false);
        (state, TaskId::new(SLOT, state.generation()))
    }

    #[test]
    fn a_task_is_scheduled_once_until_it_is_taken() {
        let (mut state, id) = occupied();
        assert!(state.schedule(id) && !state.schedule(id) && state.is_scheduled());
        assert!(state.take(id) && !state.take(id) && !state.is_scheduled());
        assert!(state.has(id) && state.schedule(id));
    }

    #[test]
    fn a_wake_of_a_task_that_is_gone_does_not_reach_its_successor() {
        let (mut state, former) = occupied();
        state.vacate();
        assert!(!state.schedule(former) && !state.is_alive());
        state.occupy(false);
        assert!(!state.schedule(former) && !state.has(former));
    }

    #[test]
    fn one_that_ends_keeps_its_number_and_is_not_woken() {
        let (mut state, id) = occupied();
        state.end();
        assert!(!state.schedule(id) && !state.has(id));
        assert_eq!(state.generation(), id.generation());
    }
}
