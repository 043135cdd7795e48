//! The contract between the loop and a reactor: all that the two know of each other.
//!
//! - `names`: how operations and descriptors are named.
//! - `op`: work, as data that owns what it names.
//! - `call`: work that may block.
//! - `data`: the bytes that an operation owns.
//! - `reactor`: the trait that a backend implements, and what a turn takes and gives.
//! - `address`, `errno`, `clock`: the plain values that the above are made of.

pub mod address;
pub mod call;
pub mod clock;
pub mod data;
pub mod errno;
mod names;
pub mod op;
pub mod reactor;
