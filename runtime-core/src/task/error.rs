//! Why a task has no output.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::incident::{self, Incident};
use crate::remote::registry::Serial;
use crate::unwind::forget_payload;

use super::info::TaskInfo;

/// Why a task, or a closure that was to do blocking work, has no output.
pub struct JoinError(Why);

enum Why {
    Cancelled,
    Panic(Box<Panic>),
    /// Blocking work that no thread could be started for.
    Refused(io::Error),
}

struct Panic {
    /// The lock is never contended. It makes the error `Sync`, which boxed errors usually have to be.
    payload: Mutex<Box<dyn Any + Send>>,
    task: Option<TaskInfo>,
}

impl JoinError {
    /// The error of a task that was aborted.
    pub fn cancelled() -> Self {
        Self(Why::Cancelled)
    }

    /// The error of a task that panicked with `payload`.
    pub fn panic(payload: Box<dyn Any + Send>, task: Option<TaskInfo>) -> Self {
        Self(Why::Panic(Box::new(Panic { payload: Mutex::new(payload), task })))
    }

    pub(crate) fn refused(error: io::Error) -> Self {
        Self(Why::Refused(error))
    }

    /// Whether the task was aborted, or its runtime ended before it did.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Why::Cancelled)
    }

    /// Whether the task panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Why::Panic(_))
    }

    /// Whether this was blocking work, and the system would start no thread for it (`EAGAIN`, mostly: a limit of
    /// processes or of memory). The error's source is that [`io::Error`]. Tasks are never refused.
    pub fn is_refused(&self) -> bool {
        matches!(self.0, Why::Refused(_))
    }

    /// The panic's payload, for [`std::panic::resume_unwind`]; `None` if the task did not panic.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        self.into_parts().map(|(payload, _)| payload)
    }

    /// The task that panicked, as it was then; `None` for blocking work.
    pub fn task(&self) -> Option<&TaskInfo> {
        match &self.0 {
            Why::Panic(panic) => panic.task.as_ref(),
            Why::Cancelled | Why::Refused(_) => None,
        }
    }

    /// Reports a panic that nobody will hear of otherwise to the runtime of its task.
    pub(super) fn report_to(self, runtime: Serial) {
        self.report_with(|incident| incident::report_of(runtime, incident));
    }

    fn report_with(self, report: impl FnOnce(&Incident<'_>)) {
        let Some((payload, task)) = self.into_parts() else { return };
        let incident = match &task {
            Some(task) => Incident::TaskPanicked { task, payload: &*payload },
            None => Incident::Panicked { what: "blocking work", payload: &*payload },
        };
        report(&incident);
        forget_payload(payload);
    }

    fn into_parts(self) -> Option<(Box<dyn Any + Send>, Option<TaskInfo>)> {
        match self.0 {
            Why::Cancelled | Why::Refused(_) => None,
            Why::Panic(panic) => {
                let Panic { payload, task } = *panic;
                Some((payload.into_inner().unwrap_or_else(PoisonError::into_inner), task))
            }
        }
    }
}

/// Reports a panic that nobody will hear of otherwise to the runtime of this thread. Other errors are dropped.
pub fn report_unseen(error: JoinError) {
    error.report_with(incident::report);
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Cancelled => f.write_str("the task was cancelled"),
            Why::Panic(panic) => {
                let payload = panic.payload.lock().unwrap_or_else(PoisonError::into_inner);
                write!(f, "the task panicked: {}", incident::text(&**payload))
            }
            Why::Refused(error) => write!(f, "no thread can be started for blocking work: {error}"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Why::Refused(error) => Some(error),
            Why::Cancelled | Why::Panic(_) => None,
        }
    }
}

/// For `?` where errors are `io::Error`: of the kind that the system gave if a thread was refused, else `Other`.
impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let kind = if let Why::Refused(error) = &error.0 { error.kind() } else { io::ErrorKind::Other };
        Self::new(kind, error)
    }
}
