//! Tasks: spawning, waiting for and ending them, groups of them, task-local values, and blocking work beside them.
//!
//! # Waiting for several things
//!
//! asyncio's `gather` makes a task of each coroutine. Here futures run side by side without being tasks, so they may
//! borrow and need not be `Send`: with `join!`, `try_join!` and `join_all` of the `futures` crate.
//!
//! ```
//! use futures::{future, join, try_join};
//!
//! carhop::run(async {
//!     let name = String::from("tea");
//!     let cup = async |size: u32| format!("{size} of {name}");
//!     assert_eq!(join!(cup(1), cup(2)), ("1 of tea".into(), "2 of tea".into()));
//!     assert_eq!(future::join_all([1, 2].map(&cup)).await, ["1 of tea", "2 of tea"]);
//!
//!     // The first error ends it; the others are dropped.
//!     let failed = try_join!(async { Ok(cup(1).await) }, async { Err::<(), _>("no more cups") });
//!     assert_eq!(failed, Err("no more cups"));
//!
//!     // `gather(..., return_exceptions=True)` over tasks: handles turn panics and aborts into values.
//!     let tasks = [1, 2].map(|size| carhop::spawn(async move { size * 2 }));
//!     let outputs = future::join_all(tasks).await;
//!     assert_eq!(outputs.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 4]);
//! });
//! ```
//!
//! For asyncio's `wait` and `as_completed` there is [`JoinSet`], and for its `TaskGroup` there is [`TaskGroup`].

mod blocking;
mod builder;
mod callback;
mod cancel;
mod context;
mod group;
mod join_set;
mod local;
mod shield;
mod spawning;

pub use blocking::{BlockingHandle, spawn_blocking};
pub use builder::Builder;
pub use callback::{CallHandle, call_at, call_later, defer};
pub use cancel::{CancelToken, Cancelled, DropGuard};
pub use context::{cancelled, is_cancelled};
pub use group::{Blocker, ChildFailed, Failure, GroupClosed, GroupError, GroupOptions, GroupTask, TaskGroup};
pub use join_set::JoinSet;
pub use local::{AccessError, TaskLocal};
pub use runtime_core::task::{Awaits, State, TaskId, TaskInfo, TaskTree};
pub use runtime_core::{AbortHandle, JoinError, current_task as current};
pub use shield::{Shield, shield};
pub use spawning::{JoinHandle, spawn, tasks, yield_now};
