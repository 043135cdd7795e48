//! Spawning: the documentation of what `runtime-core` does.

/// Spawns a task: asyncio's `create_task`.
///
/// ```
/// use std::rc::Rc;
///
/// carhop::run(async {
///     // It stays on this thread, so it need not be `Send`.
///     let menu = Rc::new(vec!["burger", "fries"]);
///     let task = carhop::spawn(async move { menu.len() });
///     assert_eq!(task.await.unwrap(), 2);
/// });
/// ```
///
#[doc(inline)]
pub use runtime_core::spawn;

/// Waits for a task, or aborts it: asyncio's `Task`.
///
/// ```
/// use carhop::sync::oneshot;
///
/// carhop::run(async {
///     let task = carhop::spawn(async { panic!("dropped a tray") });
///     let error: carhop::JoinError = task.await.unwrap_err();
///     assert_eq!(error.to_string(), "the task panicked: dropped a tray");
///
///     let task = carhop::spawn(std::future::pending::<()>());
///     task.abort();
///     assert!(task.await.unwrap_err().is_cancelled());
///
///     let (sender, receiver) = oneshot::channel();
///     carhop::spawn(async { 6 * 7 }).on_done(move |result| sender.send(result.unwrap()).unwrap());
///     assert_eq!(receiver.await, Ok(42));
/// });
/// ```
///
#[doc(inline)]
pub use runtime_core::JoinHandle;

/// Gives way to other tasks once.
///
/// ```
/// carhop::run(async {
///     let task = carhop::spawn(async { "served" });
///     assert!(!task.is_finished());
///     carhop::yield_now().await;
///     assert!(task.is_finished());
/// });
/// ```
///
#[doc(inline)]
pub use runtime_core::yield_now;

/// Lists the tasks: asyncio's `all_tasks`, and what `python -m asyncio pstree` prints.
///
/// ```
/// use carhop::task::{self, State};
///
/// carhop::run(async {
///     let oven = task::Builder::new().name("oven").spawn(std::future::pending::<()>());
///     task::yield_now().await;
///     let all = task::tasks();
///     print!("{all}");
///     let info = all.tasks().iter().find(|info| info.id == oven.id()).unwrap();
///     assert_eq!(info.name.as_deref(), Some("oven"));
///     assert_eq!(info.parent, task::current());
///     assert!(matches!(info.state, State::Waiting { .. }));
/// });
/// ```
///
/// A line has a task's number, name, place of spawning, state and age. Children stand below the task that spawned them:
///
/// ```text
/// #0.1 at src/main.rs:4, running, 1.2ms old
///   #2 `oven` at src/main.rs:5, waits for something of its own, 1.2ms old
/// ```
///
#[doc(inline)]
pub use runtime_core::tasks;
