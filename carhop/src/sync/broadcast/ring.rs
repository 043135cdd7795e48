//! The values that some receiver has yet to read.

use std::collections::VecDeque;
use std::rc::Rc;

/// Values are numbered in the order in which they were sent. Each value here has a receiver that has yet to read it. A
/// receiver that has not read a value has not read the later ones either, so values become unwanted from the front.
///
/// No method drops or clones a value: the caller does.
pub(super) struct Ring<T> {
    entries: VecDeque<Entry<T>>,
    /// The number of the first entry.
    first: u64,
    capacity: usize,
    /// Empty ones, to be used again.
    spare: Vec<Rc<Option<T>>>,
}

struct Entry<T> {
    /// Shared with a receiver only while the receiver clones it.
    value: Rc<Option<T>>,
    /// How many receivers have yet to read it.
    unread: usize,
}

/// What there is to read.
pub(super) enum Found<T> {
    /// For the last receiver that had to read it.
    Value(T),
    /// For the receiver to clone.
    Shared(Rc<Option<T>>),
    /// So many values were pushed out before they were read.
    Lost(u64),
    Nothing,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, capacity, spare: Vec::new() }
    }

    /// The number that the next value gets.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// How many values there are from number `next` on.
    pub(super) fn unread_from(&self, next: u64) -> usize {
        (self.end() - next.max(self.first)) as usize
    }

    /// Appends a value. Returns the oldest one if that had to make room.
    pub(super) fn push(&mut self, value: T, unread: usize) -> Option<T> {
        // A value that is being cloned is dropped by the receiver that clones it.
        let full = self.entries.len() == self.capacity;
        let too_old = if full { self.pop().and_then(Result::ok) } else { None };
        let mut place = self.spare.pop().unwrap_or_default();
        match Rc::get_mut(&mut place) {
            Some(place) => *place = Some(value),
            None => unreachable!("what is spare is not shared"),
        }
        self.entries.push_back(Entry { value: place, unread });
        too_old
    }

    /// What a receiver reads that has come to number `next`.
    pub(super) fn read(&mut self, next: &mut u64) -> Found<T> {
        if *next < self.first {
            let lost = self.first - *next;
            *next = self.first;
            return Found::Lost(lost);
        }
        let Some(entry) = self.entries.get_mut((*next - self.first) as usize) else { return Found::Nothing };
        *next += 1;
        entry.unread -= 1;
        if entry.unread > 0 {
            return Found::Shared(Rc::clone(&entry.value));
        }
        match self.pop() {
            Some(Ok(value)) => Found::Value(value),
            Some(Err(value)) => Found::Shared(value),
            None => Found::Nothing,
        }
    }

    /// A receiver that has yet to read the values from number `next` on is gone.
    pub(super) fn forget_reader(&mut self, next: u64) {
        let read = next.saturating_sub(self.first) as usize;
        self.entries.iter_mut().skip(read).for_each(|entry| entry.unread -= 1);
    }

    /// Takes out a value that no receiver has yet to read, after [`forget_reader`](Self::forget_reader).
    pub(super) fn pop_unwanted(&mut self) -> Option<Result<T, Rc<Option<T>>>> {
        if self.entries.front()?.unread > 0 {
            return None;
        }
        self.pop()
    }

    /// Takes out the first value, or what holds it, if that is shared.
    fn pop(&mut self) -> Option<Result<T, Rc<Option<T>>>> {
        let mut place = self.entries.pop_front()?.value;
        self.first += 1;
        Some(match Rc::get_mut(&mut place).and_then(Option::take) {
            Some(value) => {
                self.spare.push(place);
                Ok(value)
            }
            None => Err(place),
        })
    }
}
