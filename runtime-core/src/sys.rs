//! System calls that the reactors which talk to the kernel share.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use socket2::{Domain, SockAddr, SockRef, Type};

use crate::clock::Nanos;
use crate::op::{Control, End, SocketOption};
use crate::reactor::Unpark;

/// Whether descriptors are in non-blocking mode (`O_NONBLOCK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// System calls wait; io_uring arms a poll of its own instead of answering `EAGAIN`.
    Blocking,
    /// System calls answer `EAGAIN` rather than wait.
    NonBlocking,
}

/// `socket(2)`, close-on-exec.
pub fn open(domain: Domain, kind: Type, mode: Mode) -> io::Result<OwnedFd> {
    let kind = match mode {
        Mode::Blocking => kind,
        Mode::NonBlocking => kind.nonblocking(),
    };
    socket2::Socket::new_raw(domain, kind.cloexec(), None).map(OwnedFd::from)
}

/// Puts a socket into `mode`.
pub fn set_mode(fd: BorrowedFd<'_>, mode: Mode) -> io::Result<()> {
    SockRef::from(&fd).set_nonblocking(mode == Mode::NonBlocking)
}

/// `send(2)` with `MSG_DONTWAIT | MSG_NOSIGNAL`.
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    SockRef::from(&fd).send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
}

/// `recv(2)` with `MSG_DONTWAIT`.
pub fn receive(fd: BorrowedFd<'_>, space: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length describe `space`, which the kernel only writes to.
    let n = unsafe { libc::recv(fd.as_raw_fd(), space.as_mut_ptr().cast(), space.len(), libc::MSG_DONTWAIT) };
    if n < 0 { Err(io::Error::last_os_error()) } else { Ok(n as usize) }
}

/// Whether this error of accept(2) is of a connection that was lost before it was accepted, rather than of the
/// listener. The man page says to go on to the next one.
pub fn is_about_one_connection(errno: i32) -> bool {
    matches!(
        errno,
        libc::ECONNABORTED
            | libc::EPROTO
            | libc::EINTR
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
    )
}

/// See [`crate::Reactor::control`].
pub fn control(fd: BorrowedFd<'_>, request: Control<'_>) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    match request {
        Control::Bind(addr) => socket.bind(addr),
        Control::Listen(backlog) => socket.listen(backlog),
        Control::Shutdown(how) => socket.shutdown(how),
        Control::Set(SocketOption::ReuseAddress, on) => socket.set_reuse_address(on != 0),
        Control::Set(SocketOption::ReusePort, on) => socket.set_reuse_port(on != 0),
        Control::Set(SocketOption::NoDelay, on) => socket.set_tcp_nodelay(on != 0),
        Control::Set(SocketOption::ReceiveBuffer, bytes) => socket.set_recv_buffer_size(bytes as usize),
        Control::Set(SocketOption::SendBuffer, bytes) => socket.set_send_buffer_size(bytes as usize),
    }
}

/// See [`crate::Reactor::option`].
pub fn option(fd: BorrowedFd<'_>, option: SocketOption) -> io::Result<u32> {
    let socket = SockRef::from(&fd);
    match option {
        SocketOption::ReuseAddress => socket.reuse_address().map(u32::from),
        SocketOption::ReusePort => socket.reuse_port().map(u32::from),
        SocketOption::NoDelay => socket.tcp_nodelay().map(u32::from),
        SocketOption::ReceiveBuffer => socket.recv_buffer_size().map(|bytes| bytes as u32),
        SocketOption::SendBuffer => socket.send_buffer_size().map(|bytes| bytes as u32),
    }
}

/// See [`crate::Reactor::address`].
pub fn address(fd: BorrowedFd<'_>, end: End) -> io::Result<SockAddr> {
    match end {
        End::Local => SockRef::from(&fd).local_addr(),
        End::Peer => SockRef::from(&fd).peer_addr(),
    }
}

/// `CLOCK_MONOTONIC`.
pub fn now() -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result. The call cannot fail: Linux always has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// The descriptor behind [`Unpark`] for a reactor that waits on descriptors: `eventfd(2)`.
///
/// Watched edge-triggered, it never needs to be read: each write is a new edge, and to overflow the 64-bit
/// counter would take centuries.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A new one, close-on-exec and non-blocking.
    ///
    /// # Errors
    ///
    /// Those of `eventfd(2)`: no descriptor left (`EMFILE`, `ENFILE`), or no memory.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd: RawFd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call returned a new descriptor, which nobody else owns.
        Ok(Self(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Unpark for EventFd {
    fn unpark(&self) {
        // It fails only on overflow, when an edge is pending anyway.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }
}
