use proptest::prelude::*;

use super::*;
use crate::slots::{LEVELS, SLOTS};

const HOUR_NS: u64 = 3_600_000_000_000;

/// The first tick of each level, seen from zero: 1, 64, 4096, ..
fn level_starts() -> impl Iterator<Item = u64> {
    (0..LEVELS).map(|level| 1 << (6 * level))
}

impl<T> Wheel<T> {
    fn drain(&mut self, now_ns: u64) -> Vec<T> {
        std::iter::from_fn(|| self.pop_expired(now_ns)).collect()
    }

    /// The rule of the crate's documentation, and that bitmaps, lists and slab agree.
    #[track_caller]
    fn assert_consistent(&self) {
        let mut listed = 0;
        for (index, list) in self.slots.lists.iter().enumerate() {
            let place = Place { level: index as u32 / SLOTS, slot: index as u32 % SLOTS };
            let occupied = self.slots.occupied[place.level as usize];
            assert_eq!(occupied & (1 << place.slot) != 0, !list.is_empty(), "{place:?}");
            assert_eq!(self.slots.levels & (1 << place.level) != 0, occupied != 0, "{place:?}");
            for entry in list.iter(&self.entries) {
                assert!(entry.deadline_ns >= self.elapsed_ns, "{place:?}");
                assert_eq!(Place::of(entry.deadline_ns, self.elapsed_ns), place);
                let start_ns = place.start_ns(self.elapsed_ns);
                assert!(place.is_exact() || self.elapsed_ns < start_ns, "{place:?} contains elapsed");
                assert!(
                    start_ns <= entry.deadline_ns && (!place.is_exact() || start_ns == entry.deadline_ns)
                );
                listed += 1;
            }
        }
        for (&deadline_ns, list) in &self.overdue {
            assert!(deadline_ns < self.elapsed_ns && !list.is_empty());
            for entry in list.iter(&self.entries) {
                assert_eq!(entry.deadline_ns, deadline_ns);
                listed += 1;
            }
        }
        assert_eq!(listed, self.len());
    }
}

#[test]
fn a_deadline_is_never_early_and_never_rounded() {
    for bit in 0..u64::BITS {
        for deadline_ns in [(1 << bit) - 1, 1 << bit, (1 << bit) + 1, u64::MAX - (1 << bit), u64::MAX] {
            for from_ns in [0, 1, deadline_ns / 2, deadline_ns.saturating_sub(1)] {
                let mut wheel = Wheel::new(from_ns);
                wheel.insert(deadline_ns, ());
                assert_eq!(wheel.next_wakeup(), Some(deadline_ns));
                if let Some(before_ns) = deadline_ns.checked_sub(1) {
                    assert_eq!(
                        wheel.pop_expired(before_ns),
                        None,
                        "{deadline_ns} fired early from {from_ns}"
                    );
                    wheel.assert_consistent();
                }
                assert_eq!(wheel.pop_expired(deadline_ns), Some(()), "{deadline_ns} was late from {from_ns}");
                assert_eq!(wheel.next_wakeup(), None);
            }
        }
    }
}

#[test]
fn both_sides_of_each_level_keep_their_order() {
    let mut wheel = Wheel::new(0);
    let mut deadlines: Vec<u64> = level_starts().flat_map(|ns| [ns - 1, ns, ns + 1]).collect();
    deadlines.push(u64::MAX);
    for &deadline_ns in deadlines.iter().rev() {
        wheel.insert(deadline_ns, deadline_ns);
    }
    wheel.assert_consistent();
    deadlines.sort_unstable();
    assert_eq!(wheel.drain(u64::MAX), deadlines);
}

#[test]
fn a_slot_is_entered_at_its_first_tick() {
    for start_ns in level_starts().skip(1) {
        for now_ns in [start_ns - 1, start_ns] {
            let mut wheel = Wheel::new(0);
            wheel.insert(start_ns + 7, ());
            assert_eq!(wheel.pop_expired(now_ns), None);
            wheel.assert_consistent();
            assert_eq!(wheel.slots.first() == Some(Place::of(start_ns + 7, 0)), now_ns < start_ns);
        }
    }
}

#[test]
fn the_top_level_has_sixteen_slots() {
    let mut wheel = Wheel::new(0);
    for slot in (0..16).rev() {
        wheel.insert(slot << 60, slot);
    }
    wheel.assert_consistent();
    for slot in 0..16 {
        assert_eq!(wheel.next_wakeup(), Some(slot << 60));
        assert_eq!(wheel.pop_expired(slot << 60), Some(slot));
    }
    wheel.insert(u64::MAX, 16);
    assert_eq!(wheel.pop_expired(u64::MAX - 1), None);
    assert_eq!(wheel.drain(u64::MAX), [16]);
    wheel.insert(u64::MAX, 17);
    wheel.insert(u64::MAX - 1, 18);
    assert_eq!(wheel.drain(u64::MAX), [18, 17]);
}

#[test]
fn equal_deadlines_fire_in_order_of_insertion_from_whatever_level() {
    let mut wheel = Wheel::new(0);
    for (order, now_ns) in
        [0, 1, HOUR_NS / 2, HOUR_NS - 5000, HOUR_NS - 70, HOUR_NS - 1].into_iter().enumerate()
    {
        assert_eq!(wheel.pop_expired(now_ns), None);
        wheel.insert(HOUR_NS, 2 * order);
        wheel.insert(HOUR_NS, 2 * order + 1);
        wheel.assert_consistent();
    }
    assert_eq!(wheel.drain(HOUR_NS), Vec::from_iter(0..12));
}

