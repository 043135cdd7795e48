//! Operations that have been asked to end, and who waits until they have.
//!
//! Each operation that is asked to end belongs to an epoch, and each wait begins a new one: it is over when nothing is
//! left of the epochs before. So neither costs more than a count, however many operations there are.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use crate::contain::{drop_contained, wake_contained};

/// A wait: the last epoch that is waited for, and the number of the wait.
pub(crate) type Wait = (u64, u64);

/// The ending operations of one runtime.
#[derive(Default)]
pub(crate) struct Quiesce {
    epochs: RefCell<Epochs>,
    waits: RefCell<BTreeMap<Wait, Waker>>,
    /// Counts the waits.
    numbers: Cell<u64>,
    /// The epoch of the ending operation whose completion is being handed out. What that causes to end belongs to it,
    /// too.
    heir_of: Cell<Option<u64>>,
}

struct Epochs {
    first: u64,
    /// How many operations each epoch still has, from `first` to the present one. The first has some unless it is the
    /// only one.
    left: VecDeque<usize>,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { first: 0, left: VecDeque::from([0]) }
    }
}

impl Quiesce {
    /// An operation has been asked to end. Returns its epoch, for [`Quiesce::hand_out`].
    pub(crate) fn begin(&self) -> u64 {
        let epochs = &mut *self.epochs.borrow_mut();
        let epoch = self.heir_of.get().unwrap_or(epochs.present());
        epochs.left[(epoch - epochs.first) as usize] += 1;
        epoch
    }

    /// Hands out a completion of an operation that was asked to end in `epoch`.
    pub(crate) fn hand_out(&self, epoch: u64, is_last: bool, hand_out: impl FnOnce()) {
        let handing_out =
            HandingOut { quiesce: self, before: self.heir_of.replace(Some(epoch)), epoch, is_last };
        hand_out();
        drop(handing_out);
        while let Some(waker) = self.pop_waiter() {
            wake_contained(waker);
        }
    }

    /// Leaves the waker of a wait, unless it is over: then it gives the waker back.
    pub(crate) fn wait(&self, wait: Wait, waker: Waker) -> Result<(), Waker> {
        if self.is_over(wait.0) {
            return Err(waker);
        }
        let replaced = self.waits.borrow_mut().insert(wait, waker);
        drop_contained(replaced);
        Ok(())
    }

    /// Nobody waits any more.
    pub(crate) fn give_up(&self, wait: Wait) {
        let waker = self.waits.borrow_mut().remove(&wait);
        drop_contained(waker);
    }

    /// What to wait for, if anything is ending.
    pub(crate) fn snapshot(&self) -> Option<Wait> {
        let last = self.epochs.borrow_mut().conclude()?;
        self.numbers.set(self.numbers.get() + 1);
        Some((last, self.numbers.get()))
    }

    /// Whether nothing is left of this epoch and those before.
    fn is_over(&self, epoch: u64) -> bool {
        epoch < self.epochs.borrow().first
    }

    fn pop_waiter(&self) -> Option<Waker> {
        let mut waits = self.waits.borrow_mut();
        let first = waits.first_entry()?;
        self.is_over(first.key().0).then(|| first.remove())
    }
}

/// The end of a hand-out, however it ends.
struct HandingOut<'a> {
    quiesce: &'a Quiesce,
    before: Option<u64>,
    epoch: u64,
    is_last: bool,
}

impl Drop for HandingOut<'_> {
    fn drop(&mut self) {
        self.quiesce.heir_of.set(self.before);
        if self.is_last {
            self.quiesce.epochs.borrow_mut().end(self.epoch);
        }
    }
}

impl Epochs {
    fn present(&self) -> u64 {
        self.first + self.left.len() as u64 - 1
    }

    /// Begins a new epoch, unless the present one has nothing yet. Returns the last one that has.
    fn conclude(&mut self) -> Option<u64> {
        let present = self.present();
        match self.left.back() {
            Some(0) if self.left.len() == 1 => None,
            Some(0) => Some(present - 1),
            _ => {
                self.left.push_back(0);
                Some(present)
            }
        }
    }

    fn end(&mut self, epoch: u64) {
        self.left[(epoch - self.first) as usize] -= 1;
        while self.left.len() > 1 && self.left[0] == 0 {
            self.left.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_over_when_all_epochs_up_to_its_own_are() {
        let quiesce = Quiesce::default();
        assert_eq!(quiesce.snapshot(), None);
        let a = quiesce.begin();
        let (first, number) = quiesce.snapshot().unwrap();
        assert_eq!((first, number), (a, 1));
        // Nothing has begun since: the same epoch again.
        assert_eq!(quiesce.snapshot(), Some((a, 2)));
        let b = quiesce.begin();
        let (second, _) = quiesce.snapshot().unwrap();
        assert_eq!(second, b);
        let c = quiesce.begin();
        quiesce.hand_out(b, true, || ());
        assert!(!quiesce.is_over(first) && !quiesce.is_over(second));
        // What the end of `a` brings about belongs to it.
        let mut heir = None;
        quiesce.hand_out(a, false, || heir = Some(quiesce.begin()));
        quiesce.hand_out(a, true, || ());
        assert_eq!(heir, Some(a));
        assert!(!quiesce.is_over(first) && !quiesce.is_over(second));
        quiesce.hand_out(a, true, || ());
        assert!(quiesce.is_over(first) && quiesce.is_over(second) && !quiesce.is_over(c));
        quiesce.hand_out(c, true, || ());
        assert_eq!(quiesce.snapshot(), None);
    }
}
