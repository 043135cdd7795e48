//! Tasks that end before the scope that they belong to.
//!
//! ```text
//!          the first failure                   abort: at once, or the drain deadline
//! Open ─────────────────────────▶ Ending ──────────────────────────────────────────────▶ Aborted
//!   │                               │                                                       │
//!   └───────────────────────────────┴── body and children have ended ──▶ Closed ◀───────────┘
//! ```
//!
//! `shared` is the state that the scope and its children have in common, `scope` the future that waits for the
//! children. A scope that is dropped closes at once; the group around it, if there is one, then waits for its children
//! instead.

mod child;
mod error;
mod scope;
mod shared;

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use runtime_core::task::report_unseen;

use super::{AbortHandle, Builder, CancelToken, JoinHandle, TaskId};

pub use error::{Blocker, ChildFailed, Failure, GroupClosed, GroupError};
use shared::Shared;

/// A group of tasks, all of which have ended when its scope returns: asyncio's `TaskGroup`.
///
/// The scope waits for the children, and then for the operations that they left to the kernel: when it returns, their
/// sockets are closed. The first child that fails, with an error or a panic, ends its siblings. So does a body that
/// fails. All failures are reported together.
///
/// By default siblings are aborted, that is, dropped at their await, and so is the body. With
/// [`GroupOptions::drain_deadline`] they are asked to end first, by [`TaskGroup::token`].
///
/// When the scope's future is dropped, the children are aborted. They end with the loop's next polls, and the group
/// around this one, if there is one, waits for them.
///
/// Clones are the same group: a child may hold one to spawn siblings.
///
/// ```
/// use carhop::task::TaskGroup;
///
/// carhop::run(async {
///     let sum = TaskGroup::scope(async |group| {
///         let a = group.spawn(async { "17".parse::<i32>() });
///         let b = group.spawn(async { "4".parse::<i32>() });
///         Ok(a.await.unwrap() + b.await.unwrap())
///     });
///     assert_eq!(sum.await.unwrap(), 21);
///
///     let failed = TaskGroup::scope(async |group| {
///         group.spawn(async { "seven".parse::<i32>() });
///         // Does not wait for ever: it is dropped when its sibling fails.
///         group.spawn(std::future::pending::<Result<(), _>>());
///         Ok(())
///     });
///     assert_eq!(failed.await.unwrap_err().to_string(), "1 task failed: invalid digit found in string");
/// });
/// ```
pub struct TaskGroup<E> {
    shared: Rc<Shared<E>>,
}

impl<E: 'static> TaskGroup<E> {
    /// Runs `body` with a new group, and waits for it and all children.
    ///
    /// # Errors
    ///
    /// A [`GroupError`] if the body or a child failed. It has all the failures, in their order. Aborted children are
    /// no failures, unless their drop panics.
    ///
    /// # Panics
    ///
    /// If `body` panics, with the same payload, after the children have been ended as by any failure. Polling it panics
    /// outside of a running runtime.
    pub async fn scope<R, B>(body: B) -> Result<R, GroupError<E>>
    where
        B: AsyncFnOnce(&TaskGroup<E>) -> Result<R, E>,
    {
        GroupOptions::new().scope(body).await
    }

    /// Adds a task to the group. Like every task it must be `'static`. A future that borrows can run in the body
    /// instead, beside others with `futures::join!`.
    ///
    /// # Panics
    ///
    /// If the group is ending, because something failed, or closed ([`TaskGroup::try_spawn_with`] returns that as an
    /// error). Outside of a running runtime.
    #[track_caller]
    pub fn spawn<T, F>(&self, future: F) -> GroupTask<T>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.spawn_with(Builder::new(), future)
    }

    /// As [`TaskGroup::spawn`], with a name and the other options of a [`Builder`].
    ///
    /// # Panics
    ///
    /// As [`TaskGroup::spawn`].
    #[track_caller]
    pub fn spawn_with<T, F>(&self, builder: Builder, future: F) -> GroupTask<T>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        match self.try_spawn_with(builder, future) {
            Ok(task) => task,
            Err(closed) => panic!("TaskGroup::spawn: {closed}"),
        }
    }

    /// As [`TaskGroup::spawn_with`], with an error rather than a panic if the group takes no more children.
    ///
    /// # Errors
    ///
    /// [`GroupClosed`] if the group is ending, because something failed, or closed. The future is dropped then.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn try_spawn_with<T, F>(&self, builder: Builder, future: F) -> Result<GroupTask<T>, GroupClosed>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.shared.spawn(builder, future).map(|handle| GroupTask { handle })
    }
}

