//! Finds the inbox of a runtime by the number that its wakers carry.

use std::sync::{Arc, LazyLock};

use crossbeam_utils::sync::ShardedLock;

use crate::inbox::Inbox;

/// A small number for each living runtime of the process. Used again after the runtime is gone: a waker
/// that outlives its runtime may then cause a spurious poll in another.
pub(crate) type RuntimeId = u16;

/// Sharded, because wakers of many threads read it while runtimes seldom come and go.
static INBOXES: LazyLock<ShardedLock<Vec<Option<Arc<Inbox>>>>> = LazyLock::new(Default::default);

/// Enters an inbox.
///
/// # Panics
///
/// If 65,536 runtimes are alive.
pub(crate) fn register(inbox: Arc<Inbox>) -> RuntimeId {
    let mut inboxes = INBOXES.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    let free = inboxes.iter().position(Option::is_none).unwrap_or(inboxes.len());
    let id = RuntimeId::try_from(free).expect("at most 65,536 runtimes can be alive at once");
    if free == inboxes.len() {
        inboxes.push(None);
    }
    inboxes[free] = Some(inbox);
    id
}

/// Removes an inbox. Wakers that still carry `id` then wake nobody.
pub(crate) fn unregister(id: RuntimeId) {
    let mut inboxes = INBOXES.write().unwrap_or_else(|poisoned| poisoned.into_inner());
    inboxes[id as usize] = None;
}

/// Wakes the task in `slot` of a runtime, from any thread. The lock is only ever held for a few
/// instructions, so this waits neither for the loop nor for anything that the loop runs.
pub(crate) fn wake(id: RuntimeId, slot: u32) {
    let inboxes = INBOXES.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(Some(inbox)) = inboxes.get(id as usize) {
        inbox.wake(slot);
    }
}
