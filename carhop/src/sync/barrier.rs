//! A point at which tasks wait for each other.

use std::cell::Cell;
use std::fmt;

use thiserror::Error;

use super::waiters::Waiters;

/// A point at which a number of tasks wait until all are there. asyncio's `Barrier`.
///
/// Then the barrier trips: all tasks go on, and once the last has left, it is ready for the next round. Tasks that come
/// before that wait outside.
///
/// ```
/// use carhop::sync::Barrier;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let barrier = Rc::new(Barrier::new(3));
///     let parties = [(); 3].map(|()| {
///         let barrier = Rc::clone(&barrier);
///         carhop::spawn(async move { barrier.wait().await.unwrap() })
///     });
///     let mut leaders = 0;
///     for party in parties {
///         leaders += usize::from(party.await.unwrap().is_leader());
///     }
///     assert_eq!(leaders, 1);
/// });
/// ```
pub struct Barrier {
    parties: usize,
    /// How many tasks have come in and have not left.
    count: Cell<usize>,
    state: Cell<State>,
    /// The index that the next task is granted when the barrier trips.
    next_index: Cell<usize>,
    /// Tasks inside, which are granted their index, and tasks outside, to which the number means nothing.
    waiters: Waiters<(), usize>,
}

/// ```text
///          the last one comes              the last one leaves
/// Filling ───────────────────▶ Draining ────────────────────────▶ Filling
///    └───────── reset ────────────┴──▶ Resetting ───────────────────▲
/// any ─────── abort ──────▶ Broken ──── reset ──▶ Resetting, or Filling if no task is inside
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl Barrier {
    /// A barrier for so many tasks.
    ///
    /// # Panics
    ///
    /// If `parties` is zero.
    #[track_caller]
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier needs at least one party");
        Self {
            parties,
            count: Cell::new(0),
            state: Cell::new(State::Filling),
            next_index: Cell::new(0),
            waiters: Waiters::new(),
        }
    }

    /// Waits until as many tasks wait as there are parties. The last one goes on at once, without giving way to other
    /// tasks.
    ///
    /// A future that is dropped leaves the barrier: if it had not tripped, one more task is needed again.
    ///
    /// # Errors
    ///
    /// If the barrier is broken, or is broken or reset meanwhile. As in asyncio, this also fails tasks for which it has
    /// tripped and that have not run yet.
    pub async fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        while self.is_emptying() {
            self.change(|| (!self.is_emptying()).then_some(0)).await;
        }
        if self.is_broken() {
            return Err(BrokenBarrier(()));
        }
        let inside = Inside::enter(self);
        if self.count.get() == self.parties {
            self.state.set(State::Draining);
            self.next_index.set(0);
            let others = self.parties - 1;
            self.waiters.grant_each(others, || self.take_index());
            return Ok(BarrierWaitResult { index: others });
        }
        let mut index = 0;
        while self.state.get() == State::Filling {
            index = self.change(|| self.change_of_filling()).await;
        }
        let tripped = self.state.get() == State::Draining;
        drop(inside);
        if tripped { Ok(BarrierWaitResult { index }) } else { Err(BrokenBarrier(())) }
    }

    /// Makes it as if new. All waiting tasks fail.
    pub fn reset(&self) {
        self.change_to(if self.count.get() > 0 { State::Resetting } else { State::Filling });
    }

    /// Breaks it: all waiting tasks fail, and all that come later, until it is [reset](Self::reset).
    pub fn abort(&self) {
        self.change_to(State::Broken);
    }

    /// Whether it was broken.
    pub fn is_broken(&self) -> bool {
        self.state.get() == State::Broken
    }

    /// How many tasks it takes to trip it.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many tasks wait for it to trip.
    pub fn n_waiting(&self) -> usize {
        if self.state.get() == State::Filling { self.count.get() } else { 0 }
    }

    fn change_to(&self, state: State) {
        self.state.set(state);
        self.waiters.grant_all(0);
    }

    /// Waits for a change of the state. All waiters hear of each, so a dropped one need not pass it on.
    async fn change(&self, ready: impl FnMut() -> Option<usize>) -> usize {
        self.waiters.wait("Barrier::wait", (), ready, |_| {}).await
    }

    /// What a task inside is granted once the barrier has stopped filling.
    fn change_of_filling(&self) -> Option<usize> {
        match self.state.get() {
            State::Filling => None,
            State::Draining => Some(self.take_index()),
            State::Resetting | State::Broken => Some(0),
        }
    }

    fn take_index(&self) -> usize {
        self.next_index.replace(self.next_index.get() + 1)
    }

    fn is_emptying(&self) -> bool {
        matches!(self.state.get(), State::Draining | State::Resetting)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Barrier");
        out.field("state", &self.state.get()).field("parties", &self.parties);
        out.field("n_waiting", &self.n_waiting()).finish()
    }
}

/// Counts a task among those inside until it is dropped.
struct Inside<'a>(&'a Barrier);

impl<'a> Inside<'a> {
    fn enter(barrier: &'a Barrier) -> Self {
        barrier.count.set(barrier.count.get() + 1);
        Self(barrier)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let Self(barrier) = self;
        barrier.count.set(barrier.count.get() - 1);
        if barrier.count.get() > 0 {
            return;
        }
        // The last to leave lets in the tasks outside.
        match barrier.state.get() {
            State::Draining | State::Resetting => barrier.change_to(State::Filling),
            State::Filling | State::Broken => {}
        }
    }
}

/// The result of [`Barrier::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
}

impl BarrierWaitResult {
    /// How many of the tasks that go on came before this one: what asyncio's `wait` returns. But here each number from
    /// 0 on is given once, even if a task had come and left.
    pub fn index(&self) -> usize {
        self.index
    }

    /// True for one of the tasks that go on: the one that came first.
    pub fn is_leader(&self) -> bool {
        self.index == 0
    }
}

/// The error of [`Barrier::wait`]: the barrier was broken or reset. asyncio's `BrokenBarrierError`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the barrier was broken or reset")]
pub struct BrokenBarrier(());
