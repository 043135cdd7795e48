//! A hierarchical timer wheel. It knows no clock and no runtime: its owner tells it the time.
//!
//! # How it works
//!
//! Keeping timers sorted costs O(log n) each, and most timers are cancelled long before they are due. A wheel sorts
//! only as finely as it must: timers that are far away lie in coarse slots until their time comes near.
//!
//! Write a deadline, and the time that the wheel has reached (`elapsed`), as numbers in base 64. 64 bits make eleven
//! digits. The position of the first digit in which the two differ says how far away the deadline is: it is the
//! *level*. The deadline's digit there is one of the level's 64 *slots*:
//!
//! ```text
//!  level       10   9   8   7   6   5   4   3   2   1   0
//!  elapsed      0   0   0   7   3   4  10   2   6  14   9
//!  deadline     0   0   0   7   3   4  12   5   1  60   0
//!                                      ^^ level 4, slot 12
//!
//!  level  a slot spans    slots 0, 1, 2 .. (.: empty, #: holds a list of timers, E: contains elapsed)
//!    0         1 ns       . . . . . . . . . E . # . . . . ..  one deadline in each list
//!    1        64 ns       . . . . . . . . . . . . . . E . ..
//!    2       4.1 us       . . . . . . E . . . # . . . . . ..
//!    3       262 us       . . E . . . . . . . . . . . . . ..
//!    4        17 ms       . . . . . . . . . . E . # . # . ..  the deadline above is in slot 12
//!    5       1.1 s        . . . . E . . . # . . . . . . . ..
//!   6..10   69 s, 73 min, 3.3 days, 209 days, 37 years (only 16 slots there: 4 bits are left of 64)
//! ```
//!
//! A timer's deadline differs from `elapsed` at the timer's level, so one rule always holds: **above level 0 the slot
//! that contains `elapsed` is empty**, and so are the slots before it. All timers of a lower level therefore come
//! before all of a higher one, and within a level the slots are in order. The earliest timer is in the first occupied
//! slot of the lowest occupied level: two bitmap look-ups.
//!
//! When `elapsed` enters an occupied slot, that slot's list is taken apart, and each of its timers is filed again, at a
//! lower level. A timer moves at most ten times in its life, and usually never, since most are removed before. At level
//! 0, where a tick is one nanosecond, all timers of a slot have the same deadline: no deadline is ever rounded.
//!
//! Lists are first-in-first-out and are taken apart in order. Timers with the same deadline always share a list, so
//! they fire in order of insertion.
//!
//! A deadline before `elapsed` has no place in the wheel. The few timers that are inserted that late wait in a sorted
//! map.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod list;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::num::NonZeroU32;

use slab::Slab;

use list::{Entry, List};
use slots::{Place, Slots};

/// A slot with more timers than this is not searched for its earliest.
const FEW: usize = 8;

/// A set of timers, each a deadline and a value.
///
/// Creating one allocates nothing. Memory is kept for reuse when timers leave.
///
/// ```
/// let mut wheel = timers::Wheel::new(0);
/// wheel.insert(20, "later");
/// let key = wheel.insert(15, "never");
/// wheel.insert(10, "soon");
/// wheel.remove(key);
///
/// assert_eq!(wheel.next_wakeup(), Some(10));
/// assert_eq!(wheel.pop_expired(9), None);
/// assert_eq!(wheel.pop_expired(30), Some("soon"));
/// assert_eq!(wheel.pop_expired(30), Some("later"));
/// assert!(wheel.is_empty());
/// ```
pub struct Wheel<T> {
    /// Every timer in `overdue` has a deadline before it, and no timer in `slots` does.
    elapsed_ns: u64,
    last_generation: NonZeroU32,
    entries: Slab<Entry<T>>,
    slots: Slots,
    overdue: BTreeMap<u64, List>,
}

/// Names one timer, for [`Wheel::remove`] and [`Wheel::get_mut`].
///
/// The key of a timer that has left matches no later one, even if that reuses its memory: the two differ in their
/// generation, the wheel's count of insertions. The generation has 32 bits and wraps, so a key would have to be kept
/// for exactly 2^32 - 1 insertions (or a multiple) to match another timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    index: u32,
    generation: NonZeroU32,
}

impl<T> Wheel<T> {
    /// An empty wheel. `now_ns` is where time starts; any later `now_ns` is counted from the same origin.
    pub fn new(now_ns: u64) -> Self {
        Self {
            elapsed_ns: now_ns,
            last_generation: NonZeroU32::MAX,
            entries: Slab::new(),
            slots: Slots::new(),
            overdue: BTreeMap::new(),
        }
    }

    /// Adds a timer. O(1). A deadline in the past is due at once, and still fires before any later one.
    ///
    /// (A deadline that even `pop_expired` has passed costs O(log n) in the number of such timers, here and
    /// in `remove`.)
    ///
    /// # Panics
    ///
    /// If the wheel already holds 2^32 - 1 timers.
    #[inline]
    pub fn insert(&mut self, deadline_ns: u64, value: T) -> Key {
        let generation = self.last_generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let vacant = self.entries.vacant_entry();
        let index = list::link(vacant.key());
        vacant.insert(Entry::new(deadline_ns, generation, value));
        self.last_generation = generation;
        self.file(index, deadline_ns);
        Key { index, generation }
    }

