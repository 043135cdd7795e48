//! What the reactor knows of each descriptor, and which of them an operation waits on.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use kernel::descriptors::Descriptors;
use runtime_core::address::{Family, Kind};
use runtime_core::op::{Fd, Token};
use socket2::{Protocol, SockRef};

use crate::poller::Interest;

/// All descriptors, and where operations wait.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) descriptors: Descriptors<State>,
    /// By the slot of a token: the descriptor that its operation last waited on. Nothing is ever taken out:
    /// whether the operation waits there still is for the token in the state to say.
    waits_on: Vec<Fd>,
}

/// What is known of one descriptor, which is watched from its first operation on, edge-triggered.
///
/// ```text
/// interest:  Nothing --accept, receive--> Reading --connect, writable--> ReadingAndWriting
///               \--------------------connect, writable-------------------------^
///            any --close, export--> (gone)
///
/// reading:   drained --event--> readable
///            drained <--EAGAIN, or a receive of less than a chunk where that proves it-- readable
///
/// writing:   room --a send is refused, or cut short--> full
///            room <--event-- full
/// ```
///
/// Only a readable descriptor is received from. A new one counts as drained, of which epoll will say if it is
/// wrong, and as having room, of which the next send will.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) sort: Sort,
    pub(crate) interest: Interest,
    pub(crate) readable: bool,
    /// A short receive does not drain it this time, whatever its sort: the end, an error or a mark is behind the bytes.
    pub(crate) read_on: bool,
    pub(crate) full: bool,
    /// The kernel cannot tell whether a read would have to wait.
    pub(crate) reads_may_wait: bool,
    /// In the queue of descriptors to accept from; to receive from. So each is in each at most once.
    pub(crate) in_accepts: bool,
    pub(crate) in_receives: bool,
    pub(crate) reader: Option<Reader>,
    pub(crate) writer: Option<Writer>,
}

/// What a descriptor is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// No socket, and so nothing to wait for.
    #[default]
    File,
    /// A TCP socket: a receive of less than a chunk drains it, unless an event says otherwise.
    Tcp,
    /// Another socket, of which that is not true. A Unix socket stops short where descriptors were sent along, a
    /// datagram socket at the end of each datagram.
    Socket,
}

/// An operation that waits to read, until its terminal completion.
#[derive(Clone, Copy)]
pub(crate) enum Reader {
    Accept(Token),
    Receive(Token),
}

/// An operation that waits to write.
#[derive(Clone, Copy)]
pub(crate) enum Writer {
    Connect(Token),
    Writable(Token),
}

impl Table {
    pub(crate) fn insert(&mut self, fd: OwnedFd, sort: Sort) -> Fd {
        let fd = self.descriptors.insert(fd);
        if let Ok((_, state)) = self.descriptors.get_mut(fd) {
            state.sort = sort;
        }
        fd
    }

    /// Remembers where to look for an operation when it is cancelled.
    #[inline]
    pub(crate) fn note(&mut self, token: Token, fd: Fd) {
        let slot = token.slot();
        if slot >= self.waits_on.len() {
            self.waits_on.resize(slot + 1, fd);
        }
        self.waits_on[slot] = fd;
    }

    /// Takes a waiting operation away from its descriptor. Whether there was one.
    pub(crate) fn cancel(&mut self, target: Token) -> bool {
        let Some(&fd) = self.waits_on.get(target.slot()) else { return false };
        let Ok((_, state)) = self.descriptors.get_mut(fd) else { return false };
        if state.reader.is_some_and(|reader| reader.token() == target) {
            state.reader = None;
            return true;
        }
        if state.writer.is_some_and(|writer| writer.token() == target) {
            state.writer = None;
            return true;
        }
        false
    }
}

impl Sort {
    /// That of a new socket.
    pub(crate) fn of_new(family: Family, kind: Kind) -> Self {
        match (family, kind) {
            (Family::V4 | Family::V6, Kind::Stream) => Sort::Tcp,
            (Family::V4 | Family::V6, Kind::Datagram | Kind::SeqPacket) | (Family::Unix, _) => Sort::Socket,
        }
    }

    /// That of a descriptor that was opened elsewhere.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // Nothing but a socket has a protocol.
        match SockRef::from(&fd).protocol() {
            Ok(Some(Protocol::TCP)) => Ok(Sort::Tcp),
            Ok(_) => Ok(Sort::Socket),
            Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => Ok(Sort::File),
            Err(error) => Err(error),
        }
    }
}

impl State {
    /// The operations that wait.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Token> {
        self.reader.map(Reader::token).into_iter().chain(self.writer.map(Writer::token))
    }
}

impl Reader {
    #[inline]
    pub(crate) fn token(self) -> Token {
        let (Reader::Accept(token) | Reader::Receive(token)) = self;
        token
    }
}

impl Writer {
    #[inline]
    pub(crate) fn token(self) -> Token {
        let (Writer::Connect(token) | Writer::Writable(token)) = self;
        token
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn table_with_a_reader(reader: Token) -> (Table, Fd) {
        let mut table = Table::default();
        let fd = table.insert(UnixStream::pair().unwrap().0.into(), Sort::Socket);
        table.descriptors.get_mut(fd).unwrap().1.reader = Some(Reader::Receive(reader));
        table.note(reader, fd);
        (table, fd)
    }

    #[test]
    fn a_cancel_takes_its_target_only_and_once() {
        let (mut table, _) = table_with_a_reader(Token::new(3, 5));
        assert!(!table.cancel(Token::new(3, 4)), "a former use of the slot");
        assert!(!table.cancel(Token::new(2, 5)), "a slot that never waited");
        assert!(!table.cancel(Token::new(9, 5)), "a slot beyond the table");
        assert!(table.cancel(Token::new(3, 5)));
        assert!(!table.cancel(Token::new(3, 5)));
    }

    #[test]
    fn a_cancel_leaves_the_other_direction_alone() {
        let (mut table, fd) = table_with_a_reader(Token::new(0, 0));
        let writer = Token::new(1, 0);
        table.descriptors.get_mut(fd).unwrap().1.writer = Some(Writer::Writable(writer));
        table.note(writer, fd);
        assert!(table.cancel(writer));
        let state = table.descriptors.get_mut(fd).unwrap().1;
        assert!(state.reader.is_some() && state.writer.is_none());
    }

    #[test]
    fn a_cancel_of_what_waited_on_a_descriptor_that_is_gone_takes_nothing() {
        let (mut table, fd) = table_with_a_reader(Token::new(0, 0));
        let (_, state) = table.descriptors.remove(fd).unwrap();
        assert!(state.waiting().eq([Token::new(0, 0)]));
        assert!(!table.cancel(Token::new(0, 0)));
    }

    #[test]
    fn the_kernel_says_what_a_descriptor_is_of() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let unix = UnixStream::pair().unwrap().0;
        let file = std::fs::File::open("/dev/null").unwrap();
        let fds: [OwnedFd; 4] = [tcp.into(), udp.into(), unix.into(), file.into()];
        let sorts = fds.map(|fd| Sort::of(std::os::fd::AsFd::as_fd(&fd)).unwrap());
        assert_eq!(sorts, [Sort::Tcp, Sort::Socket, Sort::Socket, Sort::File]);
    }
}
