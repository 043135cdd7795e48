//! Looking up names.

use std::io;
use std::net::SocketAddr;

use crate::call::Call;
use crate::context;
use crate::data::Data;
use crate::io::Descriptor;
use crate::op::{Op, Outcome};
use crate::request::{InFlight, Request};
use crate::task::JoinError;

/// The addresses of a host, each with `port`, in the resolver's order; never none. Dropping the future gives the look-up
/// up.
///
/// # Errors
///
/// What the resolver says; `NotConnected` while the runtime is being dropped.
///
/// # Panics
///
/// Polling it panics outside of a running runtime.
pub async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let io = context::io("a look-up");
    InFlight::start(&io, Resolve { host, port }).await
}

struct Resolve {
    host: String,
    port: u16,
}

impl Request for Resolve {
    type Output = io::Result<Vec<SocketAddr>>;

    fn op(self) -> Op {
        let Self { host, port } = self;
        Op::Call(Call::Resolve { host, port })
    }

    fn finish(result: io::Result<Outcome<Descriptor>>, _: Option<Data>) -> Self::Output {
        match result.map_err(no_thread)? {
            Outcome::Addresses(resolved) => *resolved,
            other => unreachable!("a look-up brought {other:?}"),
        }
    }
}

/// A look-up waits for nothing but a thread.
fn no_thread(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { JoinError::refused(error).into() } else { error }
}
