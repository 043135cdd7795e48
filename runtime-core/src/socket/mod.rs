//! Sockets. Receiving and accepting belong to the socket, not to the future that waits for it: what arrives
//! is kept here, so that dropping a future loses nothing.
//!
//! - `descriptor`: owns the file descriptor; its drop closes through the loop.
//! - `arrivals`: the state machine of whatever arrives, bytes or connections.
//! - `departures`: the state machine of what is written to a stream.
//! - `bytes`: received bytes that wait to be read.
//! - `stream`, `listener`, `connect`: what `carhop::net` is made of.

mod arrivals;
mod bytes;
mod connect;
mod departures;
mod descriptor;
mod listener;
mod stream;

pub use connect::connect;
pub use departures::Write;
pub use listener::Listener;
pub use stream::Stream;
