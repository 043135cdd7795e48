//! The contract between the loop and a reactor, for programs that bring a reactor of their own
//! ([`Builder::reactor`](crate::Builder::reactor)).

pub use runtime_core::address::{Family, Kind, SockAddr, UnixAddr};
pub use runtime_core::call::{Call, Job, Resolved, Stat, Timestamp};
pub use runtime_core::clock::{Nanos, monotonic};
pub use runtime_core::data::Data;
pub use runtime_core::errno::Errno;
pub use runtime_core::op::{Attempt, Completion, Control, End, Fd, Op, Outcome, SocketOption, Token};
pub use runtime_core::pool::{Chunk, Pool};
pub use runtime_core::reactor::{Reactor, Turn, Unpark, Wait};
