//! Why a task has no output.

use std::any::Any;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::contain::forget_payload;
use crate::incident::{self, Incident};

use super::TaskInfo;

/// Why a task has no output.
pub struct JoinError {
    /// `None` if it was cancelled.
    panic: Option<Box<Panic>>,
}

struct Panic {
    /// The lock is never contended. It makes the error `Sync`, which boxed errors usually have to be.
    payload: Mutex<Box<dyn Any + Send>>,
    task: Option<TaskInfo>,
}

impl JoinError {
    /// The error of a task that was aborted.
    pub fn cancelled() -> Self {
        Self { panic: None }
    }

    /// The error of a task that panicked with `payload`.
    pub fn panic(payload: Box<dyn Any + Send>, task: Option<TaskInfo>) -> Self {
        Self { panic: Some(Box::new(Panic { payload: Mutex::new(payload), task })) }
    }

    /// Whether the task was aborted, or its runtime ended before it did.
    pub fn is_cancelled(&self) -> bool {
        self.panic.is_none()
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        self.panic.is_some()
    }

    /// The panic's payload, for [`std::panic::resume_unwind`]; `None` if the task did not panic.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        let Panic { payload, .. } = *self.panic?;
        Some(payload.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The task that panicked, as it was then.
    pub fn task(&self) -> Option<&TaskInfo> {
        self.panic.as_ref()?.task.as_ref()
    }

    /// Reports a panic that nobody will hear of otherwise.
    pub(super) fn report(mut self) {
        let Some(panic) = self.panic.take() else { return };
        let Panic { payload, task } = *panic;
        let payload = payload.into_inner().unwrap_or_else(PoisonError::into_inner);
        match &task {
            Some(task) => incident::report(&Incident::TaskPanicked { task, payload: &*payload }),
            None => incident::report(&Incident::Panicked { what: "a task", payload: &*payload }),
        }
        forget_payload(payload);
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(panic) = &self.panic else { return f.write_str("the task was cancelled") };
        let payload = panic.payload.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "the task panicked: {}", incident::text(&**payload))
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
