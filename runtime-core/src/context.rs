//! Which runtime is running on this thread, and which others live here.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::{Rc, Weak};

use crate::core::Core;
use crate::incident;
use crate::io::Io;
use crate::remote::registry::Serial;
use crate::task::{self, table};

thread_local! {
    /// Null, or from `Rc::into_raw` by an [`Entered`] that is still there. A plain pointer, since each spawn and many a
    /// poll look here; and it has no destructor, so it can be looked at while the thread ends.
    static CURRENT: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// All of this thread, running or not.
    static CORES: RefCell<Vec<Weak<Core>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the runtime of this thread, if one is running.
#[inline]
pub(crate) fn try_with<T>(f: impl FnOnce(&Rc<Core>) -> T) -> Option<T> {
    let current = CURRENT.get();
    if current.is_null() {
        return None;
    }
    // SAFETY: it came from `Rc::into_raw`, and that owner is dropped by an `Entered` further up this thread's stack, so
    // not before `f` returns. This second one, of the same count, is never dropped.
    let core = ManuallyDrop::new(unsafe { Rc::from_raw(current) });
    Some(f(&core))
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

/// What the sockets and files of the runtime of this thread share.
///
/// # Panics
///
/// If none is running; `what` is named in the text.
#[track_caller]
pub(crate) fn io(what: &str) -> Rc<Io> {
    with(what, |core| Rc::clone(core.io()))
}

/// Calls `f` with the runtime of that serial number, if it lives on this thread, running or not.
#[inline]
pub(crate) fn with_serial<T>(serial: Serial, f: impl FnOnce(&Core) -> T) -> Option<T> {
    match try_with(|core| core.serial() == serial) {
        Some(true) => try_with(|core| f(core)),
        _ => of_this_thread(serial).map(|core| f(&core)),
    }
}

#[cold]
fn of_this_thread(serial: Serial) -> Option<Rc<Core>> {
    let find = |cores: &RefCell<Vec<Weak<Core>>>| {
        cores.borrow().iter().filter_map(Weak::upgrade).find(|core| core.serial() == serial)
    };
    CORES.try_with(find).ok().flatten()
}

/// Remembers a runtime of this thread for [`with_serial`].
pub(crate) fn remember(core: &Rc<Core>) {
    let _ = CORES.try_with(|cores| {
        let mut cores = cores.borrow_mut();
        cores.retain(|core| core.strong_count() > 0);
        cores.push(Rc::downgrade(core));
    });
}

/// Makes `core` the runtime of this thread until the guard is dropped, which is to be the last one made.
pub(crate) fn enter(core: &Rc<Core>) -> Entered {
    let was_running = core.io().set_running(true);
    // SAFETY: it is a part of what `CURRENT` owns from the next line on, until `Entered` is dropped, which leaves first.
    let table = unsafe { table::enter(core.table()) };
    let before = CURRENT.replace(Rc::into_raw(Rc::clone(core)));
    Entered {
        before,
        table,
        was_running,
        hook_of: incident::set_running(Some(core.serial())),
        discarding: task::set_discarding(false),
    }
}

/// Puts back what was there before.
pub(crate) struct Entered {
    before: *const Core,
    table: *const table::Table,
    was_running: bool,
    hook_of: Option<Serial>,
    /// The drop of a task's output may run a runtime, which must not wait with drops until that one is over.
    discarding: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        task::set_discarding(self.discarding);
        incident::set_running(self.hook_of);
        // SAFETY: from the `enter` of this guard, and guards are dropped in the reverse order of their making.
        unsafe { table::leave(self.table) };
        let left = CURRENT.replace(self.before);
        // SAFETY: `enter` had it from `Rc::into_raw`, and nobody but this guard takes it back: guards are dropped in
        // the reverse order of their making, and on their thread, as a raw pointer is not `Send`.
        let left = unsafe { Rc::from_raw(left) };
        left.io().set_running(self.was_running);
    }
}
