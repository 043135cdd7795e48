//! Values that belong to a task, and that tasks which it spawns start with.

use std::rc::Rc;

use crate::context;

use crate::task::locals::Locals;
pub use crate::task::locals::{Key, Value};

/// What a task-local is set to in the task that is running; `None` if it is not set.
///
/// # Errors
///
/// [`NoTask`] if no task of a runtime is running on this thread.
pub fn get(key: Key) -> Result<Option<Value>, NoTask> {
    with_locals(|locals| {
        let locals = locals.as_deref()?;
        locals.iter().find(|(other, _)| *other == key).map(|(_, value)| Rc::clone(value))
    })
}

/// Sets a task-local of the task that is running, or takes it away, and returns what it was before.
///
/// # Errors
///
/// [`NoTask`] if no task of a runtime is running on this thread. Then `value` is dropped.
pub fn replace(key: Key, value: Option<Value>) -> Result<Option<Value>, NoTask> {
    // Dropped after all borrows have ended, if there is no task: it is a user's.
    let mut value = value;
    with_locals(|locals| {
        let value = value.take();
        let list = Rc::make_mut(locals.get_or_insert_default());
        let place = list.iter().position(|(other, _)| *other == key);
        match (place, value) {
            (Some(place), Some(value)) => Some(std::mem::replace(&mut list[place].1, value)),
            (Some(place), None) => Some(list.swap_remove(place).1),
            (None, Some(value)) => {
                list.push((key, value));
                None
            }
            (None, None) => None,
        }
    })
}

/// No task of a runtime is running on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTask;

fn with_locals<T>(f: impl FnOnce(&mut Locals) -> T) -> Result<T, NoTask> {
    context::try_with(|core| core.with_current_locals(f)).flatten().ok_or(NoTask)
}
