//! A simulated machine: virtual time, and a network in memory.

pub use reactor_sim::{Network, SimReactor};
