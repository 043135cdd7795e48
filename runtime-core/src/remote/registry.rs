//! The numbers of runtimes, and the remote wakes of each by the number that its wakers carry.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use crossbeam_utils::sync::ShardedLock;

use super::wakes::Wakes;

/// A small number for each living runtime of the process. Used again after the runtime is gone: a waker
/// that outlives its runtime may then cause a spurious poll in another.
pub(crate) type RuntimeNumber = u16;

/// The number of a runtime that is never used again, for what may outlive the runtime without being a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serial(u64);

impl Serial {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// How a runtime is known: by a number that its wakers carry, and by one that is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) number: RuntimeNumber,
    pub(crate) serial: Serial,
}

/// Sharded, because wakers of many threads read it while runtimes seldom come and go.
static ALL: LazyLock<ShardedLock<Vec<Option<Arc<Wakes>>>>> = LazyLock::new(Default::default);

/// Registers a runtime.
///
/// # Panics
///
/// If 65,536 runtimes are alive.
pub(crate) fn register(wakes: Arc<Wakes>) -> Identity {
    let mut all = ALL.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    let free = all.iter().position(Option::is_none).unwrap_or(all.len());
    let number = RuntimeNumber::try_from(free).expect("at most 65,536 runtimes can be alive at once");
    if free == all.len() {
        all.push(None);
    }
    all[free] = Some(wakes);
    Identity { number, serial: Serial::next() }
}

/// Removes a runtime. Wakers that still carry `number` then wake nobody.
pub(crate) fn unregister(number: RuntimeNumber) {
    let mut all = ALL.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    all[number as usize] = None;
}

/// Wakes the task in `slot` of a runtime, from any thread. The lock is only ever held for a few
/// instructions, so this waits neither for the loop nor for anything that the loop runs.
pub(crate) fn wake(number: RuntimeNumber, slot: u32) {
    let all = ALL.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(Some(wakes)) = all.get(number as usize) {
        wakes.wake(slot);
    }
}
