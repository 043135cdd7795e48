//! What the reactor knows of each descriptor, and which of them an operation waits on.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use runtime_core::op::Token;

use crate::poller::Interest;

/// All descriptors, by number.
#[derive(Default)]
pub(crate) struct Table {
    descriptors: Vec<Descriptor>,
    /// By the slot of a token: the descriptor that its operation last waited on. Nothing is ever taken out:
    /// whether the operation waits there still is for the token in the descriptor to say.
    waits_on: Vec<RawFd>,
}

/// One descriptor, watched from its first operation on, edge-triggered.
///
/// ```text
/// interest:  Nothing --accept, receive--> Reading --connect, writable--> ReadingAndWriting
///               \--------------------connect, writable-------------------------^
///            any --close, or the number comes back as another descriptor--> Nothing
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
pub(crate) struct Descriptor {
    pub(crate) interest: Interest,
    /// Which descriptor of this number it is: an event of another one is stale.
    generation: u32,
    pub(crate) readable: bool,
    /// Whether a receive of less than a chunk drains it, if no event says otherwise. True of TCP. A Unix
    /// socket stops short where descriptors were sent along, a datagram socket at the end of each datagram.
    pub(crate) short_means_drained: bool,
    /// An event said otherwise: the end, an error or a mark is behind the bytes.
    pub(crate) read_on: bool,
    pub(crate) full: bool,
    /// In the queue of descriptors to accept from; to receive from. So each is in each at most once.
    pub(crate) in_accepts: bool,
    pub(crate) in_receives: bool,
    pub(crate) reader: Option<Reader>,
    pub(crate) writer: Option<Writer>,
}

/// An operation that waits, until its terminal completion.
#[derive(Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) token: Token,
    /// Open for as long as the operation waits: [`runtime_core::reactor::Reactor::turn`] demands it.
    pub(crate) fd: BorrowedFd<'static>,
}

#[derive(Clone, Copy)]
pub(crate) enum Reader {
    Accept(Waiting),
    Receive(Waiting),
}

#[derive(Clone, Copy)]
pub(crate) enum Writer {
    Connect(Waiting),
    Writable(Waiting),
}

impl Table {
    /// The descriptor of that number.
    ///
    /// # Panics
    ///
    /// If no operation was ever staged on it, or if it is negative. Those that the kernel let us watch are neither.
    pub(crate) fn get(&mut self, fd: RawFd) -> &mut Descriptor {
        &mut self.descriptors[fd as usize]
    }

    /// The descriptor of that number, made if it is the first.
    pub(crate) fn get_or_insert(&mut self, fd: BorrowedFd<'_>) -> &mut Descriptor {
        let index = fd.as_raw_fd() as usize;
        if index >= self.descriptors.len() {
            self.descriptors.resize_with(index + 1, Descriptor::default);
        }
        &mut self.descriptors[index]
    }

    /// What a descriptor is watched for, and the word that says so to epoll: its generation and its number.
    pub(crate) fn watch_of(&self, fd: BorrowedFd<'_>) -> (Interest, u64) {
        let fd = fd.as_raw_fd() as u32;
        let descriptor = self.descriptors.get(fd as usize);
        let (interest, generation) = descriptor.map_or_else(Default::default, |d| (d.interest, d.generation));
        (interest, u64::from(generation) << 32 | u64::from(fd))
    }

    /// Whether a send would have to wait, as far as is known.
    pub(crate) fn is_full(&self, fd: BorrowedFd<'_>) -> bool {
        self.descriptors.get(fd.as_raw_fd() as usize).is_some_and(|descriptor| descriptor.full)
    }

    /// The descriptor that an event is about, unless the event is stale.
    pub(crate) fn watched_with(&mut self, data: u64) -> Option<(RawFd, &mut Descriptor)> {
        let fd = data as u32 as RawFd;
        let descriptor = self.descriptors.get_mut(usize::try_from(fd).ok()?)?;
        (descriptor.generation == (data >> 32) as u32).then_some((fd, descriptor))
    }

    /// Remembers where to look for an operation when it is cancelled.
    pub(crate) fn note(&mut self, token: Token, fd: BorrowedFd<'_>) {
        let slot = token.slot();
        if slot >= self.waits_on.len() {
            self.waits_on.resize(slot + 1, 0);
        }
        self.waits_on[slot] = fd.as_raw_fd();
    }

