//! What can go wrong in a group.

use std::fmt::{self, Display};
use std::io;

use thiserror::Error;

use crate::task::{JoinError, TaskInfo};

/// Why a group failed: all failures, in their order. asyncio's `ExceptionGroup`.
#[derive(Debug)]
pub struct GroupError<E> {
    pub(super) failures: Vec<Failure<E>>,
    pub(super) blockers: Vec<Blocker>,
}

/// One thing that went wrong in a group.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure<E> {
    /// A child or the body returned an error.
    Error {
        /// The error.
        error: E,
        /// The child, as it was when it failed; `None` if it was the body.
        task: Option<TaskInfo>,
    },
    /// A child panicked, or the drop of its future did.
    Panic(JoinError),
}

impl<E> GroupError<E> {
    /// All failures, in their order. The first one has ended the group. Empty if the group was asked to end without a
    /// failure, and the error is only that there are [`GroupError::blockers`].
    pub fn failures(&self) -> &[Failure<E>] {
        &self.failures
    }

    /// As [`GroupError::failures`], by value.
    pub fn into_failures(self) -> Vec<Failure<E>> {
        self.failures
    }

    /// The children, and the body, that had not ended at the drain deadline and were aborted.
    ///
    /// ```
    /// use carhop::task::{Blocker, Builder, GroupOptions};
    /// use std::time::Duration;
    ///
    /// carhop::run(async {
    ///     let options = GroupOptions::new().drain_deadline(Duration::from_millis(1));
    ///     let outcome = options.scope::<&str, (), _>(async |group| {
    ///         // It does not listen to the group's token.
    ///         drop(group.spawn_with(Builder::new().name("deaf"), std::future::pending::<Result<(), _>>()));
    ///         Err("closing time")
    ///     });
    ///     let error = outcome.await.unwrap_err();
    ///     let [Blocker::Task(task)] = error.blockers() else { panic!("{error}") };
    ///     assert_eq!(task.title(), "`deaf`");
    /// });
    /// ```
    pub fn blockers(&self) -> &[Blocker] {
        &self.blockers
    }
}

impl<E: Display> Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.failures.len(), "failed", list(&self.failures)),
            (self.blockers.len(), "had not ended at the deadline", list(&self.blockers)),
        ];
        let mut separator = "";
        for (count, what, list) in parts.into_iter().filter(|&(count, ..)| count > 0) {
            let tasks = if count == 1 { "task" } else { "tasks" };
            write!(f, "{separator}{count} {tasks} {what}: {list}")?;
            separator = "; ";
        }
        Ok(())
    }
}

fn list(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl<E: fmt::Debug + Display> std::error::Error for GroupError<E> {}

impl<E: Display> Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error { error, task } => {
                if let Some(name) = task.as_ref().and_then(|task| task.name.as_ref()) {
                    write!(f, "`{name}`: ")?;
                }
                error.fmt(f)
            }
            Failure::Panic(error) => error.fmt(f),
        }
    }
}

/// A part of a group that had not ended at the drain deadline.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Blocker {
    /// The body of the scope.
    Body,
    /// A child: its name, where it was spawned, and what it waited for.
    Task(TaskInfo),
}

impl Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocker::Body => f.write_str("the body of the group"),
            Blocker::Task(task) => task.fmt(f),
        }
    }
}

/// A child has no output: it failed or was aborted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the task failed or was aborted; its group says why")]
pub struct ChildFailed(pub(super) ());

impl From<ChildFailed> for io::Error {
    fn from(failed: ChildFailed) -> Self {
        io::Error::other(failed)
    }
}

/// A group takes no more children: something failed, or its scope is over.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the task group takes no more children: something in it failed, or its scope is over")]
pub struct GroupClosed(pub(super) ());

impl From<GroupClosed> for io::Error {
    fn from(closed: GroupClosed) -> Self {
        io::Error::other(closed)
    }
}
