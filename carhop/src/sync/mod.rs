//! What tasks of one runtime share.
//!
//! | asyncio | here | |
//! |---|---|---|
//! | `Event` | [`Event`] | a flag that tasks wait for |
//! | `Lock` | [`Mutex`] | a value that one task uses at a time |
//! | `Semaphore`, `BoundedSemaphore` | [`Semaphore`] | a number of permits |
//! | `Condition` | [`Condvar`] | a change of what a mutex guards |
//! | `Barrier` | [`Barrier`] | a point where tasks wait for each other |
//!
//! All are for the tasks of one thread, which share them with `Rc`. They are fair: who comes first is served first, and
//! what is granted is handed over, so that nobody takes it before the one it is meant for has run. Any future can be
//! dropped at any time: what it was granted goes to the next one. (A task that is aborted drops its futures when it runs,
//! and keeps its place until then; one that asyncio cancels loses it at once.) In steady state nothing is allocated.

mod barrier;
mod condvar;
mod event;
mod mutex;
mod semaphore;

pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
pub use condvar::Condvar;
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{AcquireError, OwnedPermit, Permit, Semaphore, TryAcquireError};
pub mod broadcast;
mod channel_error;
pub mod mpsc;
pub mod oneshot;
pub mod queue;
mod waiter;
mod waiters;
pub mod watch;

pub use queue::{LifoQueue, PriorityQueue, Queue};