impl<E> TaskGroup<E> {
    /// The group's token. It is cancelled when something fails, and a child may observe it to finish in order.
    /// Cancelling it asks the group to end without a failure. With a drain deadline, the group has until that deadline.
    pub fn token(&self) -> &CancelToken {
        &self.shared.token
    }

    /// How many children have not ended.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether all children have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskGroup({:?}, {} children)", self.shared.phase.get(), self.len())
    }
}

/// How a group ends.
///
/// ```
/// use carhop::task::{GroupOptions, TaskGroup};
/// use std::time::Duration;
///
/// carhop::run(async {
///     let options = GroupOptions::new().drain_deadline(Duration::from_secs(5));
///     let outcome = options.scope(async |group: &TaskGroup<&str>| {
///         let token = group.token().clone();
///         group.spawn(async move {
///             token.cancelled().await;
///             // Here is time to say goodbye.
///             Ok(())
///         });
///         Err::<(), _>("out of coffee")
///     });
///     assert_eq!(outcome.await.unwrap_err().to_string(), "1 task failed: out of coffee");
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct GroupOptions {
    drain: Option<Duration>,
}

impl GroupOptions {
    /// When a child or the body fails, the others are aborted.
    pub fn new() -> Self {
        Self::default()
    }

    /// When a child or the body fails, the others are asked to end, by the group's token. Those that have not ended
    /// `deadline` after the token was cancelled are aborted, and [`GroupError::blockers`] names them. It does not
    /// matter what has cancelled the token. [`Duration::MAX`] is never.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain = Some(deadline);
        self
    }

    /// As [`TaskGroup::scope`].
    ///
    /// # Errors
    ///
    /// As [`TaskGroup::scope`], and if something had not ended at the drain deadline.
    ///
    /// # Panics
    ///
    /// As [`TaskGroup::scope`].
    pub async fn scope<E, R, B>(self, body: B) -> Result<R, GroupError<E>>
    where
        E: 'static,
        B: AsyncFnOnce(&TaskGroup<E>) -> Result<R, E>,
    {
        scope::run(self.drain, body).await
    }
}

/// Waits for the output of a child. Dropping it changes nothing: the group still waits for the task.
///
/// # Errors
///
/// [`ChildFailed`] if there is no output. The group reports why.
///
/// # Panics
///
/// When polled again after it was ready.
pub struct GroupTask<T> {
    handle: JoinHandle<Option<T>>,
}

impl<T> GroupTask<T> {
    /// Ends the task, as [`JoinHandle::abort`] does. That is not a failure, and its siblings go on.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// A handle that can abort the task and does not wait for it.
    pub fn abort_handle(&self) -> AbortHandle {
        self.handle.abort_handle()
    }

    /// The task's number.
    ///
    /// # Panics
    ///
    /// After it was ready.
    pub fn id(&self) -> TaskId {
        self.handle.id()
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for GroupTask<T> {
    type Output = Result<T, ChildFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = Pin::new(&mut self.handle).poll(cx);
        // The group does not report the panic of a child whose scope is gone, so the runtime does.
        output.map(|output| output.map_err(report_unseen).ok().flatten().ok_or(ChildFailed(())))
    }
}

impl<T> fmt::Debug for GroupTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupTask({})", if self.is_finished() { "finished" } else { "running" })
    }
}
