//! A runtime as other threads see it.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use crate::context;
use crate::core::Core;
use crate::remote::injector::{Injector, Posted};
use crate::task::{JoinError, report_unseen};

/// Hands work to a runtime, from any thread. Any number of them may exist, and none keeps the runtime alive.
#[derive(Clone)]
pub struct Handle {
    injector: Arc<Injector>,
}

impl Handle {
    /// Of the runtime that runs on this thread, if one does.
    pub fn try_current() -> Option<Self> {
        context::try_with(|core| Self::of(core))
    }

    /// Of the runtime that runs on this thread.
    ///
    /// # Panics
    ///
    /// If none is running.
    #[track_caller]
    pub fn current() -> Self {
        context::with("a handle", |core| Self::of(core))
    }

    pub(crate) fn of(core: &Core) -> Self {
        Self { injector: Arc::clone(core.injector()) }
    }

    /// Has the runtime call `callback`, after the tasks that are ready by then. Callbacks of one thread are called in
    /// their order. Never waits for the loop, and wakes it if it sleeps. Within the loop itself it is as if a task were
    /// spawned.
    ///
    /// # Errors
    ///
    /// [`RuntimeGone`] once the runtime is being dropped, and in a forked child. A callback that was taken before and not
    /// called by then is dropped by the thread of the runtime.
    #[track_caller]
    pub fn post(&self, callback: impl FnOnce() + Send + 'static) -> Result<(), RuntimeGone> {
        let posted = Posted { call: Box::new(callback), site: Location::caller() };
        match context::try_with(|core| self.is_of(core).then(|| Rc::clone(core))).flatten() {
            // From its own tasks it comes in their order, rather than with the next turn.
            Some(core) if !self.is_closed() => {
                core.accept(posted);
                Ok(())
            }
            _ => self.injector.post(posted).map_err(|_| RuntimeGone),
        }
    }

    /// Has the runtime report a panic that nobody will be told of otherwise. If it is gone, it is reported here. Other
    /// errors are dropped.
    pub fn report_unseen(&self, error: JoinError) {
        if error.is_panic() {
            let unseen = Unseen(Some(error));
            let _ = self.post(move || drop(unseen));
        }
    }

    fn is_of(&self, core: &Core) -> bool {
        Arc::ptr_eq(&self.injector, core.injector())
    }

    /// Whether the runtime is gone.
    pub fn is_closed(&self) -> bool {
        self.injector.is_closed()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", if self.is_closed() { "closed" } else { "open" })
    }
}

/// The error of a task whose handle is gone. Reported where it is dropped.
struct Unseen(Option<JoinError>);

impl Drop for Unseen {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(report_unseen);
    }
}

/// The runtime is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeGone;

impl fmt::Display for RuntimeGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the runtime is gone")
    }
}

impl std::error::Error for RuntimeGone {}
