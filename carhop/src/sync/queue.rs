//! Queues between tasks: [`Queue`], [`PriorityQueue`] and [`LifoQueue`], as in `asyncio`.

mod order;

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::panic::resume_unwind;

use runtime_core::contain::contain;

use order::Order;
pub use order::{Fifo, Lifo, SmallestFirst};

pub use super::error::{GetError, PutError, TryGetError, TryPutError};
use super::waiters::Waiters;

/// A queue that gives out its items first in, first out: `asyncio.Queue`.
///
/// ```
/// use carhop::sync::Queue;
/// use std::rc::Rc;
///
/// carhop::run(async {
///     let orders = Rc::new(Queue::new(2));
///     let kitchen = Rc::clone(&orders);
///     let cook = carhop::spawn(async move {
///         let mut cooked = Vec::new();
///         while let Ok(order) = kitchen.get().await {
///             cooked.push(order);
///             kitchen.task_done();
///         }
///         cooked
///     });
///     for order in ["burger", "fries", "shake"] {
///         orders.put(order).await.unwrap();
///     }
///     orders.join().await;
///     orders.shutdown();
///     assert_eq!(cook.await.unwrap(), ["burger", "fries", "shake"]);
/// });
/// ```
pub type Queue<T> = OrderedQueue<Fifo<T>>;

/// A queue that gives out the smallest item first: `asyncio.PriorityQueue`. The order among equal items is not
/// specified; today it is that of Python's `heapq`.
///
/// If the items' `Ord` panics, the panic comes out of the `put` or `get` that compared them. No item is lost by that,
/// but from then on they may come in another order. An `Ord` that uses the queue itself panics.
///
/// ```
/// use carhop::sync::PriorityQueue;
///
/// carhop::run(async {
///     let queue = PriorityQueue::unbounded();
///     for item in [(2, "fries"), (3, "shake"), (1, "burger")] {
///         queue.put(item).await.unwrap();
///     }
///     assert_eq!(queue.get().await, Ok((1, "burger")));
///     assert_eq!(queue.get().await, Ok((2, "fries")));
/// });
/// ```
pub type PriorityQueue<T> = OrderedQueue<SmallestFirst<T>>;

/// A queue that gives out its items last in, first out: `asyncio.LifoQueue`.
///
/// ```
/// use carhop::sync::LifoQueue;
///
/// carhop::run(async {
///     let plates = LifoQueue::new(2);
///     plates.put("lower").await.unwrap();
///     plates.put("upper").await.unwrap();
///     assert_eq!(plates.get().await, Ok("upper"));
/// });
/// ```
pub type LifoQueue<T> = OrderedQueue<Lifo<T>>;

/// What [`Queue`], [`PriorityQueue`] and [`LifoQueue`] have in common. Any number of tasks put and get, through
/// references or an [`Rc`](std::rc::Rc).
///
/// Tasks that wait are woken in the order in which they came, one for each item or free place. As in `asyncio`, the
/// item or place does not belong to the task until that runs: another task that runs before may take it, and the woken
/// one then waits again, behind the others. So programs run in the same order as in Python. [`mpsc`](super::mpsc) hands
/// over instead.
pub struct OrderedQueue<O> {
    items: RefCell<O>,
    capacity: Option<usize>,
    getters: Waiters,
    putters: Waiters,
    /// How many items were put and not reported as done.
    unfinished: Cell<usize>,
    joiners: Waiters,
    shut_down: Cell<bool>,
}

