//! A TCP connection.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use runtime_core::address::SockAddr;
use runtime_core::op::{End, SocketOption};
use runtime_core::socket::{self, Chunk, Stream};

use super::addr::{ToSocketAddrs, addresses, first_success};
use super::directions::{reading, writing};
use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};

/// A TCP connection.
///
/// Dropping it closes the connection. To read and write at the same time, [`split`](TcpStream::split) it.
///
/// ```no_run
/// use carhop::net::TcpStream;
///
/// # carhop::run(async {
/// let mut stream = TcpStream::connect("localhost:7000").await?;
/// stream.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// stream.read_exact(&mut answer).await?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// Chunks save a copy and, while nothing arrives, the memory of a buffer:
///
/// ```
/// use carhop::net::TcpStream;
///
/// /// Sends back what `stream` brings until it ends.
/// async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
///     while let Some(chunk) = stream.read_chunk().await? {
///         stream.write_chunk(chunk).await?;
///     }
///     Ok(())
/// }
/// ```
///
/// A stream stays on the thread of its runtime:
///
/// ```compile_fail,E0277
/// # fn sent(stream: carhop::net::TcpStream) {
/// std::thread::spawn(move || drop(stream));
/// # }
/// ```
pub struct TcpStream {
    /// Comes first, so that the compiler's first complaint about another thread names this type.
    _not_send: PhantomData<*const TcpStream>,
    stream: Stream,
}

impl TcpStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { _not_send: PhantomData, stream }
    }

    /// Connects to `addr`. If it stands for several addresses, they are tried one after the other until one answers; if
    /// none does, the error is that of the last. Dropping the future gives the attempt up.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused`, `TimedOut`, `NetworkUnreachable`, and others of `connect(2)`; those of
    /// [`lookup_host`](super::lookup_host).
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        first_success(addresses(addr).await?, async |addr| socket::connect(addr.into()).await.map(Self::new))
            .await
    }

    /// Takes over a connection that was made elsewhere. Sets the socket and all duplicates of its descriptor to the
    /// blocking mode of the backend: non-blocking for epoll, else blocking.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`.
    ///
    /// # Panics
    ///
    /// Outside of a running runtime.
    #[track_caller]
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        Stream::from_fd(OwnedFd::from(stream)).map(Self::new)
    }

    reading!();
    writing!();

    /// Ends one direction or both, as `shutdown(2)` does: with [`Shutdown::Write`] the peer reads the end of
    /// the stream after what was written.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// The two directions, to be used at the same time within one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        halves::borrowed(&self.stream)
    }

    /// The two directions, each to be owned by a task of its own.
    ///
    /// ```
    /// use carhop::net::{TcpListener, TcpStream};
    ///
    /// carhop::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (mut server, _) = listener.accept().await?;
    ///     let (mut read, mut write) = client.into_split();
    ///     let reader = carhop::spawn(async move {
    ///         let mut answer = [0; 5];
    ///         read.read_exact(&mut answer).await.map(|()| answer)
    ///     });
    ///     write.write_all(b"hello").await?;
    ///     let mut buf = [0; 5];
    ///     server.read_exact(&mut buf).await?;
    ///     server.write_all(&buf).await?;
    ///     assert_eq!(&reader.await??, b"hello");
    ///     std::io::Result::Ok(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        halves::owned(self.stream)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(self.stream.address(End::Local)?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet(self.stream.address(End::Peer)?)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.stream.option(SocketOption::NoDelay).map(|on| on != 0)
    }

    /// Chooses whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.stream.set_option(SocketOption::NoDelay, on.into())
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcpStream({})", self.stream.fd())
    }
}

/// The internet address in what the kernel said.
pub(super) fn inet(addr: SockAddr) -> io::Result<SocketAddr> {
    addr.as_inet()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a socket of an internet family"))
}
