//! How other threads end the wait of the simulation's own: the one thing here that takes real time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use runtime_core::reactor::Unpark;

/// Counts what other threads have done that the simulation should look at.
#[derive(Default)]
pub(crate) struct Signal {
    stirs: Mutex<u64>,
    stirred: Condvar,
}

impl Signal {
    /// There is something to look at.
    pub(crate) fn stir(&self) {
        *self.stirs.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.stirred.notify_one();
    }

    /// Waits until the count is not `seen` any more, or until `patience` is over, and says what it is.
    pub(crate) fn wait(&self, seen: u64, patience: Duration) -> u64 {
        let stirs = self.stirs.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.stirred.wait_timeout_while(stirs, patience, |stirs| *stirs == seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Ends the wait of one node.
pub(crate) struct Unparker {
    unparked: AtomicBool,
    signal: Arc<Signal>,
}

impl Unparker {
    pub(crate) fn new(signal: Arc<Signal>) -> Self {
        Self { unparked: AtomicBool::new(false), signal }
    }

    /// Whether the node was unparked since it was last asked.
    pub(crate) fn take(&self) -> bool {
        self.unparked.swap(false, Ordering::AcqRel)
    }
}

impl Unpark for Unparker {
    fn unpark(&self) {
        // Whoever set it before has counted it, or is about to.
        if !self.unparked.swap(true, Ordering::AcqRel) {
            self.signal.stir();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_stir_ends_a_wait_whenever_it_comes() {
        let signal = Arc::new(Signal::default());
        signal.stir();
        assert_eq!(signal.wait(0, Duration::MAX), 1);
        let other = thread::spawn({
            let signal = Arc::clone(&signal);
            move || signal.stir()
        });
        assert_eq!(signal.wait(1, Duration::MAX), 2);
        other.join().unwrap();
    }

    #[test]
    fn patience_ends() {
        assert_eq!(Signal::default().wait(0, Duration::from_millis(1)), 0);
    }

    #[test]
    fn many_unparks_are_one() {
        let signal = Arc::new(Signal::default());
        let unparker = Unparker::new(Arc::clone(&signal));
        (0..10).for_each(|_| unparker.unpark());
        assert_eq!(signal.wait(0, Duration::ZERO), 1);
        assert_eq!((unparker.take(), unparker.take()), (true, false));
    }
}
