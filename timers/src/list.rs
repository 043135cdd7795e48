//! First-in-first-out lists threaded through the slab. An entry names its neighbours by index, so it can be unlinked
//! from the middle in O(1), and a list costs no allocation.

use std::num::NonZeroU32;

use slab::Slab;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A timer. `generation` is never zero, so the slab has room there for its vacant mark: with a pointer as value a place
/// takes 32 bytes.
pub(crate) struct Entry<T> {
    pub(crate) deadline_ns: u64,
    pub(crate) generation: NonZeroU32,
    previous: u32,
    next: u32,
    pub(crate) value: T,
}

#[derive(Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

/// A slab index as it is stored in links.
#[inline]
pub(crate) fn link(index: usize) -> u32 {
    assert!(index < NONE as usize, "a timer wheel holds at most 2^32 - 1 timers");
    index as u32
}

impl<T> Entry<T> {
    pub(crate) fn new(deadline_ns: u64, generation: NonZeroU32, value: T) -> Self {
        Self { deadline_ns, generation, previous: NONE, next: NONE, value }
    }

    pub(crate) fn next(&self) -> Option<u32> {
        some(self.next)
    }
}

impl List {
    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    pub(crate) fn first(self) -> Option<u32> {
        some(self.head)
    }

    pub(crate) fn push_back<T>(&mut self, entries: &mut Slab<Entry<T>>, index: u32) {
        let entry = &mut entries[index as usize];
        (entry.previous, entry.next) = (self.tail, NONE);
        match some(self.tail) {
            Some(tail) => entries[tail as usize].next = index,
            None => self.head = index,
        }
        self.tail = index;
    }

    /// Takes an entry of this list out of it.
    pub(crate) fn unlink<T>(&mut self, entries: &mut Slab<Entry<T>>, index: u32) {
        let Entry { previous, next, .. } = entries[index as usize];
        match some(previous) {
            Some(previous) => entries[previous as usize].next = next,
            None => self.head = next,
        }
        match some(next) {
            Some(next) => entries[next as usize].previous = previous,
            None => self.tail = previous,
        }
    }

    pub(crate) fn iter<T>(self, entries: &Slab<Entry<T>>) -> impl Iterator<Item = &Entry<T>> {
        let get = |link| some(link).map(|index| &entries[index as usize]);
        std::iter::successors(get(self.head), move |entry| get(entry.next))
    }
}

impl Default for List {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

fn some(link: u32) -> Option<u32> {
    (link != NONE).then_some(link)
}
