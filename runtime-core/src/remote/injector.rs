//! Closures that other threads want to be called on the loop.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::Process;

use super::wakes::Wakes;

/// A closure that is to be called on the loop's thread.
pub(crate) struct Posted {
    pub(crate) call: Box<dyn FnOnce() + Send>,
    /// Where in the program it was posted.
    pub(crate) site: &'static Location<'static>,
}

/// What was posted to a loop and is not called yet, in order. The first one after a while marks [`INJECTOR_SLOT`] among
/// the remote wakes, as a wake marks the slot of a task. There is no order between the two: a task that a thread wakes
/// after it has posted may run first.
pub(crate) struct Injector {
    wakes: Arc<Wakes>,
    /// Nobody reads the copy that a forked child has.
    process: Process,
    /// `None` once the runtime is being dropped.
    queue: Mutex<Option<VecDeque<Posted>>>,
}

/// The slot that stands for the injector: no task ever has it.
pub(crate) const INJECTOR_SLOT: u32 = 1;

impl Injector {
    pub(crate) fn new(wakes: Arc<Wakes>) -> Self {
        Self { wakes, process: Process::current(), queue: Mutex::new(Some(VecDeque::new())) }
    }

    /// Adds a closure, from any thread.
    ///
    /// # Errors
    ///
    /// The closure, if the runtime is gone, or in another process.
    pub(crate) fn post(&self, posted: Posted) -> Result<(), Posted> {
        if !self.is_of_this_process() {
            return Err(posted);
        }
        let was_empty = match &mut *self.lock() {
            None => return Err(posted),
            Some(queue) => {
                queue.push_back(posted);
                queue.len() == 1
            }
        };
        if was_empty {
            self.wakes.wake(INJECTOR_SLOT);
        }
        Ok(())
    }

    /// All that was posted.
    pub(crate) fn take(&self) -> VecDeque<Posted> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more, and returns what nobody has called.
    pub(crate) fn close(&self) -> VecDeque<Posted> {
        self.lock().take().unwrap_or_default()
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.is_of_this_process() || self.lock().is_none()
    }

    fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// Only ever held to move a closure.
    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Posted>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
