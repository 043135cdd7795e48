//! A connection of a fuzzed reactor, with what must be true of its bytes.

use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;

use runtime_core::errno::Errno;
use runtime_core::op::{Completion, Control, Fd, Op, Token};

use crate::driver::{CANCELED, DONE, Driver, count};
use crate::pattern::Pattern;
use crate::world::Peer;

pub(super) struct Connection {
    pub(super) ours: Fd,
    peer: Option<Box<dyn Peer>>,
    to_us: Flow,
    to_peer: Flow,
    receiving: Option<Token>,
    writable: Option<Token>,
    /// A staged write, with its bytes. There is one at most: what comes behind a short one would be out of order.
    sending: Option<(Token, Vec<u8>)>,
    /// How receiving ended.
    end: Option<Result<usize, Errno>>,
    /// Somebody has reset it, so bytes may be lost.
    is_lossy: bool,
    has_shut_down: bool,
}

/// Bytes in one direction.
struct Flow {
    sent: Pattern,
    seen: Pattern,
    sent_len: usize,
    seen_len: usize,
}

impl Connection {
    pub(super) fn new(ours: Fd, peer: Box<dyn Peer>, stream: u64) -> Self {
        Self {
            ours,
            peer: Some(peer),
            to_us: Flow::new(stream),
            to_peer: Flow::new(stream + 1),
            receiving: None,
            writable: None,
            sending: None,
            end: None,
            is_lossy: false,
            has_shut_down: false,
        }
    }

    // What the peer does.

    pub(super) fn peer_writes(&mut self, len: usize) {
        let Some(peer) = &mut self.peer else { return };
        let bytes = self.to_us.next(len);
        match peer.try_write(&bytes) {
            Ok(written) => self.to_us.advance(written),
            Err(error) => self.allow(error),
        }
    }

    pub(super) fn peer_reads(&mut self, len: usize) {
        let Some(peer) = &mut self.peer else { return };
        let mut bytes = vec![0; len];
        match peer.try_read(&mut bytes) {
            Ok(read) => self.to_peer.see(&bytes[..read]),
            Err(error) => self.allow(error),
        }
    }

    pub(super) fn peer_leaves(&mut self, aborts: bool) {
        // Also what it has not read is answered with a reset.
        self.is_lossy = true;
        match self.peer.take() {
            Some(peer) if aborts => peer.reset(),
            peer => drop(peer),
        }
    }

    // What the reactor is asked for.

    pub(super) fn receives(&mut self, driver: &mut Driver) {
        if self.receiving.is_none() && self.end.is_none() {
            self.receiving = Some(driver.receive(self.ours));
        }
    }

    pub(super) fn wants_to_write(&mut self, driver: &mut Driver) {
        if self.writable.is_none() {
            self.writable = Some(driver.writable(self.ours));
        }
    }

    pub(super) fn sends(&mut self, driver: &mut Driver, len: usize) {
        if self.sending.is_none() {
            let bytes = self.to_peer.next(len);
            let data = bytes.clone().into();
            self.sending = Some((driver.stage(Op::Send { fd: self.ours, data }), bytes));
        }
    }

    pub(super) fn attempts(&mut self, driver: &mut Driver, len: usize) {
        if self.sending.is_none() {
            match driver.attempt(self.ours, &self.to_peer.next(len)) {
                Ok(written) => self.to_peer.advance(written),
                Err(error) => self.allow(error),
            }
        }
    }

    pub(super) fn shuts_down(&mut self, driver: &mut Driver) {
        if !self.has_shut_down {
            self.has_shut_down = true;
            if let Err(error) = driver.control(self.ours, Control::Shutdown(Shutdown::Write)) {
                self.allow(error);
            }
        }
    }

    pub(super) fn cancels(&mut self, driver: &mut Driver) {
        [self.receiving, self.writable].into_iter().flatten().for_each(|token| driver.cancel(token));
    }

    /// Goes on under another name. The former one is stale.
    pub(super) fn moves(&mut self, driver: &mut Driver) -> Option<Fd> {
        if self.sending.is_some() {
            return None;
        }
        let (exported, former) = (driver.export(self.ours), self.ours);
        self.ours = driver.import(exported);
        Some(former)
    }

    // What comes of it.

    /// Says whether this was one of its operations.
    pub(super) fn takes(&mut self, completion: &Completion) -> bool {
        let token = completion.token;
        if self.receiving == Some(token) {
            self.received(completion);
        } else if self.writable == Some(token) {
            self.writable = None;
        } else if self.sending.as_ref().is_some_and(|(sending, _)| *sending == token) {
            self.sending = None;
            match count(completion) {
                Ok(written) => self.to_peer.advance(written),
                Err(errno) => self.allow(errno.into()),
            }
        } else {
            return false;
        }
        true
    }

    fn received(&mut self, completion: &Completion) {
        if let Some(chunk) = &completion.data {
            self.to_us.see(chunk);
        }
        if completion.more {
            return;
        }
        self.receiving = None;
        match count(completion) {
            // The latter, if it was renamed before the turn.
            CANCELED | Err(Errno::EBADF) => (),
            DONE => self.end = Some(DONE),
            Ok(count) => panic!("{count} bytes at the end"),
            Err(errno) => {
                self.allow(errno.into());
                self.end = Some(Err(errno));
            }
        }
    }

    /// An error that the other end is the reason for, or the want of room.
    fn allow(&mut self, error: io::Error) {
        let is_allowed = match error.kind() {
            ErrorKind::WouldBlock => true,
            ErrorKind::BrokenPipe => self.is_lossy || self.has_shut_down,
            ErrorKind::ConnectionReset | ErrorKind::NotConnected => self.is_lossy,
            _ => false,
        };
        assert!(is_allowed, "{error} on a sound connection");
    }

    // How it ends.

    /// The peer says that nothing more comes.
    pub(super) fn winds_up(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.shutdown(Shutdown::Write).expect("shutdown");
        }
    }

    /// Whether all that came has been received, and nothing is under way.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some() && self.sending.is_none()
    }

    /// Checks that nothing is lost unless somebody has reset it.
    pub(super) fn ends(mut self, driver: &mut Driver) {
        assert!(self.is_lossy || self.to_us.is_complete(), "bytes are lost");
        self.shuts_down(driver);
        if let Some(mut peer) = self.peer.take() {
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).expect("the peer reads to the end");
            self.to_peer.see(&rest);
            assert!(self.to_peer.is_complete(), "bytes are lost");
        }
        self.closes(driver);
    }

    pub(super) fn closes(self, driver: &mut Driver) -> Fd {
        driver.close(self.ours);
        self.ours
    }
}

impl Flow {
    fn new(stream: u64) -> Self {
        let pattern = Pattern::new(stream);
        Self { sent: pattern.clone(), seen: pattern, sent_len: 0, seen_len: 0 }
    }

    /// What comes next, if it is sent.
    fn next(&self, len: usize) -> Vec<u8> {
        self.sent.clone().take(len)
    }

    fn advance(&mut self, len: usize) {
        self.sent.take(len);
        self.sent_len += len;
    }

    fn see(&mut self, bytes: &[u8]) {
        self.seen.expect(bytes);
        self.seen_len += bytes.len();
        assert!(self.seen_len <= self.sent_len, "more than was sent");
    }

    fn is_complete(&self) -> bool {
        self.sent_len == self.seen_len
    }
}
