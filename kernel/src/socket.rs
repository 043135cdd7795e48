//! Requests that answer at once, as system calls on sockets.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use runtime_core::address::{Family, Kind, SockAddr, UnixAddr};
use runtime_core::op::{Control, End, SocketOption};
use rustix::net::{self, RecvFlags, SendFlags};
use socket2::{Domain, SockRef, Socket, Type};

/// Whether descriptors are in non-blocking mode (`O_NONBLOCK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// System calls wait; io_uring arms a poll of its own instead of answering `EAGAIN`.
    Blocking,
    /// System calls answer `EAGAIN` rather than wait.
    NonBlocking,
}

/// `socket(2)`, close-on-exec.
pub fn open(family: Family, kind: Kind, mode: Mode) -> io::Result<OwnedFd> {
    let domain = match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
        Family::Unix => Domain::UNIX,
    };
    let kind = match kind {
        Kind::Stream => Type::STREAM,
        Kind::Datagram => Type::DGRAM,
        Kind::SeqPacket => Type::SEQPACKET,
    };
    let kind = match mode {
        Mode::Blocking => kind,
        Mode::NonBlocking => kind.nonblocking(),
    };
    Socket::new_raw(domain, kind.cloexec(), None).map(OwnedFd::from)
}

/// Puts a socket into `mode`.
pub fn set_mode(fd: BorrowedFd<'_>, mode: Mode) -> io::Result<()> {
    SockRef::from(&fd).set_nonblocking(mode == Mode::NonBlocking)
}

/// `send(2)` with `MSG_DONTWAIT | MSG_NOSIGNAL`.
#[inline]
pub fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(net::send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

/// `recv(2)` with `MSG_DONTWAIT`.
#[inline]
pub fn receive(fd: BorrowedFd<'_>, space: &mut [u8]) -> io::Result<usize> {
    let (count, _) = net::recv(fd, space, RecvFlags::DONTWAIT)?;
    Ok(count)
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

/// See [`runtime_core::Reactor::control`].
pub fn control(fd: BorrowedFd<'_>, request: Control<'_>) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    match request {
        Control::Bind(addr) => socket.bind(&to_kernel(addr)?),
        Control::Listen(backlog) => socket.listen(backlog),
        Control::Shutdown(how) => socket.shutdown(how),
        Control::Set(SocketOption::ReuseAddress, on) => socket.set_reuse_address(on != 0),
        Control::Set(SocketOption::ReusePort, on) => socket.set_reuse_port(on != 0),
        Control::Set(SocketOption::NoDelay, on) => socket.set_tcp_nodelay(on != 0),
        Control::Set(SocketOption::ReceiveBuffer, bytes) => socket.set_recv_buffer_size(bytes as usize),
        Control::Set(SocketOption::SendBuffer, bytes) => socket.set_send_buffer_size(bytes as usize),
    }
}

/// See [`runtime_core::Reactor::option`].
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

/// See [`runtime_core::Reactor::address`].
pub fn address(fd: BorrowedFd<'_>, end: End) -> io::Result<SockAddr> {
    let addr = match end {
        End::Local => SockRef::from(&fd).local_addr(),
        End::Peer => SockRef::from(&fd).peer_addr(),
    };
    from_kernel(&addr?)
}

/// An address as the kernel has it.
///
/// # Errors
///
/// `InvalidInput` if a path is longer than the kernel allows (108 bytes, unix(7)).
pub fn to_kernel(addr: &SockAddr) -> io::Result<socket2::SockAddr> {
    match addr {
        SockAddr::Inet(addr) => Ok((*addr).into()),
        SockAddr::Unix(UnixAddr::Unnamed) => socket2::SockAddr::unix(""),
        SockAddr::Unix(UnixAddr::Path(path)) => socket2::SockAddr::unix(path),
        SockAddr::Unix(UnixAddr::Abstract(name)) => {
            let with_zero: Vec<u8> = [0].into_iter().chain(name.iter().copied()).collect();
            socket2::SockAddr::unix(OsStr::from_bytes(&with_zero))
        }
    }
}

/// An address that the kernel told.
///
/// # Errors
///
/// `Unsupported` if it is of another family.
pub fn from_kernel(addr: &socket2::SockAddr) -> io::Result<SockAddr> {
    if let Some(addr) = addr.as_socket() {
        return Ok(SockAddr::Inet(addr));
    }
    if let Some(path) = addr.as_pathname() {
        return Ok(SockAddr::Unix(UnixAddr::Path(path.to_owned())));
    }
    if let Some(name) = addr.as_abstract_namespace() {
        return Ok(SockAddr::Unix(UnixAddr::Abstract(name.to_owned())));
    }
    if addr.is_unnamed() {
        return Ok(SockAddr::Unix(UnixAddr::Unnamed));
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "an address of an unknown family"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_and_back() {
        let addrs = [
            SockAddr::Inet("127.0.0.1:80".parse().unwrap()),
            SockAddr::Inet("[fe80::1%3]:80".parse().unwrap()),
            SockAddr::Unix(UnixAddr::Path("/run/socket".into())),
            SockAddr::Unix(UnixAddr::Abstract(b"name\0with zero".to_vec())),
        ];
        for addr in addrs {
            assert_eq!(from_kernel(&to_kernel(&addr).unwrap()).unwrap(), addr);
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        let long = SockAddr::Unix(UnixAddr::Path("x".repeat(200).into()));
        assert_eq!(to_kernel(&long).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