    /// Takes a timer out, or returns `None` if it has fired or was removed. O(1), and at once: nothing is
    /// left behind.
    #[inline]
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let deadline_ns = self.get_entry(key)?.deadline_ns;
        Some(self.take(key.index, deadline_ns))
    }

    /// The value of a timer, unless it has fired or was removed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.get_entry(key).map(|entry| &mut entry.value)
    }

    /// Takes out one timer whose deadline is not after `now_ns`: the earliest, and of equal ones the first
    /// inserted. `None` says that no timer is due. Call it until then.
    ///
    /// Amortized O(1). A `now_ns` before an earlier one is harmless: fewer timers are due.
    pub fn pop_expired(&mut self, now_ns: u64) -> Option<T> {
        if let Some((&deadline_ns, list)) = self.overdue.first_key_value()
            && deadline_ns <= now_ns
        {
            return list.first().map(|index| self.take(index, deadline_ns));
        }
        while let Some(place) = self.slots.first() {
            let start_ns = place.start_ns(self.elapsed_ns);
            if start_ns > now_ns {
                break;
            }
            if place.is_exact() {
                return self.slots[place].first().map(|index| self.take(index, start_ns));
            }
            // Straight to the earliest timer, if it is known, past the levels between.
            self.enter(place, now_ns.min(self.earliest_ns(place)));
        }
        // All occupied slots start later, so the first digit in which a timer differs stays the same.
        self.elapsed_ns = self.elapsed_ns.max(now_ns);
        None
    }

    /// When to call [`pop_expired`](Self::pop_expired) next: never after the earliest deadline, often exactly
    /// at it. `None` if there are no timers.
    ///
    /// It is exact if the earliest timer is near or has few neighbours in its slot, so that a lone sleep of an hour
    /// does not wake its thread once per level on the way. A crowded slot would take long to search, and a loop calls
    /// this on every turn: then it returns the start of the slot. Calling `pop_expired` at that time files the slot's
    /// timers at lower levels, so a timer causes at most ten such early calls.
    pub fn next_wakeup(&self) -> Option<u64> {
        match self.overdue.first_key_value() {
            Some((&deadline_ns, _)) => Some(deadline_ns),
            None => self.slots.first().map(|place| self.earliest_ns(place)),
        }
    }

    /// The number of timers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no timers.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn get_entry(&mut self, key: Key) -> Option<&mut Entry<T>> {
        self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)
    }

    /// Links an entry where its deadline belongs.
    fn file(&mut self, index: u32, deadline_ns: u64) {
        if deadline_ns < self.elapsed_ns {
            self.overdue.entry(deadline_ns).or_default().push_back(&mut self.entries, index);
        } else {
            self.slots.push_back(Place::of(deadline_ns, self.elapsed_ns), &mut self.entries, index);
        }
    }

    /// Unlinks an entry and frees it. Its place follows from its deadline.
    #[inline]
    fn take(&mut self, index: u32, deadline_ns: u64) -> T {
        if deadline_ns >= self.elapsed_ns {
            self.slots.unlink(Place::of(deadline_ns, self.elapsed_ns), &mut self.entries, index);
        } else if let btree_map::Entry::Occupied(mut list) = self.overdue.entry(deadline_ns) {
            list.get_mut().unlink(&mut self.entries, index);
            if list.get().is_empty() {
                list.remove();
            }
        }
        self.entries.remove(index as usize).value
    }

    /// Moves time into the first occupied slot, which must be empty from then on: its timers go to lower levels, in
    /// order. Those levels are empty before, so no timer overtakes another of the same deadline.
    fn enter(&mut self, place: Place, elapsed_ns: u64) {
        debug_assert!(self.elapsed_ns < elapsed_ns, "a slot that contains the time already is empty");
        self.elapsed_ns = elapsed_ns;
        let mut link = self.slots.clear(place).first();
        while let Some(index) = link {
            let entry = &self.entries[index as usize];
            link = entry.next();
            self.file(index, entry.deadline_ns);
        }
    }

    /// The earliest deadline in an occupied slot, or the slot's start if the slot is crowded.
    fn earliest_ns(&self, place: Place) -> u64 {
        let start_ns = place.start_ns(self.elapsed_ns);
        if place.is_exact() {
            return start_ns;
        }
        let mut deadlines = self.slots[place].iter(&self.entries).map(|entry| entry.deadline_ns);
        let earliest_ns = deadlines.by_ref().take(FEW).min();
        match deadlines.next() {
            None => earliest_ns.unwrap_or(start_ns),
            Some(_) => start_ns,
        }
    }
}

impl<T> fmt::Debug for Wheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("len", &self.len())
            .field("elapsed_ns", &self.elapsed_ns)
            .field("next_wakeup", &self.next_wakeup())
            .finish_non_exhaustive()
    }
}
