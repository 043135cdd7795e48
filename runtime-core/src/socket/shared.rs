//! The part of a socket that its operations in flight own together with it.

use crate::io::{Descriptor, Io};
use crate::op::Fd;
use crate::operations::Completer;

/// The part of a socket that its operations in flight own together with it, and that is told of their results.
pub(super) trait Shared: Completer<Descriptor> + Sized + 'static {
    /// Its runtime.
    fn io(&self) -> &Io;

    /// Its name in the reactor; stale once the socket is gone.
    fn fd(&self) -> Fd;
}
