//! The event loop of carhop: tasks, wakers, timers, sockets, and the [`Reactor`] that it all stands on.
//!
//! This crate names no backend. `reactor-epoll`, `reactor-uring` and `reactor-sim` implement [`Reactor`]; the `carhop`
//! crate chooses one and is what programs depend on.
//!
//! Files use only their own group in this list and those above it, and never in a circle: only the files of a folder
//! may use what its `mod.rs` declares.

// What the loop and a reactor know of each other.
mod contract;
mod memory;
// What tasks are made of.
pub mod contain;
pub mod incident;
pub mod policy;
mod process;
mod remote;
pub mod task;
mod unwind;
// The loop.
mod config;
mod context;
mod core;
mod io;
mod operations;
mod timers;
// What programs call.
mod blocking;
mod drive;
pub mod fs;
mod handle;
mod on_done;
mod quiesced;
mod request;
pub mod resolve;
mod runtime;
pub mod sleep;
pub mod socket;
mod spawn;
pub mod task_locals;

pub use contract::{address, call, clock, data, errno, op, reactor};
pub use memory::{arena, pool};

pub use blocking::{BlockingHandle, spawn_blocking};
pub use clock::Nanos;
pub use config::Config;
pub use handle::{Handle, RuntimeGone};
pub use quiesced::{OperationsEnded, operations_ended};
pub use reactor::Reactor;
pub use runtime::{Runtime, UnderWay, under_way};
pub use spawn::{current_info, current_task, spawn, spawn_with, tasks};
pub use task::{AbortHandle, JoinError, JoinHandle, yield_now};
