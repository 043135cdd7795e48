//! Wakers that are plain values.

use std::fmt;
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::context;
use crate::registry::{self, RuntimeId};

use super::table::ROOT;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("carhop packs the name of a task into a 64-bit pointer");

const GENERATION_BITS: u32 = 24;
/// Those of a slot and a generation.
const ID_BITS: u32 = 48;

/// A task's number within its runtime: its slot, and how many tasks had that slot before. Used again after 2^24 tasks
/// in that slot. Shown as `#slot` or `#slot.before`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(u64);

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

/// The waker of a task. Its data pointer is never followed: it *is* the task's name.
///
/// ```text
/// 63        48 47            24 23             0
/// │ runtime   │ slot           │ generation     │
/// ```
///
/// So cloning and dropping a waker does nothing at all, a waker may outlive its task and its runtime (it then
/// wakes nobody or, once the numbers are used again, causes a spurious poll), and `Waker::will_wake` is exact.
pub(crate) fn waker(runtime: RuntimeId, task: TaskId) -> Waker {
    let bits = (runtime as u64) << ID_BITS | task.0;
    // SAFETY: the functions of `VTABLE` are thread-safe, and the contract's rules about resources hold
    // trivially: the data is a number, never dereferenced, and owns nothing.
    unsafe { Waker::new(ptr::without_provenance(bits as usize), &VTABLE) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    let bits = data.addr() as u64;
    let runtime = (bits >> ID_BITS) as RuntimeId;
    let task = TaskId(bits % (1 << ID_BITS));

    let here = context::try_with(|core| {
        let here = core.id == runtime;
        if here {
            core.tasks.wake(task);
        }
        here
    });
    if here != Some(true) {
        registry::wake(runtime, task.slot() as u32);
    }
}
