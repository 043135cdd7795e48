//! One client: what it has sent, what came back, and which requests wait for an answer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use super::bytes;

/// A client of the server. A request is so many bytes, and answered when as many have come back.
pub struct Connection {
    socket: TcpStream,
    /// Which stream of bytes it sends.
    seed: u64,
    /// Bytes that are to be sent, all in all.
    wanted: u64,
    /// Bytes that were sent.
    sent: u64,
    /// Bytes that came back.
    received: u64,
    /// When each request that is not answered yet was to be sent, the oldest first.
    unanswered: VecDeque<u64>,
    /// Whether epoll is asked to say when more can be sent.
    pub awaits_room: bool,
}

/// Memory that all connections use in turn.
pub struct Scratch {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    verify: bool,
}

impl Scratch {
    /// As much as one call sends or receives at most.
    const SIZE: usize = 256 * 1024;

    /// With `verify`, each byte that is sent is made, and each one that comes back is compared. Without it,
    /// only their number counts.
    pub fn new(verify: bool) -> Self {
        let mut outgoing = vec![0; Self::SIZE];
        bytes::fill(0, 0, &mut outgoing);
        Self { incoming: vec![0; Self::SIZE], outgoing, verify }
    }
}

impl Connection {
    /// A client on `socket`, which does not block.
    pub fn new(socket: TcpStream, seed: u64) -> Self {
        let unanswered = VecDeque::new();
        Self { socket, seed, wanted: 0, sent: 0, received: 0, unanswered, awaits_room: false }
    }

    /// Adds a request of `size` bytes, which was due at `due_ns`. [`send`](Self::send) sends it.
    pub fn request(&mut self, size: usize, due_ns: u64) {
        self.wanted += size as u64;
        self.unanswered.push_back(due_ns);
    }

    /// Sends what is to be sent, as far as there is room. Whether all of it is gone.
    pub fn send(&mut self, scratch: &mut Scratch) -> Result<bool, String> {
        while self.sent < self.wanted {
            let piece = (self.wanted - self.sent).min(Scratch::SIZE as u64) as usize;
            let piece = &mut scratch.outgoing[..piece];
            if scratch.verify {
                bytes::fill(self.seed, self.sent, piece);
            }
            match self.socket.write(piece) {
                Ok(count) => self.sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
        Ok(true)
    }

    /// Receives what there is, up to a limit. Returns how many bytes.
    pub fn receive(&mut self, scratch: &mut Scratch) -> Result<usize, String> {
        let count = match self.socket.read(&mut scratch.incoming) {
            Ok(0) => return Err(format!("it closed a connection after {} bytes", self.received)),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => return Err(self.lost(&error)),
        };
        if scratch.verify {
            let Scratch { incoming, outgoing, .. } = scratch;
            self.compare(&incoming[..count], &mut outgoing[..count])?;
        }
        if self.received + count as u64 > self.sent {
            return Err(self.surplus(self.received + count as u64));
        }
        self.received += count as u64;
        Ok(count)
    }

    /// The next request that is answered completely by now: when it was due.
    pub fn next_answered(&mut self, size: usize) -> Option<u64> {
        let waiting = self.unanswered.len() as u64 * size as u64;
        // All requests have the same size, so those that are answered are whatever `wanted` has beyond.
        let answered_until = self.wanted - waiting + size as u64;
        if self.received < answered_until { None } else { self.unanswered.pop_front() }
    }

    /// When each request was due that is still without an answer.
    pub fn unanswered(&self) -> impl ExactSizeIterator<Item = u64> {
        self.unanswered.iter().copied()
    }

    /// Ends this direction.
    pub fn end(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// After [`end`](Self::end): whether the server has ended the other direction, and an error if something
    /// came before that, since all requests were answered already.
    pub fn has_ended(&mut self, scratch: &mut Scratch) -> Result<bool, String> {
        match self.socket.read(&mut scratch.incoming) {
            Ok(0) => Ok(true),
            Ok(count) => Err(self.surplus(self.received + count as u64)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            // Reset: an end as well, and nothing came.
            Err(_) => Ok(true),
        }
    }

    fn compare(&self, received: &[u8], expected: &mut [u8]) -> Result<(), String> {
        bytes::fill(self.seed, self.received, expected);
        if received == expected {
            return Ok(());
        }
        let differs = received.iter().zip(&*expected).position(|(one, other)| one != other);
        let index = differs.expect("they have the same length, and differ");
        Err(format!(
            "it sent back wrong bytes: byte {} of a connection is {:#04x}, not {:#04x}",
            self.received + index as u64,
            received[index],
            expected[index]
        ))
    }

    fn surplus(&self, received: u64) -> String {
        format!("it sent back more than it was sent: {received} bytes for {}", self.sent)
    }

    fn lost(&self, error: &io::Error) -> String {
        format!("a connection broke after {} bytes: {error}", self.received)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
