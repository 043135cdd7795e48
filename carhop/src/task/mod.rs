//! Tasks: how they are spawned, what belongs to them, what they wait for, and work beside them.

mod blocking;
mod builder;
mod callback;
mod local;

pub use blocking::{BlockingHandle, spawn_blocking};
pub use builder::Builder;
pub use callback::{CallHandle, call_at, call_later, defer};
pub use local::{AccessError, TaskLocal};
pub use runtime_core::task::{Awaits, State, TaskId, TaskInfo, TaskTree};
pub use runtime_core::{
    AbortHandle, JoinError, JoinHandle, current_task as current, spawn, tasks, yield_now,
};
