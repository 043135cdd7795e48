//! The operations under way.
//!
//! ```text
//! (none) --start--> in the kernel --end--> (none)
//!                    |         ^             ^
//!                  park      resume          |
//!                    v         |             |
//!                   parked ----+--- cancel --+
//! ```
//!
//! Only a receive parks: when the pool is empty. Parked receives resume in the order in which they parked, but
//! in each turn those that got nothing go before those that did. Otherwise one stream that is never short of
//! data would take all chunks as soon as there are any, be the first to find none left, and so park first again.

use std::collections::BTreeMap;
use std::os::fd::RawFd;

use runtime_core::op::{Op, Token};

/// An operation between its staging and its terminal completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) token: Token,
    pub(crate) op: Op,
    /// Its end has been asked for: it must not be started again.
    pub(crate) cancelled: bool,
    /// The reactor has asked the kernel for the end of its request, but not because the operation is over.
    pub(crate) recalled: bool,
    /// Started in the second way: a receive in single shots ([`crate::ends`]), a wait for room in many.
    pub(crate) fallback: bool,
    /// A receive that has got data since it was last started.
    pub(crate) fed: bool,
    /// A receive that may have missed the end of its stream.
    pub(crate) suspect: bool,
    parked: Option<Place>,
}

/// A place in the queue of parked receives: a turn's number, and in which order they parked.
type Place = (u64, u64);

impl Flight {
    pub(crate) fn new(token: Token, op: Op) -> Self {
        let (cancelled, recalled, fallback, fed, suspect) = (false, false, false, false, false);
        Self { token, op, cancelled, recalled, fallback, fed, suspect, parked: None }
    }

    /// The socket of a receive with which the kernel goes on until it is told otherwise.
    pub(crate) fn multishot_receive(&self) -> Option<RawFd> {
        match self.op {
            Op::Receive { fd } if self.parked.is_none() && !self.cancelled && !self.fallback => Some(fd),
            _ => None,
        }
    }
}

/// Every operation under way, by slot.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    len: usize,
    receives: usize,
    parked: BTreeMap<Place, Token>,
    round: u64,
    next_place: u64,
}

impl Flights {
    pub(crate) fn start(&mut self, token: Token, op: Op) {
        if self.slots.len() <= token.slot() {
            self.slots.resize(token.slot() + 1, None);
        }
        let former = self.slots[token.slot()].replace(Flight::new(token, op));
        assert!(former.is_none(), "{token:?} was staged while its slot was in use by {former:?}");
        self.len += 1;
        self.receives += usize::from(matches!(op, Op::Receive { .. }));
    }

    pub(crate) fn end(&mut self, token: Token) {
        let ended = self.slots[token.slot()].take_if(|flight| flight.token == token);
        let ended = ended.expect("an operation ends once");
        self.len -= 1;
        self.receives -= usize::from(matches!(ended.op, Op::Receive { .. }));
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Flight> {
        self.slots.get_mut(token.slot())?.as_mut().filter(|flight| flight.token == token)
    }

    /// Whoever has the slot now.
    pub(crate) fn in_slot(&self, slot: usize) -> Option<&Flight> {
        self.slots.get(slot)?.as_ref()
    }

    /// Marks an operation as cancelled, which takes it out of the queue of parked ones; says where it was. `None`
    /// if there is nothing to do: it is unknown, or its end has been asked for before.
    pub(crate) fn cancel(&mut self, token: Token) -> Option<Whereabouts> {
        let flight = self.get_mut(token).filter(|flight| !flight.cancelled)?;
        flight.cancelled = true;
        Some(match flight.parked.take() {
            None => Whereabouts::Kernel,
            Some(place) => {
                self.parked.remove(&place);
                Whereabouts::Parked
            }
        })
    }

    pub(crate) fn park(&mut self, token: Token) {
        let (round, order) = (self.round, self.next_place);
        self.next_place += 1;
        let flight = self.get_mut(token).expect("only an operation under way parks");
        let place = (round + u64::from(flight.fed), order);
        flight.parked = Some(place);
        self.parked.insert(place, token);
    }

    /// A turn begins.
    pub(crate) fn next_round(&mut self) {
        self.round += 1;
    }

    /// Takes the next receive out of the queue of parked ones, to be started again.
    pub(crate) fn resume(&mut self) -> Option<Token> {
        let (_, token) = self.parked.pop_first()?;
        self.get_mut(token).expect("a parked operation is under way").parked = None;
        Some(token)
    }

    /// How many receives are under way.
    pub(crate) fn receives(&self) -> usize {
        self.receives
    }

    /// How many receives are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// How many operations the kernel has, or will have once they are submitted. Parked ones that have been
    /// cancelled count, too, until they end.
    pub(crate) fn in_kernel(&self) -> usize {
        self.len - self.parked.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.slots.iter().flatten()
    }
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    Kernel,
    Parked,
}
