//! A TCP connection.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll};

use runtime_core::address::SockAddr;
use runtime_core::op::{End, SocketOption};
use runtime_core::socket::{self, Chunk, Stream};

use super::addr::{ToSocketAddrs, addresses, first_success};
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
pub struct TcpStream(Stream);

impl TcpStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self(stream)
    }

    /// Connects to `addr`; if it stands for several addresses, to the first that answers, or the error is the
    /// last one's. Dropping the future gives the attempt up.
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
        first_success(addresses(addr).await?, async |addr| socket::connect(addr.into()).await.map(Self)).await
    }

    /// Takes over a connection that was made elsewhere. Sets it, and with it all duplicates, to the blocking mode
    /// of the backend: non-blocking for epoll, else blocking.
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
        Stream::from_fd(OwnedFd::from(stream)).map(Self)
    }

    /// Reads what has arrived, at most `buf.len()` bytes; 0 at the end of the stream, or if `buf` is empty.
    ///
    /// Dropping the future loses no byte: what arrives waits in the stream.
    ///
    /// # Errors
    ///
    /// `ConnectionReset`, `TimedOut`, and others of `recv(2)`: once, and after all bytes that arrived before.
    /// `NotConnected` after the runtime has been dropped.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        halves::read(&self.0, buf).await
    }

    /// Reads what has arrived, in the buffer it came in; `None` at the end of the stream. What has waited for its
    /// reader, or comes while buffers are few, is in memory of its own instead.
    ///
    /// An idle connection needs no buffer for this, and many have one in the processor's cache.
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
    /// Dropping the future loses nothing: what arrives waits in the stream.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    pub async fn read_chunk(&mut self) -> io::Result<Option<Chunk>> {
        halves::read_chunk(&self.0).await
    }

    /// Fills `buf`. Dropping the future loses the bytes that it has already put there.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends before; else as [`TcpStream::read`].
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        halves::read_exact(&self.0, buf).await
    }

    /// Writes as much of `buf` as there is room for, waiting until there is some. Returns how much.
    ///
    /// A future that is dropped before it was ready has written nothing. So a `timeout` or a `select!` around it is
    /// correct, in a loop, too.
    ///
    /// # Errors
    ///
    /// `BrokenPipe`, `ConnectionReset`, and others of `send(2)`. There is no `SIGPIPE`. `NotConnected` after the
    /// runtime has been dropped.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        halves::write(&self.0, buf).await
    }

    /// Writes all of `buf`. Dropping the future leaves open how much of it was written.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.0.write_all(buf).await
    }

    /// Writes all of `chunk`, without copying it unless it must wait for room. A `Vec<u8>` is a chunk, too, with
    /// [`Chunk::from`].
    ///
    /// While there is no room for it, it holds no buffer that other connections could use. Dropping the future leaves
    /// open how much of it was written.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::write`].
    pub fn write_chunk(&mut self, chunk: Chunk) -> impl Future<Output = io::Result<()>> {
        self.0.write_chunk(chunk)
    }

    /// See [`TcpStream::read`]. Only the task that polled last is woken.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buf)
    }

    /// See [`TcpStream::write`]. Only the task that polled last is woken.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, buf)
    }

    /// Ends one direction or both, as `shutdown(2)` does: with [`Shutdown::Write`] the peer reads the end of
    /// the stream after what was written.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// The two directions, to be used at the same time within one task.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(&self.0), WriteHalf(&self.0))
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
        halves::owned(self)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the runtime has been dropped.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(self.0.address(End::Local)?)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection is gone already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet(self.0.address(End::Peer)?)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.option(SocketOption::NoDelay).map(|on| on != 0)
    }

    /// Chooses whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.0.set_option(SocketOption::NoDelay, on.into())
    }

    pub(super) fn stream(&self) -> &Stream {
        &self.0
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TcpStream({})", self.0.fd())
    }
}

/// The internet address in what the kernel said.
pub(super) fn inet(addr: SockAddr) -> io::Result<SocketAddr> {
    addr.as_inet()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a socket of an internet family"))
}
