//! Connecting.

use std::io;

use crate::address::{Kind, SockAddr};
use crate::context;
use crate::data::Data;
use crate::io::Descriptor;
use crate::op::{Fd, Op, Outcome};
use crate::request::{InFlight, Request};

use super::stream::Stream;

/// Connects a stream socket to `addr`. Dropping the future gives the attempt up and closes the socket.
///
/// # Errors
///
/// Those of `socket(2)` and `connect(2)`: `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`, ...
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub async fn connect(addr: SockAddr) -> io::Result<Stream> {
    let io = context::io("a socket");
    // Locals are dropped in reverse: an attempt that is given up is cancelled first, then its socket closed.
    let descriptor = Descriptor::open(&io, addr.family(), Kind::Stream)?;
    let fd = descriptor.fd();
    InFlight::start(&io, Connect { fd, addr }).await?;
    Ok(Stream::new(descriptor))
}

struct Connect {
    fd: Fd,
    addr: SockAddr,
}

impl Request for Connect {
    type Output = io::Result<()>;

    fn op(self) -> Op {
        let Self { fd, addr } = self;
        Op::Connect { fd, addr: Box::new(addr) }
    }

    fn finish(result: io::Result<Outcome<Descriptor>>, _: Option<Data>) -> Self::Output {
        result.map(drop)
    }
}
