//! Sockets. Receiving and accepting belong to the socket, not to the future that waits for it: what arrives
//! is kept here, so that dropping a future loses nothing.
//!
//! - `receive`: the state machine of whatever arrives, bytes or connections.
//! - `send`: the state machine of what is written to a stream.
//! - `bytes`: received bytes that wait to be read.
//! - `chunk`: received bytes in the hands of whoever reads them.
//! - `write`: the futures that write all of something to a stream.
//! - `shared`: what operations in flight own of any socket.
//! - `stream_io`: the same of a stream.
//! - `stream`, `listener`, `connect`: what `carhop::net` is made of.

mod bytes;
mod chunk;
mod connect;
mod listener;
mod receive;
mod send;
mod shared;
mod stream;
mod stream_io;
mod write;

pub use chunk::Chunk;
pub use connect::connect;
pub use listener::Listener;
pub use stream::Stream;
pub use write::{WriteAll, WriteChunk};
