//! What tasks of one runtime share.
//!
//! | asyncio | here | |
//! |---|---|---|
//! | `Event` | [`Event`] | a flag that tasks wait for |
//! | `Lock` | [`Mutex`] | a value that one task uses at a time |
//! | `Semaphore`, `BoundedSemaphore` | [`Semaphore`] | a number of permits |
//! | `Condition` | [`Condvar`] | a change of the value in a mutex |
//! | `Barrier` | [`Barrier`] | a point where tasks wait for each other |
//! | `Queue`, `PriorityQueue`, `LifoQueue` | [`Queue`], [`PriorityQueue`], [`LifoQueue`] | many to many, in the order of asyncio |
//! | | [`mpsc`] | many to one, bounded or not; strictly fair, and the fastest |
//! | `Future` | [`oneshot`] | one value, promised and awaited |
//! | | [`broadcast`] | each receiver gets each value |
//! | | [`watch`] | the latest value, and its changes |
//!
//! All are for the tasks of one thread, which share them with `Rc`; none is `Sync`. They work without a carhop runtime:
//! any waker will do. In steady state they allocate nothing.
//!
//! They are fair: tasks are served in the order in which they come. Locks and [`mpsc`] hand over what they grant: no
//! other task can take it before the woken one has run. (Queues only wake, as asyncio's do, and the woken task looks
//! again.)
//!
//! Any future can be dropped at any time: what it was granted goes to the next one. (A task that is aborted drops its
//! futures when it runs, and keeps its place until then; one that asyncio cancels loses it at once.)
//!
//! # Between threads
//!
//! Nothing here crosses threads: it would cost each use an atomic operation, or more. Between loops on different
//! threads, take the channels of the crate [`async-channel`](https://docs.rs/async-channel), bounded or not, with any
//! number of senders and receivers. They work on any runtime, and carhop's tests try them between two loops, on all
//! pairs of backends. For one value there is the `oneshot` of `futures-channel`.
//!
//! ```
//! let (orders, kitchen) = async_channel::bounded(8);
//! let cook = std::thread::spawn(|| {
//!     carhop::run(async move {
//!         let mut cooked = Vec::new();
//!         while let Ok(order) = kitchen.recv().await {
//!             cooked.push(order);
//!         }
//!         cooked
//!     })
//! });
//! carhop::run(async move {
//!     orders.send("burger").await.unwrap();
//!     orders.send("fries").await.unwrap();
//! });
//! assert_eq!(cook.join().unwrap(), ["burger", "fries"]);
//! ```

mod barrier;
pub mod broadcast;
mod condvar;
mod ends;
mod error;
mod event;
pub mod mpsc;
mod mutex;
pub mod oneshot;
pub mod queue;
mod semaphore;
mod waiter;
pub(crate) mod waiters;
pub mod watch;

pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use queue::{LifoQueue, PriorityQueue, Queue};
pub use semaphore::{AcquireError, OwnedPermit, Permit, Semaphore, TryAcquireError};
