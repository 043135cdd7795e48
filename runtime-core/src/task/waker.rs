//! Wakers that are plain values.

use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::remote::registry::{self, RuntimeNumber};

use super::id::TaskId;
use super::table;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("carhop packs the name of a task into a 64-bit pointer");

/// Those of a slot and a generation.
const ID_BITS: u32 = 48;

/// The waker of a task. Its data pointer is never followed: it *is* the task's name.
///
/// ```text
/// 63        48 47            24 23             0
/// │ runtime   │ slot           │ generation     │
/// ```
///
/// So cloning and dropping a waker does nothing at all, a waker may outlive its task and its runtime (it then
/// wakes nobody or, once the numbers are used again, causes a spurious poll), and `Waker::will_wake` is exact.
#[inline]
pub(crate) fn waker(runtime: RuntimeNumber, task: TaskId) -> Waker {
    let bits = (runtime as u64) << ID_BITS | task.0;
    // SAFETY: the functions of `VTABLE` are thread-safe, and the contract's rules about resources hold
    // trivially: the data is a number, never dereferenced, and owns nothing.
    unsafe { Waker::new(ptr::without_provenance(bits as usize), &VTABLE) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), wake, wake, |_| {});

fn wake(data: *const ()) {
    let bits = data.addr() as u64;
    let runtime = (bits >> ID_BITS) as RuntimeNumber;
    let task = TaskId(bits % (1 << ID_BITS));
    if !table::wake_here(runtime, task) {
        registry::wake(runtime, task.slot() as u32);
    }
}
