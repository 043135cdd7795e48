//! Which runtime is running on this thread, and which others live here.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use crate::core::Core;
use crate::registry::RuntimeId;
use crate::task;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
    /// All of this thread, running or not.
    static CORES: RefCell<Vec<Weak<Core>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the runtime of this thread, if one is running. Also `None` while the thread's locals are
/// being destroyed.
#[inline]
pub(crate) fn try_with<T>(f: impl FnOnce(&Rc<Core>) -> T) -> Option<T> {
    CURRENT.try_with(|current| current.borrow().as_ref().map(f)).ok().flatten()
}

/// Calls `f` with the runtime of this thread.
///
/// # Panics
///
/// If none is running; `what` is named in the text.
#[inline]
#[track_caller]
pub(crate) fn with<T>(what: &str, f: impl FnOnce(&Rc<Core>) -> T) -> T {
    match try_with(f) {
        Some(value) => value,
        None => panic!(
            "{what} needs a running carhop runtime on this thread, and there is none: call it from within \
             carhop::run, Runtime::block_on, #[carhop::main] or #[carhop::test]"
        ),
    }
}

/// The runtime of that serial number, if it lives on this thread, running or not.
pub(crate) fn of_this_thread(serial: u64) -> Option<Rc<Core>> {
    if let Some(running) = try_with(|core| (core.serial == serial).then(|| Rc::clone(core))).flatten() {
        return Some(running);
    }
    let find = |cores: &RefCell<Vec<Weak<Core>>>| {
        cores.borrow().iter().filter_map(Weak::upgrade).find(|core| core.serial == serial)
    };
    CORES.try_with(find).ok().flatten()
}

/// The runtime of that number, if it lives on this thread, running or not, and is not being dropped.
pub(crate) fn of_this_thread_by_id(id: RuntimeId) -> Option<Rc<Core>> {
    let find = |cores: &RefCell<Vec<Weak<Core>>>| {
        cores.borrow().iter().filter_map(Weak::upgrade).find(|core| core.id == id && !core.closing.get())
    };
    CORES.try_with(find).ok().flatten()
}

/// Remembers a runtime of this thread for [`of_this_thread`].
pub(crate) fn remember(core: &Rc<Core>) {
    let _ = CORES.try_with(|cores| {
        let mut cores = cores.borrow_mut();
        cores.retain(|core| core.strong_count() > 0);
        cores.push(Rc::downgrade(core));
    });
}

/// Makes `core` the runtime of this thread until the guard is dropped.
pub(crate) fn enter(core: &Rc<Core>) -> Entered {
    // The thread's locals are gone if it is ending, and the runtime is kept in one: then its tasks are dropped
    // without it.
    let before = CURRENT.try_with(|current| current.replace(Some(Rc::clone(core))));
    Entered { before: before.ok().flatten(), discarding: task::set_discarding(false) }
}

/// Puts back what was there before.
pub(crate) struct Entered {
    before: Option<Rc<Core>>,
    /// The drop of a task's output may run a runtime, which must not wait with drops until that one is over.
    discarding: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        task::set_discarding(self.discarding);
        let before = self.before.take();
        // Thread locals may be gone if a runtime is itself kept in one.
        let left = CURRENT.try_with(|current| current.replace(before));
        // Dropped here, after the borrow has ended: this may be the last owner of the runtime's core.
        drop(left);
    }
}
