//! Work from other threads.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::inbox::Inbox;
use crate::process::Process;

/// What is to be called on the loop's thread.
pub(crate) struct Letter {
    pub(crate) call: Box<dyn FnOnce() + Send>,
    /// Where in the program it was posted.
    pub(crate) site: &'static Location<'static>,
}

/// Letters to a loop. The first one after a while marks [`MAIL_SLOT`] in the inbox, as a wake marks the slot of a task;
/// so letters and wakes of one thread arrive in their order.
pub(crate) struct Mailbox {
    inbox: Arc<Inbox>,
    /// Nobody reads the copy that a forked child has.
    process: Process,
    /// `None` once the runtime is being dropped.
    letters: Mutex<Option<VecDeque<Letter>>>,
}

/// The slot that stands for the mailbox: no task ever has it.
pub(crate) const MAIL_SLOT: u32 = 1;

impl Mailbox {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox, process: Process::current(), letters: Mutex::new(Some(VecDeque::new())) }
    }

    /// Adds a letter, from any thread.
    ///
    /// # Errors
    ///
    /// The letter, if the runtime is gone, or in another process.
    pub(crate) fn post(&self, letter: Letter) -> Result<(), Letter> {
        if !self.is_of_this_process() {
            return Err(letter);
        }
        let was_empty = match &mut *self.lock() {
            None => return Err(letter),
            Some(letters) => {
                letters.push_back(letter);
                letters.len() == 1
            }
        };
        if was_empty {
            self.inbox.wake(MAIL_SLOT);
        }
        Ok(())
    }

    /// All letters that have come.
    pub(crate) fn take(&self) -> VecDeque<Letter> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes no more letters, and returns those that nobody has read.
    pub(crate) fn close(&self) -> VecDeque<Letter> {
        self.lock().take().unwrap_or_default()
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.is_of_this_process() || self.lock().is_none()
    }

    fn is_of_this_process(&self) -> bool {
        self.process.is_current()
    }

    /// Only ever held to move a letter.
    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<Letter>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
