//! One end of a connection: what is on its way out, and what has come in. Knows nothing of time or of sockets.
//!
//! ```text
//! write --> unsent --> [unacknowledged] --> unread --> read
//!           (send buffer, at this end)      (receive buffer, at the other)
//! ```
//!
//! The other end says how many bytes it has room for (its window), and no more are sent: what does not fit stays in
//! the send buffer, and when that is full, too, a write would have to wait.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::socket::SocketId;

/// What travels between the two ends of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Both ends know now that there is a connection.
    HandshakeDone,
    /// Bytes of the stream.
    Data(Vec<u8>),
    /// So many bytes have arrived.
    Ack(usize),
    /// There is room for so many bytes more.
    Window(usize),
    /// The stream ends here.
    Fin,
    /// There is no connection, or no longer.
    Reset,
}

/// One end of a connection.
pub(crate) struct Connection {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The socket that has the other end.
    pub(crate) peer: SocketId,
    pub(crate) sending: SendSide,
    pub(crate) receiving: ReceiveSide,
    was_reset: bool,
}

impl Connection {
    pub(crate) fn new(
        (local, remote): (SocketAddr, SocketAddr),
        peer: SocketId,
        sending: SendSide,
        receiving: ReceiveSide,
    ) -> Self {
        Self { local, remote, peer, sending, receiving, was_reset: false }
    }

    /// Nothing can be sent any more, and nothing will come.
    pub(crate) fn reset(&mut self) {
        self.was_reset = true;
        self.sending.unsent.clear();
    }

    /// Whether it is one no longer: it was reset, or both directions have ended.
    pub(crate) fn is_over(&self) -> bool {
        self.was_reset || self.sending.end == End::Sent && self.receiving.has_ended
    }
}

/// The direction away from here.
pub(crate) struct SendSide {
    /// Taken from the program, and not sent: the other end has no room.
    unsent: VecDeque<u8>,
    /// How many bytes have been sent and not, as far as is known, arrived.
    unacknowledged: usize,
    /// How many more bytes the other end has room for.
    window: usize,
    capacity: usize,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    /// Behind what is unsent.
    Wanted,
    Sent,
}

impl SendSide {
    pub(crate) fn new(capacity: usize, window: usize) -> Self {
        Self { unsent: VecDeque::new(), unacknowledged: 0, window, capacity, end: End::NotYet }
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Takes as many of the bytes as there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.capacity.saturating_sub(self.len()));
        self.unsent.extend(&bytes[..count]);
        count
    }

    /// Whether a write is worth while: the free part is at least half as large as the other (`sk_stream_is_writeable`).
    pub(crate) fn has_room(&self) -> bool {
        let free = self.capacity.saturating_sub(self.len());
        free > 0 && free >= self.len() / 2
    }

    /// The stream ends behind what was written.
    pub(crate) fn finish(&mut self) {
        if self.end == End::NotYet {
            self.end = End::Wanted;
        }
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.end != End::NotYet
    }

    /// Whether all has been sent, and the end as well.
    pub(crate) fn is_done(&self) -> bool {
        self.end == End::Sent
    }

    /// What can be sent now.
    pub(crate) fn next(&mut self) -> Option<Segment> {
        let count = self.unsent.len().min(self.window);
        if count > 0 {
            self.window -= count;
            self.unacknowledged += count;
            return Some(Segment::Data(self.unsent.drain(..count).collect()));
        }
        if self.end == End::Wanted && self.unsent.is_empty() {
            self.end = End::Sent;
            return Some(Segment::Fin);
        }
        None
    }

    pub(crate) fn acknowledged(&mut self, count: usize) {
        self.unacknowledged -= count;
    }

    pub(crate) fn widened(&mut self, count: usize) {
        self.window += count;
    }

    fn len(&self) -> usize {
        self.unsent.len() + self.unacknowledged
    }
}

/// The direction towards here.
pub(crate) struct ReceiveSide {
    unread: VecDeque<u8>,
    /// How many more bytes the other end may send.
    promised: usize,
    capacity: usize,
    has_ended: bool,
    /// The program wants no more. The other end does not hear of it.
    is_shut: bool,
}

