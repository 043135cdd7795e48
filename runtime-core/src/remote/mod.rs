//! What other threads do to a loop.
//!
//! - `wakes`: a lock-free stack of the tasks that they wake.
//! - `registry`: finds that stack by the number in a waker.
//! - `injector`: closures that they want to be called on the loop.

pub(crate) mod injector;
pub(crate) mod registry;
pub(crate) mod wakes;
