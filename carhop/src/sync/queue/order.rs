//! In which order a queue gives out its items.
//!
//! Nothing here drops an item, and a panic of an item's `Ord` leaves all items in place.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// What a queue keeps its items in. Sealed.
pub trait Order: Default {
    #[doc(hidden)]
    type Item;

    #[doc(hidden)]
    fn push(&mut self, item: Self::Item);
    #[doc(hidden)]
    fn pop(&mut self) -> Option<Self::Item>;
    #[doc(hidden)]
    fn len(&self) -> usize;
}

/// First in, first out: the order of a [`Queue`](super::Queue).
pub struct Fifo<T>(VecDeque<T>);

/// Last in, first out: the order of a [`LifoQueue`](super::LifoQueue).
pub struct Lifo<T>(Vec<T>);

/// The smallest item first: the order of a [`PriorityQueue`](super::PriorityQueue).
///
/// A binary heap that makes the same comparisons as Python's `heapq`. The one of the standard library would do so too,
/// but it drops an item when `Ord` panics, while the queue is borrowed.
pub struct SmallestFirst<T>(Vec<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for SmallestFirst<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Order for Fifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Order for Lifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Ord> Order for SmallestFirst<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        let at = self.0.len();
        self.0.push(item);
        rise(&mut self.0, at);
    }

    fn pop(&mut self) -> Option<T> {
        let last = self.0.len().checked_sub(1)?;
        self.0.swap(0, last);
        sink(&mut self.0[..last]);
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Moves the first item down to where it belongs: first to the bottom without comparing it, and then up.
fn sink<T: Ord>(heap: &mut [T]) {
    let mut at = 0;
    while let Some(child) = smaller_child(heap, at) {
        heap.swap(at, child);
        at = child;
    }
    rise(heap, at);
}

/// Moves an item up to where it belongs.
fn rise<T: Ord>(heap: &mut [T], mut at: usize) {
    while at > 0 {
        let parent = (at - 1) / 2;
        if heap[at].cmp(&heap[parent]) != Ordering::Less {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// The smaller one of two children; the right one if they are equal.
fn smaller_child<T: Ord>(heap: &[T], at: usize) -> Option<usize> {
    let (left, right) = (2 * at + 1, 2 * at + 2);
    match (heap.get(left), heap.get(right)) {
        (Some(l), Some(r)) if l.cmp(r) != Ordering::Less => Some(right),
        (Some(_), _) => Some(left),
        (None, _) => None,
    }
}
