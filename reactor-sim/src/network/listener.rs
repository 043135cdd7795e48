//! Connections that wait to be accepted, and those that wait to be there.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::socket::SocketId;

/// `net.core.somaxconn`: no backlog is longer.
const LONGEST_BACKLOG: usize = 4_096;

/// What a listening socket knows.
pub(crate) struct Listener {
    backlog: usize,
    /// Whose other end does not know yet that it is connected.
    in_handshake: Vec<SocketId>,
    /// Who can be accepted.
    ready: VecDeque<SocketId>,
    /// Who asked while the backlog was full. Linux lets them ask again and again, here they queue.
    waiting: VecDeque<Syn>,
}

/// The wish for a connection.
pub(crate) struct Syn {
    pub(crate) client: SocketId,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// How many bytes the client has room for.
    pub(crate) window: usize,
}

impl Listener {
    pub(crate) fn new(backlog: i32) -> Self {
        let mut listener =
            Self { backlog: 0, in_handshake: Vec::new(), ready: VecDeque::new(), waiting: VecDeque::new() };
        listener.set_backlog(backlog);
        listener
    }

    /// A negative one is as long as possible.
    pub(crate) fn set_backlog(&mut self, backlog: i32) {
        self.backlog =
            usize::try_from(backlog).map_or(LONGEST_BACKLOG, |backlog| backlog.min(LONGEST_BACKLOG));
    }

    /// Whether nobody more can be taken in: there is room for one more than was asked for (`sk_acceptq_is_full`).
    pub(crate) fn is_full(&self) -> bool {
        self.in_handshake.len() + self.ready.len() > self.backlog
    }

    pub(crate) fn let_wait(&mut self, syn: Syn) {
        self.waiting.push_back(syn);
    }

    /// Who has waited longest, if there is room.
    pub(crate) fn next_waiting(&mut self) -> Option<Syn> {
        if self.is_full() { None } else { self.waiting.pop_front() }
    }

    pub(crate) fn handshake_begins(&mut self, child: SocketId) {
        self.in_handshake.push(child);
    }

    pub(crate) fn handshake_ends(&mut self, child: SocketId) {
        self.forget(child);
        self.ready.push_back(child);
    }

    /// The other end has given up in the handshake.
    pub(crate) fn forget(&mut self, child: SocketId) {
        self.in_handshake.retain(|&other| other != child);
    }

    pub(crate) fn is_acceptable(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(crate) fn accept(&mut self) -> Option<SocketId> {
        self.ready.pop_front()
    }

    /// All who have been taken in and not accepted, and all who wait to be.
    pub(crate) fn into_parts(self) -> (impl Iterator<Item = SocketId>, impl Iterator<Item = Syn>) {
        (self.in_handshake.into_iter().chain(self.ready), self.waiting.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_has_room_for_one_more() {
        let mut listener = Listener::new(1);
        listener.handshake_begins(SocketId::new(1));
        listener.handshake_ends(SocketId::new(1));
        assert!(!listener.is_full());
        listener.handshake_begins(SocketId::new(2));
        assert!(listener.is_full());
        assert_eq!(listener.accept(), Some(SocketId::new(1)));
        assert!(!listener.is_full() && !listener.is_acceptable());
    }

    #[test]
    fn a_negative_backlog_is_the_longest() {
        for (backlog, room) in [(-1, 4_097), (i32::MAX, 4_097), (7, 8), (0, 1)] {
            let mut listener = Listener::new(backlog);
            let taken = (0..).take_while(|&id| {
                let is_full = listener.is_full();
                listener.handshake_begins(SocketId::new(id));
                !is_full
            });
            assert_eq!(taken.count(), room, "{backlog}");
        }
    }
}