#[test]
fn a_deadline_in_the_past_is_due_at_once_and_in_order() {
    let mut wheel = Wheel::new(1000);
    wheel.insert(1000, "now");
    wheel.insert(500, "past");
    wheel.insert(500, "past, second");
    let removed = wheel.insert(400, "removed");
    wheel.insert(0, "start");
    wheel.assert_consistent();
    assert_eq!(wheel.next_wakeup(), Some(0));
    assert_eq!(wheel.remove(removed), Some("removed"));
    assert_eq!(wheel.drain(1000), ["start", "past", "past, second", "now"]);
    assert_eq!(wheel.next_wakeup(), None);
}

#[test]
fn time_going_backwards_is_harmless() {
    let mut wheel = Wheel::new(0);
    wheel.insert(2000, "late");
    assert_eq!(wheel.pop_expired(1000), None);
    wheel.insert(500, "past");
    assert_eq!(wheel.pop_expired(499), None);
    assert_eq!(wheel.pop_expired(500), Some("past"));
    assert_eq!(wheel.pop_expired(0), None);
    assert_eq!(wheel.next_wakeup(), Some(2000));
    assert_eq!(wheel.pop_expired(2000), Some("late"));
}

#[test]
fn a_far_slot_is_searched_only_when_it_has_few_timers() {
    let mut wheel = Wheel::new(0);
    for offset_ns in (0..FEW as u64).rev() {
        wheel.insert(HOUR_NS + offset_ns, ());
    }
    assert_eq!(wheel.next_wakeup(), Some(HOUR_NS));
    wheel.insert(HOUR_NS + 1, ());
    assert_eq!(wheel.next_wakeup(), Some(Place::of(HOUR_NS, 0).start_ns(0)));
    assert!(wheel.next_wakeup() < Some(HOUR_NS));
}

#[test]
fn a_stale_key_misses() {
    let mut wheel = Wheel::new(0);
    let fired = wheel.insert(1, "fired");
    assert_eq!(wheel.pop_expired(1), Some("fired"));
    let removed = wheel.insert(2, "removed");
    assert_eq!(wheel.get_mut(removed), Some(&mut "removed"));
    assert_eq!(wheel.remove(removed), Some("removed"));
    let live = wheel.insert(3, "live");
    assert!(fired.index == live.index && removed.index == live.index);
    for stale in [fired, removed] {
        assert_eq!(wheel.get_mut(stale), None);
        assert_eq!(wheel.remove(stale), None);
    }
    assert_eq!(wheel.remove(live), Some("live"));
    assert_eq!(wheel.remove(live), None);
}

#[test]
fn generations_wrap_past_zero() {
    let mut wheel = Wheel::new(0);
    wheel.last_generation = NonZeroU32::new(u32::MAX - 1).unwrap();
    let last = wheel.insert(1, "last");
    let first = wheel.insert(1, "first");
    assert_eq!((last.generation, first.generation), (NonZeroU32::MAX, NonZeroU32::MIN));
    assert_eq!((wheel.remove(last), wheel.remove(first)), (Some("last"), Some("first")));
}

#[test]
fn a_million_timers_leave_nothing() {
    const COUNT: u64 = 1_000_000;
    let mut wheel = Wheel::new(0);
    let mut round = |from_ns: u64| {
        // An odd factor scatters the deadlines over all levels, a step that is prime to COUNT the removals.
        let insert = |i: u64| wheel.insert(from_ns + (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 40)), i);
        let keys: Vec<Key> = (0..COUNT).map(insert).collect();
        for i in (0..COUNT).map(|i| i * 7919 % COUNT) {
            assert_eq!(wheel.remove(keys[i as usize]), Some(i));
        }
        assert_eq!((wheel.len(), wheel.next_wakeup()), (0, None));
        wheel.assert_consistent();
        wheel.entries.capacity()
    };
    let capacity = round(0);
    assert_eq!(round(0), capacity);
}

#[test]
fn a_new_wheel_owns_no_memory() {
    let wheel = Wheel::<usize>::new(0);
    assert_eq!((wheel.entries.capacity(), wheel.slots.lists.capacity()), (0, 0));
}

#[test]
fn an_entry_is_small() {
    assert_eq!(size_of::<Option<Entry<usize>>>(), 32);
    assert_eq!(size_of::<Option<Key>>(), 8);
}

proptest! {
    #[test]
    fn the_rule_holds_after_every_step(
        steps in prop::collection::vec((0..4u8, any::<u64>(), 0..64u32), 0..200),
    ) {
        let mut wheel = Wheel::new(0);
        let mut now_ns = 0u64;
        let mut keys = Vec::new();
        for (kind, random, shift) in steps {
            let distance_ns = random >> shift;
            match kind {
                0 => keys.push(wheel.insert(now_ns.saturating_add(distance_ns), ())),
                1 => keys.push(wheel.insert(now_ns.saturating_sub(distance_ns), ())),
                2 if !keys.is_empty() => {
                    wheel.remove(keys.swap_remove(random as usize % keys.len()));
                }
                _ => {
                    now_ns = now_ns.saturating_add(distance_ns);
                    wheel.pop_expired(now_ns);
                }
            }
            prop_assert!(wheel.elapsed_ns <= now_ns, "else new timers count as overdue");
            wheel.assert_consistent();
        }
    }
}
