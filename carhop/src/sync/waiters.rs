//! A queue of waiting futures, first in, first out. Each has a place in it until it leaves.
//!
//! ```text
//!          poll                     grant (wakes)            poll
//! (none) ───────▶ Queued (waker) ─────────────────▶ Granted ───────▶ (none)
//!                     │                                │
//!                     └── dropped ──▶ (none)           └── dropped ──▶ (none), the grant goes back
//! ```
//!
//! A grant is handed over, not raced for: no other task can take it before the waiter's next poll, so the order is that
//! of the queue. A waiter that is dropped with a grant returns it, so no wake is lost. Wakers, which may be users' own,
//! are cloned, woken and dropped with nothing borrowed.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use runtime_core::contain::{drop_contained, wake_contained};
use runtime_core::task::{Awaits, note};
use slab::Slab;

/// A queue of waiters. `W` is what each of them wants, `G` what it is granted.
#[derive(Debug)]
pub(crate) struct Waiters<W = (), G = ()> {
    queue: RefCell<Queue<W, G>>,
}

/// A doubly linked list within a slab: places are used again, so in steady state nothing is allocated.
#[derive(Debug)]
struct Queue<W, G> {
    places: Slab<Place<W, G>>,
    /// The ends of the list of those that are still queued.
    first: Option<usize>,
    last: Option<usize>,
    /// The length of the list.
    queued: usize,
    /// How many have queued up so far.
    arrivals: u64,
}

#[derive(Debug)]
struct Place<W, G> {
    want: W,
    state: State<G>,
    before: Option<usize>,
    after: Option<usize>,
    /// The number of its arrival.
    arrival: u64,
}

#[derive(Debug)]
enum State<G> {
    Queued(Waker),
    Granted(G),
}

impl<W, G> Default for Waiters<W, G> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W, G> Waiters<W, G> {
    pub(crate) const fn new() -> Self {
        let queue = Queue { places: Slab::new(), first: None, last: None, queued: 0, arrivals: 0 };
        Self { queue: RefCell::new(queue) }
    }

    /// How many are queued. Those that have been granted something do not count.
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().queued
    }

    /// Whether no waiter has a place, not even one that was granted something and has not run yet.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.borrow().places.is_empty()
    }

    /// What the first in the queue wants.
    pub(super) fn first_wants(&self) -> Option<W>
    where
        W: Copy,
    {
        let queue = self.queue.borrow();
        queue.first.map(|place| queue.places[place].want)
    }

    /// Grants something to the first in the queue and wakes it, or gives the grant back if the queue is empty.
    pub(super) fn grant(&self, grant: G) -> Result<(), G> {
        let mut queue = self.queue.borrow_mut();
        let Some(place) = queue.pop() else { return Err(grant) };
        let state = std::mem::replace(&mut queue.places[place].state, State::Granted(grant));
        drop(queue);
        if let State::Queued(waker) = state {
            wake_contained(waker);
        }
        Ok(())
    }

    /// Grants something to all that are queued now, in their order, and to none that queues up meanwhile.
    pub(crate) fn grant_all(&self, grant: G)
    where
        G: Clone,
    {
        self.grant_each(usize::MAX, || grant.clone());
    }

    /// Grants something to each of the first `count` that are queued now, in their order.
    pub(super) fn grant_each(&self, count: usize, mut grant: impl FnMut() -> G) {
        // A waker may run code that queues up, or leaves.
        let limit = self.queue.borrow().arrivals;
        for _ in 0..count {
            if self.first_arrival().is_none_or(|arrival| arrival >= limit) {
                return;
            }
            // The queue is not empty, so the grant is taken: by the next waiter, if `grant` made the first one leave.
            let _ = self.grant(grant());
        }
    }

    fn first_arrival(&self) -> Option<u64> {
        let queue = self.queue.borrow();
        queue.first.map(|place| queue.places[place].arrival)
    }

    /// Queues up with the first poll, and waits for a grant. `name` is what the list of tasks says.
    ///
    /// `ready` is asked once more before it queues up, and may take what it waits for: the caller has looked already,
    /// but cloning a waker may run users' code, which may change the answer. If the future is dropped after a grant and
    /// before the poll that returns it, `give_back` is called with the grant.
    pub(crate) fn wait<R, F>(
        &self,
        name: &'static str,
        want: W,
        ready: R,
        give_back: F,
    ) -> Wait<'_, W, G, R, F>
    where
        W: Copy,
        R: FnMut() -> Option<G>,
        F: FnMut(G),
    {
        Wait { waiters: self, name, want, place: None, ready, give_back }
    }
}

impl<W, G> Queue<W, G> {
    fn push(&mut self, want: W, waker: Waker) -> usize {
        let (before, arrival) = (self.last, self.arrivals);
        self.arrivals += 1;
        self.queued += 1;
        let state = State::Queued(waker);
        let place = self.places.insert(Place { want, state, before, after: None, arrival });
        match before {
            Some(before) => self.places[before].after = Some(place),
            None => self.first = Some(place),
        }
        self.last = Some(place);
        place
    }

    /// Takes the first waiter out of the list. It keeps its place in the slab.
    fn pop(&mut self) -> Option<usize> {
        let place = self.first?;
        self.unlink(place);
        Some(place)
    }

    fn unlink(&mut self, place: usize) {
        self.queued -= 1;
        let Place { before, after, .. } = self.places[place];
        match before {
            Some(before) => self.places[before].after = after,
            None => self.first = after,
        }
        match after {
            Some(after) => self.places[after].before = before,
            None => self.last = before,
        }
    }
}

/// See [`Waiters::wait`].
#[must_use]
pub(crate) struct Wait<'a, W: Copy, G, R, F: FnMut(G)> {
    waiters: &'a Waiters<W, G>,
    name: &'static str,
    want: W,
    /// From the first poll on, until the grant is taken.
    place: Option<usize>,
    ready: R,
    give_back: F,
}

/// Nothing is pinned.
impl<W: Copy, G, R, F: FnMut(G)> Unpin for Wait<'_, W, G, R, F> {}

impl<W: Copy, G, R: FnMut() -> Option<G>, F: FnMut(G)> Future for Wait<'_, W, G, R, F> {
    type Output = G;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G> {
        // Cloned before anything is borrowed.
        let waker = cx.waker().clone();
        let this = &mut *self;
        if this.place.is_none()
            && let Some(grant) = (this.ready)()
        {
            drop_contained(waker);
            return Poll::Ready(grant);
        }
        let mut queue = this.waiters.queue.borrow_mut();
        let unused = match this.place {
            None => {
                this.place = Some(queue.push(this.want, waker));
                None
            }
            Some(place) => match &mut queue.places[place].state {
                State::Queued(queued) => Some(std::mem::replace(queued, waker)),
                State::Granted(_) => {
                    let State::Granted(grant) = queue.places.remove(place).state else { unreachable!() };
                    this.place = None;
                    drop(queue);
                    drop_contained(waker);
                    return Poll::Ready(grant);
                }
            },
        };
        drop(queue);
        drop_contained(unused);
        note(Awaits::Named(this.name));
        Poll::Pending
    }
}

impl<W: Copy, G, R, F: FnMut(G)> Drop for Wait<'_, W, G, R, F> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut queue = self.waiters.queue.borrow_mut();
        if matches!(queue.places[place].state, State::Queued(_)) {
            queue.unlink(place);
        }
        let state = queue.places.remove(place).state;
        drop(queue);
        match state {
            State::Queued(waker) => drop_contained(waker),
            State::Granted(grant) => (self.give_back)(grant),
        }
    }
}
