//! What goes wrong where nobody waits to be told.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::contain::{contain, forget_payload};
use crate::context;
use crate::registry::RuntimeId;
use crate::task::TaskInfo;

/// Something that went wrong, and that no return value tells.
#[non_exhaustive]
pub enum Incident<'a> {
    /// A task has panicked, and there is no handle through which anybody could hear of it. Told once for each task,
    /// when the second of the two has happened.
    TaskPanicked {
        /// The task, as it was when it ended.
        task: &'a TaskInfo,
        /// What it panicked with.
        payload: &'a (dyn Any + Send),
    },
    /// Users' code has panicked outside of a poll: a drop, a waker, a policy.
    Panicked {
        /// Which code.
        what: &'static str,
        /// What it panicked with.
        payload: &'a (dyn Any + Send),
    },
    /// One poll of a task has taken longer than the limit: no other task ran meanwhile.
    SlowPoll {
        /// The task, as it was after that poll.
        task: &'a TaskInfo,
        /// How long it took.
        took: Duration,
    },
}

impl fmt::Display for Incident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incident::TaskPanicked { task, payload } => {
                write!(f, "task {} panicked, and nobody has its handle: {}", task.title(), text(*payload))
            }
            Incident::Panicked { what, payload } => write!(f, "{what} panicked: {}", text(*payload)),
            Incident::SlowPoll { task, took } => {
                write!(f, "task {} ran for {took:.1?} without awaiting anything", task.title())?;
                if task.name.is_some() {
                    write!(f, " (spawned at {}:{})", task.location.file(), task.location.line())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Incident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incident({self})")
    }
}

/// The text of a panic.
pub(crate) fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

thread_local! {
    /// A hook is being called.
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// What a runtime calls with each incident.
pub type Hook = Arc<dyn Fn(&Incident<'_>) + Send + Sync>;

/// Reports an incident to the runtime of this thread. Without a hook, or without a runtime, it is a line on stderr.
///
/// Called with nothing borrowed: the hook is users' code. What it brings about itself is a line on stderr, too: else
/// it might be called within itself without end.
pub(crate) fn report(incident: &Incident<'_>) {
    report_to(context::try_with(|core| core.on_incident.clone()).flatten(), incident);
}

/// Reports an incident of a task to its runtime, if that lives on this thread: its handle may be dropped anywhere.
pub(crate) fn report_of(runtime: RuntimeId, incident: &Incident<'_>) {
    match context::of_this_thread_by_id(runtime) {
        Some(core) => report_to(core.on_incident.clone(), incident),
        None => report(incident),
    }
}

fn report_to(hook: Option<Hook>, incident: &Incident<'_>) {
    let within_hook = IN_HOOK.replace(true);
    let told = contain(|| match &hook {
        Some(hook) if !within_hook => hook(incident),
        _ => eprintln!("carhop: {incident}"),
    });
    IN_HOOK.set(within_hook);
    if let Err(payload) = told {
        // A hook that panics has had its report on stderr by the panic hook.
        forget_payload(payload);
    }
}
