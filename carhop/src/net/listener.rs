//! A TCP listener.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use runtime_core::op::SocketOption;
use runtime_core::socket::Listener;

use super::addr::{ToSocketAddrs, addresses, first_success};
use super::stream::{TcpStream, inet};

/// How many connections may wait in the kernel for `accept`, if `net.core.somaxconn` allows it (4096 by default).
const BACKLOG: i32 = 4096;

/// A TCP socket that listens for connections.
///
/// ```
/// use carhop::net::{TcpListener, TcpStream};
///
/// carhop::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (_server, peer) = listener.accept().await?;
///     assert_eq!(peer, client.local_addr()?);
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    /// Comes first, so that the compiler's first complaint about another thread names this type.
    _not_send: PhantomData<*const TcpListener>,
    listener: Listener,
}

impl TcpListener {
    fn new(listener: Listener) -> Self {
        Self { _not_send: PhantomData, listener }
    }

    /// Listens on `addr`. If it stands for several addresses, the first one that works is used; if none does, the error
    /// is that of the last. With port 0 the kernel chooses a port, which [`TcpListener::local_addr`] returns. The
    /// address may still be in use by lingering connections of an earlier listener (`SO_REUSEADDR` is set).
    ///
    /// Waits for nothing but the look-up of a name. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`, and others of `bind(2)` and `listen(2)`;
    /// those of [`lookup_host`](super::lookup_host).
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        first_success(addresses(addr).await?, async |addr| {
            Listener::bind(&addr.into(), &[(SocketOption::ReuseAddress, 1)], BACKLOG).map(Self::new)
        })
        .await
    }

    /// Takes over a listener that was made elsewhere: by systemd, or with options that `bind` does not set. Sets the
    /// listener and all duplicates of its descriptor to the blocking mode of the backend: non-blocking for epoll, else
    /// blocking.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        Listener::from_fd(OwnedFd::from(listener)).map(Self::new)
    }

    /// Waits for the next connection and returns it with its peer's address.
    ///
    /// Dropping the future loses no connection. Connections are accepted from the first call on, also between
    /// calls. While more than 64 accepted ones are not taken, the listener pauses, and further ones wait in the kernel.
    /// Dropping the listener closes accepted connections that were not taken.
    ///
    /// One task can wait at a time: a second one takes the place of the first, which is then not woken.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`, once each. A lack of descriptors (`EMFILE`, `ENFILE`) lasts until some are
    /// closed, so wait a while before the next call. Connections that were reset are skipped. `NotConnected`
    /// after the runtime has been dropped.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// See [`TcpListener::accept`]. Only the task that polled last is woken.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(Ok((TcpStream::new(stream), inet(peer)?)))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(self.listener.local_address()?)
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpListener({})", self.listener.fd())
    }
}
