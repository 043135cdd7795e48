//! Sockets. Receiving and accepting belong to the socket, not to the future that waits for it: what arrives
//! is kept here, so that dropping a future loses nothing.
//!
//! - `descriptor`: owns the file descriptor; its drop closes through the loop.
//! - `arrivals`: the state machine of whatever arrives, bytes or connections.
//! - `departures`: the state machine of what is written to a stream.
//! - `bytes`: received bytes that wait to be read.
//! - `chunk`: received bytes in the hands of whoever reads them.
//! - `write`: the futures that write to a stream.
//! - `stream`, `listener`, `connect`: what `carhop::net` is made of.

mod arrivals;
mod bytes;
mod chunk;
mod connect;
mod departures;
mod descriptor;
mod listener;
mod stream;
mod write;

pub use chunk::Chunk;
pub use connect::connect;
pub use listener::Listener;
pub use stream::Stream;
pub use write::{Write, WriteChunk};
