//! Tasks: how they are spawned, what belongs to them, and what they wait for.

mod builder;
mod callback;
mod local;

pub use builder::Builder;
pub use callback::{CallHandle, call_at, call_later, defer};
pub use local::{AccessError, TaskLocal};
pub use runtime_core::task::{Awaits, State, TaskId, TaskInfo, TaskTree};
pub use runtime_core::{
    AbortHandle, JoinError, JoinHandle, current_task as current, spawn, tasks, yield_now,
};