    /// Takes a waiting operation away from its descriptor. Whether there was one.
    pub(crate) fn cancel(&mut self, target: Token) -> bool {
        let Some(&fd) = self.waits_on.get(target.slot()) else { return false };
        let Some(descriptor) = self.descriptors.get_mut(fd as usize) else { return false };
        if descriptor.reader.is_some_and(|reader| reader.waiting().token == target) {
            descriptor.reader = None;
            return true;
        }
        if descriptor.writer.is_some_and(|writer| writer.waiting().token == target) {
            descriptor.writer = None;
            return true;
        }
        false
    }

    /// Forgets the descriptor of that number: it is closed, or the number came back as another one.
    ///
    /// Returns the operations that waited on it, which are none if all kept to the contract.
    pub(crate) fn forget(&mut self, fd: RawFd) -> [Option<Token>; 2] {
        let Some(descriptor) = self.descriptors.get_mut(fd as usize) else { return [None; 2] };
        let old = std::mem::take(descriptor);
        descriptor.generation = old.generation.wrapping_add(1);
        // The queues still hold the number.
        descriptor.in_accepts = old.in_accepts;
        descriptor.in_receives = old.in_receives;
        [old.reader.map(|reader| reader.waiting().token), old.writer.map(|writer| writer.waiting().token)]
    }
}

impl Reader {
    pub(crate) fn waiting(self) -> Waiting {
        let (Reader::Accept(waiting) | Reader::Receive(waiting)) = self;
        waiting
    }
}

impl Writer {
    pub(crate) fn waiting(self) -> Waiting {
        let (Writer::Connect(waiting) | Writer::Writable(waiting)) = self;
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A number that is open in every process; no test here makes a system call with it.
    const FD: RawFd = 1;

    fn waiting(slot: u32, generation: u32) -> Waiting {
        // SAFETY: standard output stays open.
        Waiting { token: Token::new(slot, generation), fd: unsafe { BorrowedFd::borrow_raw(FD) } }
    }

    fn table_with_a_reader(reader: Waiting) -> Table {
        let mut table = Table::default();
        table.get_or_insert(reader.fd).reader = Some(Reader::Receive(reader));
        table.note(reader.token, reader.fd);
        table
    }

    #[test]
    fn a_cancel_takes_its_target_only_and_once() {
        let mut table = table_with_a_reader(waiting(3, 5));
        assert!(!table.cancel(Token::new(3, 4)), "a former use of the slot");
        assert!(!table.cancel(Token::new(2, 5)), "a slot that never waited");
        assert!(!table.cancel(Token::new(9, 5)), "a slot beyond the table");
        assert!(table.cancel(Token::new(3, 5)));
        assert!(!table.cancel(Token::new(3, 5)));
    }

    #[test]
    fn a_cancel_leaves_the_other_direction_alone() {
        let mut table = table_with_a_reader(waiting(0, 0));
        let writer = waiting(1, 0);
        table.get(FD).writer = Some(Writer::Writable(writer));
        table.note(writer.token, writer.fd);
        assert!(table.cancel(writer.token));
        assert!(table.get(FD).reader.is_some() && table.get(FD).writer.is_none());
    }

    #[test]
    fn forgetting_makes_events_stale_and_returns_what_waited() {
        let reader = waiting(0, 0);
        let mut table = table_with_a_reader(reader);
        table.get(FD).interest = Interest::Reading;
        table.get(FD).in_receives = true;
        let (_, data) = table.watch_of(reader.fd);
        assert_eq!(table.watched_with(data).map(|(fd, _)| fd), Some(FD));

        assert_eq!(table.forget(FD), [Some(reader.token), None]);
        assert!(table.watched_with(data).is_none());
        assert!(table.get(FD).in_receives, "the queue still holds the number");
        let (interest, data) = table.watch_of(reader.fd);
        assert_eq!(interest, Interest::Nothing);
        assert!(table.watched_with(data).is_some());
    }

    #[test]
    fn a_number_that_was_never_seen_is_watched_for_nothing() {
        let mut table = Table::default();
        assert_eq!(table.forget(FD), [None; 2]);
        assert_eq!(table.watch_of(waiting(0, 0).fd), (Interest::Nothing, FD as u64));
        assert!(table.watched_with(FD as u64).is_none());
    }
}
