//! The slots of all levels, and the bitmaps that find the first occupied one.

use std::ops::Index;

use slab::Slab;

use crate::list::{Entry, List};

/// One slot per value of a digit, so that a level's occupied slots fit in a `u64`.
const DIGIT_BITS: u32 = 6;
pub(crate) const SLOTS: u32 = 1 << DIGIT_BITS;
pub(crate) const LEVELS: u32 = u64::BITS.div_ceil(DIGIT_BITS);

/// Names a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) level: u32,
    pub(crate) slot: u32,
}

pub(crate) struct Slots {
    /// Bit n: level n has an occupied slot.
    pub(crate) levels: u16,
    /// Bit n: the level's slot n is occupied.
    pub(crate) occupied: [u64; LEVELS as usize],
    /// Level by level; none until the first timer, so that creating a wheel is cheap.
    pub(crate) lists: Vec<List>,
}

impl Place {
    /// The place of a deadline, which must not be before `elapsed_ns`: at the first digit in which they differ, or at
    /// level 0 if they are equal.
    #[inline]
    pub(crate) fn of(deadline_ns: u64, elapsed_ns: u64) -> Self {
        let highest_bit = ((deadline_ns ^ elapsed_ns) | 1).ilog2();
        let level = highest_bit / DIGIT_BITS;
        Self { level, slot: (deadline_ns >> (level * DIGIT_BITS)) as u32 % SLOTS }
    }

    /// The first deadline that belongs here: the digits of `elapsed_ns` above this level, then the slot, then zeros.
    pub(crate) fn start_ns(self, elapsed_ns: u64) -> u64 {
        let shift = self.level * DIGIT_BITS;
        let above = elapsed_ns >> shift & !u64::from(SLOTS - 1);
        (above | u64::from(self.slot)) << shift
    }

    /// Whether the slot's start is the deadline of all its timers.
    pub(crate) fn is_exact(self) -> bool {
        self.level == 0
    }

    fn index(self) -> usize {
        (self.level * SLOTS + self.slot) as usize
    }
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Self { levels: 0, occupied: [0; LEVELS as usize], lists: Vec::new() }
    }

    /// The occupied slot that comes first in time.
    pub(crate) fn first(&self) -> Option<Place> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        Some(Place { level, slot: self.occupied[level as usize].trailing_zeros() })
    }

    #[inline]
    pub(crate) fn push_back<T>(&mut self, place: Place, entries: &mut Slab<Entry<T>>, index: u32) {
        if self.lists.is_empty() {
            self.lists.resize((LEVELS * SLOTS) as usize, List::default());
        }
        self.lists[place.index()].push_back(entries, index);
        self.levels |= 1 << place.level;
        self.occupied[place.level as usize] |= 1 << place.slot;
    }

    #[inline]
    pub(crate) fn unlink<T>(&mut self, place: Place, entries: &mut Slab<Entry<T>>, index: u32) {
        let list = &mut self.lists[place.index()];
        list.unlink(entries, index);
        if list.is_empty() {
            self.mark_empty(place);
        }
    }

    /// Empties a slot and returns its list, whose entries are still linked.
    pub(crate) fn clear(&mut self, place: Place) -> List {
        self.mark_empty(place);
        std::mem::take(&mut self.lists[place.index()])
    }

    fn mark_empty(&mut self, place: Place) {
        let occupied = &mut self.occupied[place.level as usize];
        *occupied &= !(1 << place.slot);
        if *occupied == 0 {
            self.levels &= !(1 << place.level);
        }
    }
}

impl Index<Place> for Slots {
    type Output = List;

    fn index(&self, place: Place) -> &List {
        &self.lists[place.index()]
    }
}
