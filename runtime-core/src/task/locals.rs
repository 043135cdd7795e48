//! The task-locals of one task, as data.

use std::any::Any;
use std::rc::Rc;

/// Names a task-local: the address of the `static` that declares it.
pub type Key = usize;

/// What one task-local is set to.
pub type Value = Rc<dyn Any>;

/// The task-locals of one task. Shared with the tasks that it spawned until one of them sets one.
pub(crate) type Locals = Option<Rc<Vec<(Key, Value)>>>;
