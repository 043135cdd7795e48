//! A reactor without a kernel: virtual time, and a network in memory.
#![forbid(unsafe_code)]

mod descriptors;
mod jobs;
mod network;
mod peer;
mod perform;
mod reactor;
mod serve;

pub use network::{Network, NetworkBuilder};
pub use peer::{Peer, PeerListener};
pub use reactor::SimReactor;
