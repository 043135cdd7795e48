//! How many senders or receivers a channel has.

use std::cell::Cell;

/// Counts the ends of one kind.
pub(super) struct Ends(Cell<usize>);

impl Ends {
    pub(super) const fn new(count: usize) -> Self {
        Self(Cell::new(count))
    }

    pub(super) fn count(&self) -> usize {
        self.0.get()
    }

    pub(super) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// Returns whether it was the last.
    pub(super) fn remove(&self) -> bool {
        self.0.set(self.0.get() - 1);
        self.0.get() == 0
    }
}