impl<O: Order> OrderedQueue<O> {
    /// A queue with room for `capacity` items.
    ///
    /// # Panics
    ///
    /// If `capacity` is 0, which in `asyncio` means without bound: that is [`unbounded`](Self::unbounded).
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a queue needs room for one item at least; without bound: `unbounded()`");
        Self::with(Some(capacity))
    }

    /// A queue that is never full.
    pub fn unbounded() -> Self {
        Self::with(None)
    }

    fn with(capacity: Option<usize>) -> Self {
        Self {
            items: RefCell::default(),
            capacity,
            getters: Waiters::new(),
            putters: Waiters::new(),
            unfinished: Cell::new(0),
            joiners: Waiters::new(),
            shut_down: Cell::new(false),
        }
    }

    /// Puts `item` into the queue, and waits for room if there is none.
    ///
    /// If the future is dropped before it is done, the item is dropped with it, and the queue is unchanged.
    ///
    /// # Errors
    ///
    /// [`PutError`], with the item, if the queue is shut down, even while this waits.
    pub async fn put(&self, item: O::Item) -> Result<(), PutError<O::Item>> {
        let mut refused = self.try_put(item);
        loop {
            match refused {
                Ok(()) => return Ok(()),
                Err(TryPutError::ShutDown(item)) => return Err(PutError(item)),
                Err(TryPutError::Full(item)) => {
                    let ready = || (!self.is_full() || self.is_shut_down()).then_some(());
                    self.putters.wait("Queue::put", (), ready, |()| self.pass_on_place()).await;
                    refused = self.try_put(item);
                }
            }
        }
    }

    /// Puts `item` into the queue if there is room: `put_nowait`.
    ///
    /// # Errors
    ///
    /// [`TryPutError`], with the item, if the queue is full or shut down.
    pub fn try_put(&self, item: O::Item) -> Result<(), TryPutError<O::Item>> {
        if self.shut_down.get() {
            return Err(TryPutError::ShutDown(item));
        }
        let mut items = self.items();
        if self.capacity.is_some_and(|capacity| items.len() >= capacity) {
            return Err(TryPutError::Full(item));
        }
        self.unfinished.set(self.unfinished.get() + 1);
        // If an `Ord` panics, the item is in the queue nevertheless.
        let outcome = contain(|| items.push(item));
        drop(items);
        wake_next(&self.getters);
        outcome.or_else(|panic| resume_unwind(panic))
    }

    /// Takes the next item, and waits for one if there is none.
    ///
    /// A future that is dropped loses no item.
    ///
    /// # Errors
    ///
    /// [`GetError`] if the queue is shut down and there is no item left.
    pub async fn get(&self) -> Result<O::Item, GetError> {
        loop {
            match self.try_get() {
                Ok(item) => return Ok(item),
                Err(TryGetError::ShutDown) => return Err(GetError),
                Err(TryGetError::Empty) => {
                    let ready = || (!self.is_empty() || self.is_shut_down()).then_some(());
                    self.getters.wait("Queue::get", (), ready, |()| self.pass_on_item()).await;
                }
            }
        }
    }

    /// Takes the next item if there is one: `get_nowait`.
    ///
    /// # Errors
    ///
    /// [`TryGetError`] if the queue is empty, and whether it is shut down too.
    pub fn try_get(&self) -> Result<O::Item, TryGetError> {
        let mut items = self.items();
        let outcome = contain(|| items.pop());
        drop(items);
        match outcome {
            Ok(Some(item)) => {
                wake_next(&self.putters);
                Ok(item)
            }
            Ok(None) if self.shut_down.get() => Err(TryGetError::ShutDown),
            Ok(None) => Err(TryGetError::Empty),
            Err(panic) => {
                // An `Ord` panicked. The item is still there, for another getter.
                self.pass_on_item();
                resume_unwind(panic)
            }
        }
    }

    /// Reports that the work on an item that came out of the queue is done, for [`join`](Self::join).
    ///
    /// # Panics
    ///
    /// If it is called more often than items were put.
    #[track_caller]
    pub fn task_done(&self) {
        let unfinished = self.unfinished.get().checked_sub(1);
        self.finish(
            unfinished.expect("task_done() was called more often than items were put into the queue"),
        );
    }

    /// Waits until [`task_done`](Self::task_done) was called for every item that was put.
    ///
    /// Returns at once if that is so already, or if no item was ever put. Dropping the future changes nothing.
    pub async fn join(&self) {
        if self.unfinished.get() > 0 {
            let ready = || (self.unfinished.get() == 0).then_some(());
            self.joiners.wait("Queue::join", (), ready, |()| {}).await;
        }
    }

    /// Shuts the queue down: puts fail from now on, also those that wait. Gets return what is left, and then fail.
    pub fn shutdown(&self) {
        self.shut_down.set(true);
        self.getters.grant_all(());
        self.putters.grant_all(());
    }

    /// As [`shutdown`](Self::shutdown), but takes out the items that are left, in order: `shutdown(immediate=True)`.
    /// They count as done.
    pub fn shutdown_now(&self) -> Vec<O::Item> {
        self.shut_down.set(true);
        let mut items = std::mem::take(&mut *self.items());
        self.finish(self.unfinished.get().saturating_sub(items.len()));
        self.shutdown();
        std::iter::from_fn(|| items.pop()).collect()
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    pub fn is_shut_down(&self) -> bool {
        self.shut_down.get()
    }

    /// How many items are in the queue: `qsize`.
    pub fn len(&self) -> usize {
        self.items().len()
    }

    /// Whether there is no item in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. An unbounded queue is never full.
    pub fn is_full(&self) -> bool {
        self.capacity.is_some_and(|capacity| self.len() >= capacity)
    }

    /// How many items there is room for in all: `maxsize`. `None` if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        self.capacity
    }

    /// Borrow them while items are moved and compared, and never while one is dropped.
    #[track_caller]
    fn items(&self) -> RefMut<'_, O> {
        let Ok(items) = self.items.try_borrow_mut() else {
            panic!("the `Ord` of an item must not use the queue that it is in");
        };
        items
    }

    fn finish(&self, unfinished: usize) {
        self.unfinished.set(unfinished);
        if unfinished == 0 {
            self.joiners.grant_all(());
        }
    }

    /// A task was woken for an item and does not take it.
    fn pass_on_item(&self) {
        if !self.is_empty() {
            wake_next(&self.getters);
        }
    }

    /// A task was woken for a free place and does not use it.
    fn pass_on_place(&self) {
        if !self.is_full() {
            wake_next(&self.putters);
        }
    }
}

/// Wakes the first task, if one waits.
fn wake_next(waiters: &Waiters) {
    let _ = waiters.grant(());
}

impl<O: Order> fmt::Debug for OrderedQueue<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("unfinished", &self.unfinished.get())
            .field("shut_down", &self.is_shut_down())
            .finish_non_exhaustive()
    }
}
