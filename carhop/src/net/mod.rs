//! TCP.
//!
//! What arrives belongs to the socket, not to the future that waits for it: a read or an accept that is
//! dropped, by a timeout for instance, loses nothing. A write that is dropped loses only its count.

mod addr;
mod directions;
mod halves;
mod listener;
mod stream;

pub use addr::{ToSocketAddrs, lookup_host};
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::TcpListener;
pub use runtime_core::socket::Chunk;
pub use stream::TcpStream;
