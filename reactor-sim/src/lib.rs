//! A reactor without a kernel: virtual time, and a network in memory.
//!
//! A program runs here as it does on a kernel, but in no time, and each time in the same way: the clock stands still
//! while there is something to do, and jumps when there is not.
//!
//! ```text
//! SimReactor (one for each node)              Network (one for all of them)
//!   perform   what is staged            --->    calls     what each call answers
//!   serve     what has happened to      <---    nodes     whom to tell
//!             sockets                           packets   what travels, and arrives at its time
//!   jobs      calls on other threads            clock     what lies ahead
//! ```
//!
//! - `reactor`: the trait, and when a turn waits.
//! - `perform`, `serve`: operations, from being staged to being completed.
//! - `descriptors`: names of sockets, and who waits on them.
//! - `jobs`: threads for closures.
//! - `network`: everything that nodes share. It knows nothing of operations.
//! - `peer`: the other end of a connection, for tests.
//!
//! # Time
//!
//! The clock of a network moves when all of its nodes wait: to what the first of them waits for, or to the next event
//! in the network, if that is earlier. Nothing else moves it, and computing takes no time. Only for a node that looks at
//! it thousands of times, since it is busy until some time comes, does it go on: a microsecond with each further look.
//!
//! What other threads do has no time of its own. So the clock stands still while a call is made on one
//! ([`Op::Call`](runtime_core::op::Op::Call)), and a turn that waits then waits for its end, in real time. A call
//! that was cancelled and goes on holds up nobody. If nothing can happen any more, a turn that waits gives other
//! threads a minute to unpark it. Then it fails, for the program waits for what never comes.
//!
//! # Several nodes
//!
//! All nodes of a network are on one thread, and somebody steps them in turns. A node alone is stepped by nobody but
//! its own loop. A host can do it in two ways:
//!
//! - **It lets each node wait** for what it waits for. A turn returns early, without results, as long as another node
//!   may have something to do. The last one to wait moves the clock.
//!
//!   ```text
//!   loop { for node in &mut nodes { node.turn(what it waits for) } }
//!   ```
//!
//! - **It waits itself**, and lets no node do so. A turn with `Wait::No` never moves the clock.
//!
//!   ```text
//!   loop {
//!       for node in &mut nodes { node.turn(Wait::No) }
//!       network.wait(the least that any node is idle for)?;
//!   }
//!   ```
//!
//! Either way no node is late: the clock never passes a deadline before its node has had a turn.
//!
//! # The network
//!
//! Sockets for TCP over IPv4 and IPv6 answer as Linux does, with the same error numbers, sizes of buffers and ends of
//! streams. As far as addresses go, all nodes are programs on one machine. What is different:
//!
//! - A segment has any size, takes the same time as all others, and is never lost.
//! - Who asks for a connection while the backlog is full is taken in as soon as there is room, rather than when it asks
//!   again.
//! - Nobody has the address of a connection that is over (there is no `TIME_WAIT`).
//! - An address that nobody has refuses connections, rather than being unreachable.
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
