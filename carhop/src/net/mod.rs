//! TCP.
//!
//! What arrives belongs to the socket, not to the future that waits for it: a read or an accept that is dropped, by a
//! timeout for instance, loses nothing. A dropped [`write`](TcpStream::write) has written nothing; a dropped
//! [`write_all`](TcpStream::write_all) leaves open how much it has written.

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
