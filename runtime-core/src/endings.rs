//! Operations that have been asked to end, and who waits until they have.
//!
//! Each operation that is asked to end belongs to an epoch, and each wait begins a new one: it is over when nothing is
//! left of the epochs before. So neither costs more than a count, however many operations there are.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::contain::{drop_contained, wake_contained};
use crate::context;
use crate::core::Core;
use crate::task::{Awaits, note};

/// Waits until every operation that has been asked to end before the first poll has ended: those that were cancelled,
/// and closes of descriptors, also of connections that came with the last completions of a cancelled accept. What is
/// asked to end later does not delay it. Dropping the future changes nothing.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub fn operations_ended() -> OperationsEnded {
    OperationsEnded { wait: None }
}

/// See [`operations_ended`].
#[must_use]
pub struct OperationsEnded {
    /// From the first poll on.
    wait: Option<(Rc<Core>, Key)>,
}

/// The last epoch that is waited for, and the number of the wait.
type Key = (u64, u64);

impl Future for OperationsEnded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Cloned before anything is looked at: it may be a user's own.
        let waker = cx.waker().clone();
        if self.wait.is_none() {
            let core = context::with("waiting for operations to end", Rc::clone);
            let Some(key) = core.operations.endings.snapshot() else {
                drop_contained(waker);
                return Poll::Ready(());
            };
            self.wait = Some((core, key));
        }
        let Some((core, key)) = &self.wait else { unreachable!("it was set above") };
        let endings = &core.operations.endings;
        if endings.is_over(key.0) {
            drop_contained(waker);
            return Poll::Ready(());
        }
        let replaced = endings.waits.borrow_mut().insert(*key, waker);
        drop_contained(replaced);
        note(Awaits::Named("the end of operations"));
        Poll::Pending
    }
}

impl Drop for OperationsEnded {
    fn drop(&mut self) {
        if let Some((core, key)) = self.wait.take() {
            let waker = core.operations.endings.waits.borrow_mut().remove(&key);
            drop_contained(waker);
        }
    }
}

/// The ending operations of one runtime.
#[derive(Default)]
pub(crate) struct Endings {
    epochs: RefCell<Epochs>,
    waits: RefCell<BTreeMap<Key, Waker>>,
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

impl Endings {
    /// An operation has been asked to end. Returns its epoch, for [`Endings::hand_out`].
    pub(crate) fn begin(&self) -> u64 {
        let epochs = &mut *self.epochs.borrow_mut();
        let epoch = self.heir_of.get().unwrap_or(epochs.present());
        epochs.left[(epoch - epochs.first) as usize] += 1;
        epoch
    }

    /// Hands out a completion of an operation that was asked to end in `epoch`.
    pub(crate) fn hand_out(&self, epoch: u64, is_last: bool, hand_out: impl FnOnce()) {
        let before = self.heir_of.replace(Some(epoch));
        hand_out();
        self.heir_of.set(before);
        if is_last {
            self.epochs.borrow_mut().end(epoch);
        }
        while let Some(waker) = self.pop_waiter() {
            wake_contained(waker);
        }
    }

    /// What to wait for, if anything is ending.
    fn snapshot(&self) -> Option<Key> {
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
        let endings = Endings::default();
        assert_eq!(endings.snapshot(), None);
        let a = endings.begin();
        let (first, number) = endings.snapshot().unwrap();
        assert_eq!((first, number), (a, 1));
        // Nothing has begun since: the same epoch again.
        assert_eq!(endings.snapshot(), Some((a, 2)));
        let b = endings.begin();
        let (second, _) = endings.snapshot().unwrap();
        assert_eq!(second, b);
        let c = endings.begin();
        endings.hand_out(b, true, || ());
        assert!(!endings.is_over(first) && !endings.is_over(second));
        // What the end of `a` brings about belongs to it.
        let mut heir = None;
        endings.hand_out(a, false, || heir = Some(endings.begin()));
        endings.hand_out(a, true, || ());
        assert_eq!(heir, Some(a));
        assert!(!endings.is_over(first) && !endings.is_over(second));
        endings.hand_out(a, true, || ());
        assert!(endings.is_over(first) && endings.is_over(second) && !endings.is_over(c));
        endings.hand_out(c, true, || ());
        assert_eq!(endings.snapshot(), None);
    }
}