impl ReceiveSide {
    /// One that has promised the other end as much room as there is.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { unread: VecDeque::new(), promised: capacity, capacity, has_ended: false, is_shut: false }
    }

    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(crate) fn arrived(&mut self, bytes: Vec<u8>) {
        self.promised -= bytes.len();
        self.unread.extend(bytes);
    }

    pub(crate) fn ended(&mut self) {
        self.has_ended = true;
    }

    pub(crate) fn shut(&mut self) {
        self.is_shut = true;
    }

    /// How many bytes can be read.
    pub(crate) fn len(&self) -> usize {
        self.unread.len()
    }

    /// Whether the other end has ended the stream.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether this end wants no more.
    pub(crate) fn is_shut(&self) -> bool {
        self.is_shut
    }

    pub(crate) fn read(&mut self, space: &mut [u8]) -> usize {
        let count = space.len().min(self.unread.len());
        for (place, byte) in space.iter_mut().zip(self.unread.drain(..count)) {
            *place = byte;
        }
        count
    }

    /// What is to be said to the other end when there is more room than it knows of.
    pub(crate) fn widen(&mut self) -> Option<Segment> {
        let more = self.capacity.saturating_sub(self.unread.len() + self.promised);
        self.promised += more;
        (more > 0).then_some(Segment::Window(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(bytes: &[u8]) -> Option<Segment> {
        Some(Segment::Data(bytes.to_vec()))
    }

    #[test]
    fn no_more_is_sent_than_the_other_end_has_room_for() {
        let mut side = SendSide::new(8, 3);
        assert_eq!(side.write(b"0123456789"), 8);
        assert_eq!((side.next(), side.next()), (data(b"012"), None));
        assert_eq!(side.write(b"89"), 0, "what is on its way counts until it has arrived");
        side.acknowledged(3);
        assert_eq!((side.next(), side.write(b"89")), (None, 2));
        side.widened(100);
        assert_eq!((side.next(), side.next()), (data(b"3456789"), None));
    }

    #[test]
    fn the_end_comes_behind_all_bytes_and_once() {
        let mut side = SendSide::new(8, 2);
        side.write(b"abc");
        side.finish();
        assert!(side.is_finished() && !side.is_done());
        assert_eq!((side.next(), side.next()), (data(b"ab"), None));
        side.widened(1);
        assert_eq!((side.next(), side.next(), side.next()), (data(b"c"), Some(Segment::Fin), None));
        side.finish();
        assert_eq!((side.next(), side.is_done()), (None, true));
    }

    #[test]
    fn a_third_of_the_buffer_is_room() {
        let mut side = SendSide::new(9, 0);
        side.write(&[0; 7]);
        assert!(!side.has_room());
        let mut side = SendSide::new(9, 0);
        side.write(&[0; 6]);
        assert!(side.has_room());
        assert!(!SendSide::new(0, 0).has_room());
    }

    #[test]
    fn room_is_promised_once() {
        let mut side = ReceiveSide::new(4);
        assert_eq!(side.widen(), None);
        side.arrived(b"abc".to_vec());
        assert_eq!(side.widen(), None);
        let mut space = [0; 2];
        assert_eq!((side.read(&mut space), space), (2, *b"ab"));
        assert_eq!((side.widen(), side.widen()), (Some(Segment::Window(2)), None));
        assert_eq!((side.read(&mut space), side.len()), (1, 0));
    }

    #[test]
    fn a_buffer_that_shrinks_takes_back_no_promise() {
        let mut side = ReceiveSide::new(4);
        side.set_capacity(2);
        side.arrived(b"abcd".to_vec());
        let mut space = [0; 3];
        side.read(&mut space);
        assert_eq!(side.widen(), Some(Segment::Window(1)));
        side.set_capacity(6);
        assert_eq!(side.widen(), Some(Segment::Window(4)));
    }

    #[test]
    fn a_connection_is_over_when_both_directions_are_or_it_was_reset() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        let new = || Connection::new((addr, addr), SocketId::FIRST, SendSide::new(1, 1), ReceiveSide::new(1));
        let mut connection = new();
        connection.receiving.ended();
        connection.sending.finish();
        assert!(!connection.is_over(), "the end has not been sent");
        assert_eq!(connection.sending.next(), Some(Segment::Fin));
        assert!(connection.is_over());
        let mut connection = new();
        connection.reset();
        assert!(connection.is_over());
    }
}
