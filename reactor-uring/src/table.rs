//! What the reactor knows of its descriptors: above all which operations wait on them, so that they end with them.

use kernel::descriptors::Descriptors;
use runtime_core::op::Token;

use crate::flights::Flights;

/// The reactor's descriptors.
pub(crate) type Table = Descriptors<State>;

/// What is known of a descriptor.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) waiting: Waiting,
    /// Known to be a file that can be read at an offset.
    pub(crate) has_offsets: bool,
}

/// The operations that wait on a descriptor, oldest first: a list that leads through their flights.
#[derive(Default)]
pub(crate) struct Waiting {
    first: Link,
    last: Link,
}

/// The neighbours of a flight in such a list.
#[derive(Clone, Copy, Default)]
pub(crate) struct Links {
    before: Link,
    after: Link,
}

/// A slot, or none: no slot has this number ([`Token::to_bits`]).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Link(u32);

impl Link {
    const NONE: Link = Link(u32::MAX);

    fn to(token: Token) -> Self {
        Link(token.slot() as u32)
    }

    fn slot(self) -> Option<usize> {
        (self != Link::NONE).then_some(self.0 as usize)
    }
}

impl Default for Link {
    fn default() -> Self {
        Link::NONE
    }
}

impl Waiting {
    /// Appends an operation.
    pub(crate) fn add(&mut self, token: Token, flights: &mut Flights) {
        let links = Links { before: self.last, after: Link::NONE };
        flights.links_mut(token.slot()).clone_from(&links);
        match self.last.slot() {
            Some(last) => flights.links_mut(last).after = Link::to(token),
            None => self.first = Link::to(token),
        }
        self.last = Link::to(token);
    }

    /// Takes an operation out that is in here, with these links.
    pub(crate) fn remove(&mut self, links: Links, flights: &mut Flights) {
        let Links { before, after } = links;
        match before.slot() {
            Some(before) => flights.links_mut(before).after = after,
            None => self.first = after,
        }
        match after.slot() {
            Some(after) => flights.links_mut(after).before = before,
            None => self.last = before,
        }
    }

    /// The operations, all of which are still under way.
    pub(crate) fn tokens(&self, flights: &Flights) -> Vec<Token> {
        let at = |link: Link| link.slot().map(|slot| flights.in_slot(slot).expect("it is under way"));
        let all = std::iter::successors(at(self.first), |(_, flight)| at(flight.links.after));
        all.map(|(token, _)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::work::Work;

    #[test]
    fn operations_come_and_go_in_any_order() {
        let tokens = [4, 0, 7].map(|slot| Token::new(slot, slot));
        for removed in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let (mut flights, mut table) = (Flights::default(), Table::default());
            let fd = table.insert(File::open("/dev/null").expect("/dev/null").into());
            let mut expected = tokens.to_vec();
            for token in tokens {
                flights.insert(token, Work::Writable { fd }, &mut table);
            }
            for at in removed {
                assert_eq!(table.get_mut(fd).unwrap().1.waiting.tokens(&flights), expected);
                flights.remove(tokens[at], &mut table);
                expected.retain(|&token| token != tokens[at]);
            }
            let waiting = &table.get_mut(fd).unwrap().1.waiting;
            assert!(waiting.first == Link::NONE && waiting.last == Link::NONE, "after {removed:?}");
        }
    }
}
