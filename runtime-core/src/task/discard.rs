//! Drops the outputs of finished tasks that nobody will take.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::cell::Task;

thread_local! {
    /// A discarded task is being dropped on this thread.
    static DISCARDING: Cell<bool> = const { Cell::new(false) };
    /// Tasks that were discarded meanwhile.
    static DISCARDED: RefCell<Vec<Rc<Task>>> = const { RefCell::new(Vec::new()) };
}

/// Drops the output of a finished task that nobody will take. If it owns other finished tasks, theirs are dropped one
/// after the other rather than one inside the other, so that a long chain of them does not overflow the stack.
pub(super) fn discard(task: Rc<Task>) {
    if !task.header.has_output.get() {
        return;
    }
    if DISCARDING.replace(true) {
        // If the thread is ending and its locals are gone, the output is dropped right here.
        let later = Rc::clone(&task);
        if DISCARDED.try_with(|discarded| discarded.borrow_mut().push(later)).is_err() {
            task.drop_output();
        }
        return;
    }
    let mut next = Some(task);
    while let Some(task) = next {
        task.drop_output();
        next = DISCARDED.try_with(|discarded| discarded.borrow_mut().pop()).ok().flatten();
    }
    DISCARDING.set(false);
}

/// Whether tasks that are discarded from now on wait for another one. Returns whether they did before.
pub(crate) fn set_discarding(discarding: bool) -> bool {
    DISCARDING.replace(discarding)
}
