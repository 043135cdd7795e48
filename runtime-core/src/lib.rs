//! The event loop of carhop: tasks, wakers, timers, sockets, and the [`Reactor`] that it all stands on.
//!
//! This crate names no backend. `reactor-epoll` and `reactor-uring` implement [`Reactor`]; the `carhop` crate
//! chooses one and is what programs depend on.

mod blocking;
pub mod clock;
pub mod contain;
mod context;
mod core;
mod endings;
mod handle;
mod inbox;
pub mod incident;
mod mailbox;
mod memory;
pub mod op;
mod operations;
mod outbox;
pub mod policy;
mod polls;
pub mod pool;
mod process;
pub mod reactor;
mod registry;
mod runtime;
mod shutdown;
pub mod socket;
mod spawning;
pub mod sys;
pub mod task;
pub mod timer;

pub use blocking::{BlockingHandle, spawn_blocking};
pub use clock::Nanos;
pub use endings::{OperationsEnded, operations_ended};
pub use handle::{Closed, Handle};
pub use reactor::Reactor;
pub use runtime::{
    Config, Runtime, UnderWay, current_info, current_task, spawn, spawn_with, tasks, under_way,
};
pub use task::{AbortHandle, JoinError, JoinHandle, yield_now};
