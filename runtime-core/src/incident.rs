//! What goes wrong where nobody waits to be told.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::remote::registry::Serial;
use crate::task::info::TaskInfo;
use crate::unwind::{contain, forget_payload};

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

/// What a runtime calls with each incident.
pub type Hook = Arc<dyn Fn(&Incident<'_>) + Send + Sync>;

thread_local! {
    /// A hook is being called.
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
    /// The runtime that runs on this thread.
    static RUNNING: Cell<Option<Serial>> = const { Cell::new(None) };
    /// The hooks of the runtimes of this thread, running or not, that are not being dropped.
    static HOOKS: RefCell<Vec<(Serial, Option<Hook>)>> = const { RefCell::new(Vec::new()) };
}

/// Remembers the hook of a runtime of this thread, until [`remove_hook`].
pub(crate) fn add_hook(runtime: Serial, hook: Option<Hook>) {
    let _ = HOOKS.try_with(|hooks| hooks.borrow_mut().push((runtime, hook)));
}

/// Forgets the hook of a runtime that is gone.
pub(crate) fn remove_hook(runtime: Serial) {
    let removed = HOOKS.try_with(|hooks| {
        let mut hooks = hooks.borrow_mut();
        let place = hooks.iter().position(|(serial, _)| *serial == runtime)?;
        Some(hooks.swap_remove(place))
    });
    // A user's value: dropped with nothing borrowed, whatever that does.
    if let Err(payload) = contain(|| drop(removed)) {
        forget_payload(payload);
    }
}

/// Says which runtime runs on this thread. Returns which one did before.
pub(crate) fn set_running(runtime: Option<Serial>) -> Option<Serial> {
    RUNNING.replace(runtime)
}

/// Reports an incident to the runtime that runs on this thread. Without a hook, or without a runtime, it is a line on
/// stderr.
///
/// Called with nothing borrowed: the hook is users' code. What it brings about itself is a line on stderr, too: else
/// it might be called within itself without end.
pub(crate) fn report(incident: &Incident<'_>) {
    report_to(RUNNING.get().and_then(hook_of).flatten(), incident);
}

/// Reports an incident of a task to its runtime, if that lives on this thread: its handle may be dropped anywhere.
pub(crate) fn report_of(runtime: Serial, incident: &Incident<'_>) {
    match hook_of(runtime) {
        Some(hook) => report_to(hook, incident),
        None => report(incident),
    }
}

fn hook_of(runtime: Serial) -> Option<Option<Hook>> {
    let find = |hooks: &RefCell<Vec<(Serial, Option<Hook>)>>| {
        hooks.borrow().iter().find(|(serial, _)| *serial == runtime).map(|(_, hook)| hook.clone())
    };
    HOOKS.try_with(find).ok().flatten()
}

fn report_to(hook: Option<Hook>, incident: &Incident<'_>) {
    let within_hook = IN_HOOK.replace(true);
    // This may be its last owner, so it is dropped in there, too.
    let told = contain(|| match hook {
        Some(hook) if !within_hook => hook(incident),
        _ => say(format_args!("{incident}")),
    });
    IN_HOOK.set(within_hook);
    if let Err(payload) = told {
        // A hook that panics has had its report on stderr by the panic hook.
        forget_payload(payload);
    }
}

/// A line on stderr. If it cannot be written, nobody can be told: that is no reason to panic.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "carhop: {line}");
}
