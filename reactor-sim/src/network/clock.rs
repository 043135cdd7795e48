//! Virtual time, and what is to happen when.

use std::collections::BTreeMap;

use runtime_core::clock::Nanos;

/// A clock that stands still until it is moved, with the events that lie ahead.
pub(crate) struct Clock<E> {
    now: Nanos,
    /// In the order in which they happen: by time and, at one time, as they were scheduled.
    ahead: BTreeMap<Key, E>,
    scheduled: u64,
}

/// Names a scheduled event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    time: Nanos,
    number: u64,
}

impl<E> Clock<E> {
    /// A clock that shows the origin of time.
    pub(crate) fn new() -> Self {
        Self { now: Nanos(0), ahead: BTreeMap::new(), scheduled: 0 }
    }

    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    pub(crate) fn schedule(&mut self, time: Nanos, event: E) -> Key {
        let key = Key { time, number: self.scheduled };
        self.scheduled += 1;
        self.ahead.insert(key, event);
        key
    }

    /// The event is not to happen. It may have happened already.
    pub(crate) fn cancel(&mut self, key: Key) {
        self.ahead.remove(&key);
    }

    /// When the next event happens.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.ahead.first_key_value().map(|(key, _)| key.time)
    }

    /// The next event, if its time has come.
    pub(crate) fn pop_due(&mut self) -> Option<E> {
        let first = self.ahead.first_entry()?;
        (first.key().time <= self.now).then(|| first.remove())
    }

    /// Moves the clock, which never goes back, and never past an event.
    pub(crate) fn move_to(&mut self, time: Nanos) {
        debug_assert!(self.next().is_none_or(|next| time <= next), "an event is skipped");
        self.now = self.now.max(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_happen_by_time_and_then_as_they_were_scheduled() {
        let mut clock = Clock::new();
        for (time, event) in [(5, "e"), (3, "a"), (4, "c"), (3, "b"), (4, "d")] {
            clock.schedule(Nanos(time), event);
        }
        assert_eq!(clock.pop_due(), None);
        let mut happened = Vec::new();
        while let Some(next) = clock.next() {
            clock.move_to(next);
            happened.extend(std::iter::from_fn(|| clock.pop_due()));
        }
        assert_eq!((happened, clock.now()), (vec!["a", "b", "c", "d", "e"], Nanos(5)));
    }

    #[test]
    fn what_is_cancelled_does_not_happen() {
        let mut clock = Clock::new();
        let cancelled = clock.schedule(Nanos(1), "cancelled");
        clock.schedule(Nanos(1), "kept");
        clock.cancel(cancelled);
        clock.move_to(Nanos(1));
        assert_eq!((clock.pop_due(), clock.pop_due()), (Some("kept"), None));
    }

    #[test]
    fn time_never_goes_back() {
        let mut clock = Clock::<()>::new();
        clock.move_to(Nanos(7));
        clock.move_to(Nanos(3));
        assert_eq!(clock.now(), Nanos(7));
    }
}
