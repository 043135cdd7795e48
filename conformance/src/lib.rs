//! What every backend must do: one suite of tests, which each backend runs from its own `tests/conformance.rs`.
//!
//! ```text
//! main --> harness: which trials run, a watchdog over each, descriptors counted before and after
//!            reactor::suite: trials against `dyn Reactor`
//!              driver: stages operations and takes turns
//!                account: each operation ends exactly once
//! ```
//!
//! A trial talks to the reactor under test through a `Driver`, and to the other end of its connections through
//! the blocking sockets of `std`. No trial asks how fast something is, and none sleeps to let something happen.

mod account;
mod driver;
mod harness;
mod machine;
mod pattern;
pub mod reactor;
#[cfg(feature = "runtime")]
pub mod runtime;

pub use harness::{Suite, main};
