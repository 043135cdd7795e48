//! What every backend must do: one suite of tests, which each backend runs from its own `tests/conformance.rs`.
//!
//! ```text
//! main --> harness: which trials run, a watchdog over each, descriptors counted before and after
//!            registry: all trials, and what those need that do not run everywhere
//!              divergences: the same, for the documentation
//!            reactor::suite: trials against `dyn Reactor`
//!              driver: stages operations and takes turns
//!                account: each operation ends exactly once
//!              world: the other end of connections
//! ```
//!
//! A trial talks to the reactor under test through a `Driver`, and to the other end of its connections through a
//! [`World`](world::World): blocking sockets of `std` where there is a kernel, and a simulated network else. What only a
//! kernel can do is marked so where the trial is named. No trial asks how fast something is, and none sleeps to let
//! something happen.

mod account;
#[cfg(test)]
mod divergences;
mod driver;
mod harness;
mod machine;
mod pattern;
pub mod reactor;
mod registry;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod world;

pub use harness::{Suite, main};
