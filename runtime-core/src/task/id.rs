//! The numbers of tasks.

use std::fmt;

const GENERATION_BITS: u32 = 24;

/// The slot of the future of `block_on`.
pub(crate) const ROOT: u32 = 0;

/// A task's number within its runtime: its slot, and how many tasks had that slot before. Used again after 2^24 tasks
/// in that slot. Shown as `#slot` or `#slot.before`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub(super) u64);

impl TaskId {
    pub(crate) const GENERATIONS: u32 = 1 << GENERATION_BITS;
    /// No task.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// The task that has `slot`, which is below 2^24, in its `generation`.
    #[inline]
    pub(crate) const fn new(slot: u32, generation: u32) -> Self {
        Self((slot as u64) << GENERATION_BITS | generation as u64)
    }

    #[inline]
    pub(crate) const fn slot(self) -> usize {
        (self.0 >> GENERATION_BITS) as usize
    }

    /// Whether it is the future of a `block_on`.
    #[inline]
    pub(crate) fn is_root(self) -> bool {
        self.slot() == ROOT as usize
    }

    /// Which task of the slot.
    #[inline]
    pub(crate) const fn generation(self) -> u32 {
        self.0 as u32 % Self::GENERATIONS
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation() {
            0 => write!(f, "#{}", self.slot()),
            before => write!(f, "#{}.{before}", self.slot()),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}
