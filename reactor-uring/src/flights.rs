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

use runtime_core::op::{Fd, Token};

use crate::table::{Links, Table};
use crate::work::{Receive, Whereabouts, Work};

/// An operation between its staging and its terminal completion. It owns all that its request names, where the kernel
/// has been told that it is. So it stays until the request's last completion or, if that does not come, for ever.
pub(crate) struct Flight {
    pub(crate) work: Work,
    /// Its token's. The token's slot is the flight's.
    generation: u32,
    /// Those that wait on the same descriptor.
    pub(crate) links: Links,
    /// Its end has been asked for: it must not be started again.
    pub(crate) cancelled: bool,
    /// The reactor has asked the kernel for the end of its request, but not because the operation is over.
    pub(crate) recalled: bool,
    /// Started in the second way: a receive in single shots ([`crate::missed_ends`]), a wait for room in many.
    pub(crate) fallback: bool,
}

/// A place in the queue of parked receives: a turn's number, and in which order they parked.
pub(crate) type Place = (u64, u64);

impl Flight {
    pub(crate) fn new(generation: u32, work: Work) -> Self {
        let (cancelled, recalled, fallback) = (false, false, false);
        Self { work, generation, links: Links::default(), cancelled, recalled, fallback }
    }

    /// The socket of a receive with which the kernel goes on until it is told otherwise.
    pub(crate) fn multishot_receive(&self) -> Option<Fd> {
        let Work::Receive(Receive { fd, parked: None, .. }) = self.work else { return None };
        (!self.cancelled && !self.fallback).then_some(fd)
    }
}

/// Every operation under way, by slot.
#[derive(Default)]
pub(crate) struct Flights {
    slots: Vec<Option<Flight>>,
    len: usize,
    receives: usize,
    parked: BTreeMap<Place, Token>,
    round: u64,
    next_place: u64,
}

impl Flights {
    /// Adds an operation, also to those that wait on its descriptor.
    #[inline]
    pub(crate) fn insert(&mut self, token: Token, work: Work, table: &mut Table) {
        let waits_on = work.waits_on();
        let is_receive = matches!(work, Work::Receive(_));
        if self.slots.len() <= token.slot() {
            self.slots.resize_with(token.slot() + 1, || None);
        }
        let slot = &mut self.slots[token.slot()];
        assert!(slot.is_none(), "{token:?} was staged while its slot was in use");
        *slot = Some(Flight::new(token.generation(), work));
        self.len += 1;
        self.receives += usize::from(is_receive);
        if let Some(fd) = waits_on
            && let Ok((_, state)) = table.get_mut(fd)
        {
            state.waiting.add(token, self);
        }
    }

    /// Takes out what is over.
    #[inline]
    pub(crate) fn remove(&mut self, token: Token, table: &mut Table) -> Work {
        let slot = &mut self.slots[token.slot()];
        let ended = slot.take_if(|flight| flight.generation == token.generation());
        let Flight { work, links, .. } = ended.expect("an operation ends once");
        self.len -= 1;
        self.receives -= usize::from(matches!(work, Work::Receive(_)));
        if let Some(fd) = work.waits_on()
            && let Ok((_, state)) = table.get_mut(fd)
        {
            state.waiting.remove(links, self);
        }
        work
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Flight> {
        let flight = self.slots.get_mut(token.slot())?.as_mut();
        flight.filter(|flight| flight.generation == token.generation())
    }

    /// Whoever has the slot now.
    pub(crate) fn in_slot(&self, slot: usize) -> Option<(Token, &Flight)> {
        let flight = self.slots.get(slot)?.as_ref()?;
        Some((Token::new(slot as u32, flight.generation), flight))
    }

    /// The neighbours of the flight in a slot that is in use.
    pub(crate) fn links_mut(&mut self, slot: usize) -> &mut Links {
        &mut self.slots[slot].as_mut().expect("it is under way").links
    }

    /// Marks an operation as cancelled, which takes it out of the queue of parked ones; says where it was. `None`
    /// if there is nothing to do: it is unknown, or its end has been asked for before.
    pub(crate) fn cancel(&mut self, token: Token) -> Option<Whereabouts> {
        let flight = self.get_mut(token).filter(|flight| !flight.cancelled)?;
        flight.cancelled = true;
        let whereabouts = flight.work.whereabouts();
        if let Work::Receive(Receive { parked, .. }) = &mut flight.work
            && let Some(place) = parked.take()
        {
            self.parked.remove(&place);
        }
        Some(whereabouts)
    }

    pub(crate) fn park(&mut self, token: Token) {
        let (round, order) = (self.round, self.next_place);
        self.next_place += 1;
        let receive = self.receive(token);
        let place = (round + u64::from(receive.fed), order);
        receive.parked = Some(place);
        self.parked.insert(place, token);
    }

    /// A turn begins.
    pub(crate) fn next_round(&mut self) {
        self.round += 1;
    }

    /// Takes the next receive out of the queue of parked ones, to be started again.
    pub(crate) fn resume(&mut self) -> Option<Token> {
        let (_, token) = self.parked.pop_first()?;
        self.receive(token).parked = None;
        Some(token)
    }

    fn receive(&mut self, token: Token) -> &mut Receive {
        let flight = self.get_mut(token).expect("it is under way");
        let Work::Receive(receive) = &mut flight.work else { unreachable!("only receives park") };
        receive
    }

    /// How many operations are under way.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many receives are under way.
    pub(crate) fn receives(&self) -> usize {
        self.receives
    }

    /// How many receives are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn tokens(&self) -> Vec<Token> {
        (0..self.slots.len()).filter_map(|slot| self.in_slot(slot)).map(|(token, _)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server has one for each idle connection.
    #[test]
    fn a_flight_fills_a_line_of_the_cache() {
        assert_eq!(size_of::<Option<Flight>>(), 64);
    }
}
