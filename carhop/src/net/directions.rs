//! The methods of the two directions of a stream. Streams have those of both, halves those of one.
//!
//! Each macro stands in an `impl` of a type whose field `stream` is, borrows or shares a
//! [`Stream`](runtime_core::socket::Stream).

/// The methods of the reading direction.
macro_rules! reading {
    () => {
        /// Reads what has arrived, at most `buf.len()` bytes; 0 at the end of the stream, or if `buf` is empty.
        ///
        /// Dropping the future loses no byte: what arrives waits in the stream.
        ///
        /// # Errors
        ///
        /// `ConnectionReset`, `TimedOut`, and others of `recv(2)`: once, and after all bytes that arrived before.
        /// `NotConnected` after the runtime has been dropped.
        pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            poll_fn(|cx| self.stream.poll_read(cx, buf)).await
        }

        /// Reads what has arrived, in the buffer in which it came; `None` at the end of the stream. Bytes that have
        /// waited for a reader, or that come while buffers are few, are in memory of their own instead.
        ///
        /// An idle connection needs no buffer for this: the few buffers that many connections share stay in the
        /// processor's cache.
        ///
        /// Dropping the future loses nothing: what arrives waits in the stream.
        ///
        /// # Errors
        ///
        /// As [`read`](Self::read).
        pub async fn read_chunk(&mut self) -> io::Result<Option<Chunk>> {
            poll_fn(|cx| self.stream.poll_chunk(cx)).await
        }

        /// Fills `buf`. Dropping the future loses the bytes that it has already put there.
        ///
        /// # Errors
        ///
        /// `UnexpectedEof` if the stream ends before; else as [`read`](Self::read).
        pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
            while !buf.is_empty() {
                match self.read(buf).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => buf = &mut buf[n..],
                }
            }
            Ok(())
        }

        /// What [`read`](Self::read) awaits. Only the task that polled last is woken.
        pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
            self.stream.poll_read(cx, buf)
        }
    };
}

/// The methods of the writing direction.
macro_rules! writing {
    () => {
        /// Writes as much of `buf` as there is room for, waiting until there is some. Returns how much.
        ///
        /// A future that is dropped before it was ready has written nothing. So a `timeout` or a `select!` around it is
        /// correct, also in a loop.
        ///
        /// # Errors
        ///
        /// `BrokenPipe`, `ConnectionReset`, and others of `send(2)`. There is no `SIGPIPE`. `NotConnected` after the
        /// runtime has been dropped.
        pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            poll_fn(|cx| self.stream.poll_write(cx, buf)).await
        }

        /// Writes all of `buf`. Dropping the future leaves open how much of it was written.
        ///
        /// # Errors
        ///
        /// As [`write`](Self::write).
        pub async fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
            self.stream.write_all(buf).await
        }

        /// Writes all of `chunk`, without copying it unless it must wait for room. [`Chunk::from`] makes a chunk of a
        /// `Vec<u8>`.
        ///
        /// While there is no room for it, it holds no buffer that other connections could use. Dropping the future
        /// leaves open how much of it was written.
        ///
        /// # Errors
        ///
        /// As [`write`](Self::write).
        pub fn write_chunk(&mut self, chunk: Chunk) -> impl Future<Output = io::Result<()>> {
            self.stream.write_chunk(chunk)
        }

        /// What [`write`](Self::write) awaits. Only the task that polled last is woken.
        pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            self.stream.poll_write(cx, buf)
        }
    };
}

/// The method that ends the writing direction, for its halves: a whole stream can end either direction.
macro_rules! ending {
    () => {
        /// Ends the direction: the peer reads the end of the stream after what was written.
        ///
        /// # Errors
        ///
        /// `NotConnected` if the connection is gone already.
        pub fn shutdown(&mut self) -> io::Result<()> {
            self.stream.shutdown(Shutdown::Write)
        }
    };
}

pub(super) use {ending, reading, writing};
