//! The event loop of carhop: tasks, wakers, timers, sockets, and the [`Reactor`] that it all stands on.

mod contract;
mod memory;

pub use contract::{address, call, clock, data, errno, op, reactor};
pub use memory::{arena, pool};

pub use clock::Nanos;
pub use reactor::Reactor;
