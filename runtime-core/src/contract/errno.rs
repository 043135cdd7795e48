//! Error numbers, by which an operation says why it failed.

use std::{fmt, io};

/// An error number of Linux (errno(3)).
///
/// A reactor that talks to no kernel uses the same numbers, so that programs see the same [`io::ErrorKind`]s.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

/// Those that the loop and reactors use by name. A test of the crate `kernel` compares them with the C library's.
impl Errno {
    /// Nothing has that name.
    pub const ENOENT: Self = Self(2);
    /// A signal came first.
    pub const EINTR: Self = Self(4);
    /// The device failed.
    pub const EIO: Self = Self(5);
    /// The descriptor is not open.
    pub const EBADF: Self = Self(9);
    /// It would have to wait.
    pub const EAGAIN: Self = Self(11);
    /// No memory.
    pub const ENOMEM: Self = Self(12);
    /// An operation of the same direction is waiting already.
    pub const EBUSY: Self = Self(16);
    /// An argument makes no sense here.
    pub const EINVAL: Self = Self(22);
    /// The process has as many descriptors as it may.
    pub const EMFILE: Self = Self(24);
    /// Nobody reads any more.
    pub const EPIPE: Self = Self(32);
    /// This reactor does not know the call.
    pub const ENOSYS: Self = Self(38);
    /// The descriptor is not of a socket.
    pub const ENOTSOCK: Self = Self(88);
    /// The socket cannot do that.
    pub const EOPNOTSUPP: Self = Self(95);
    /// The address family is not supported.
    pub const EAFNOSUPPORT: Self = Self(97);
    /// Somebody has that address.
    pub const EADDRINUSE: Self = Self(98);
    /// Nobody here can have that address.
    pub const EADDRNOTAVAIL: Self = Self(99);
    /// The connection was given up before it was accepted.
    pub const ECONNABORTED: Self = Self(103);
    /// The peer reset the connection.
    pub const ECONNRESET: Self = Self(104);
    /// The socket is connected already.
    pub const EISCONN: Self = Self(106);
    /// The socket is not connected.
    pub const ENOTCONN: Self = Self(107);
    /// The peer did not answer in time.
    pub const ETIMEDOUT: Self = Self(110);
    /// Nobody listens there.
    pub const ECONNREFUSED: Self = Self(111);
    /// It was cancelled.
    pub const ECANCELED: Self = Self(125);

    /// The error of that number.
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        io::Error::from_raw_os_error(errno.0)
    }
}

/// For an error that has no number, [`Errno::EINVAL`] if an argument was refused (a path with a zero in it, or a longer
/// one than fits an address), else [`Errno::EIO`].
impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        match (error.raw_os_error(), error.kind()) {
            (Some(number), _) => Errno(number),
            (None, io::ErrorKind::InvalidInput) => Errno::EINVAL,
            (None, _) => Errno::EIO,
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Errno({}: {})", self.0, io::Error::from(*self).kind())
    }
}
