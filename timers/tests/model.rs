//! Drives a wheel and a sorted map side by side through random histories: they must agree on every answer.

use std::collections::BTreeMap;

use proptest::prelude::*;
use timers::{Key, Wheel};

const LEVELS: usize = 11;
const HOUR_NS: u64 = 3_600_000_000_000;

/// A deadline, seen from the present of the history it is used in.
#[derive(Clone, Copy, Debug)]
enum When {
    Ahead(u64),
    Behind(u64),
    At(u64),
    /// That of a live timer, so that ties happen at any distance.
    SameAs(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Insert(When),
    Remove(usize),
    Change(usize),
    /// Uses a key whose timer is gone.
    Stale(usize),
    /// Advances, then takes what is due, but no more than this.
    Advance(u64, usize),
    /// Takes what is due at an earlier time.
    Backwards(u64),
    /// Advances and takes all that is due; each timer taken inserts one of these while they last.
    Reinsert(u64, Vec<When>),
    /// Sleeps to `next_wakeup` again and again until a timer fires.
    Sleep,
}

struct World {
    wheel: Wheel<u64>,
    /// Live timers by deadline, then order of insertion.
    model: BTreeMap<(u64, u64), (Key, u64)>,
    stale: Vec<Key>,
    now_ns: u64,
    inserted: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_wheel_agrees_with_a_sorted_map(
        start_ns in time(),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let mut world = World::new(start_ns);
        for step in steps {
            world.perform(step);
            world.compare();
        }
        while !world.model.is_empty() {
            world.sleep();
            world.compare();
        }
    }
}

impl World {
    fn new(now_ns: u64) -> Self {
        Self { wheel: Wheel::new(now_ns), model: BTreeMap::new(), stale: Vec::new(), now_ns, inserted: 0 }
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Insert(when) => self.insert(when),
            Step::Remove(nth) => {
                if let Some(id) = self.live(nth) {
                    let (key, value) = self.model.remove(&id).unwrap();
                    assert_eq!(self.wheel.remove(key), Some(value));
                    self.stale.push(key);
                }
            }
            Step::Change(nth) => {
                if let Some(id) = self.live(nth) {
                    let (key, value) = self.model.get_mut(&id).unwrap();
                    let in_wheel = self.wheel.get_mut(*key).unwrap();
                    assert_eq!(in_wheel, value);
                    *in_wheel += 1_000_000;
                    *value += 1_000_000;
                }
            }
            Step::Stale(nth) => {
                if !self.stale.is_empty() {
                    let key = self.stale[nth % self.stale.len()];
                    assert_eq!(self.wheel.get_mut(key), None);
                    assert_eq!(self.wheel.remove(key), None);
                }
            }
            Step::Advance(by_ns, at_most) => {
                self.now_ns = self.now_ns.saturating_add(by_ns);
                for _ in 0..at_most {
                    self.pop(self.now_ns);
                }
            }
            Step::Backwards(by_ns) => {
                self.pop(self.now_ns.saturating_sub(by_ns));
            }
            Step::Reinsert(by_ns, whens) => {
                self.now_ns = self.now_ns.saturating_add(by_ns);
                let mut whens = whens.into_iter();
                while self.pop(self.now_ns) {
                    if let Some(when) = whens.next() {
                        self.insert(when);
                        self.compare();
                    }
                }
            }
            Step::Sleep => self.sleep(),
        }
    }

    fn insert(&mut self, when: When) {
        let deadline_ns = match when {
            When::Ahead(by_ns) => self.now_ns.saturating_add(by_ns),
            When::Behind(by_ns) => self.now_ns.saturating_sub(by_ns),
            When::At(deadline_ns) => deadline_ns,
            When::SameAs(nth) => self.live(nth).map_or(self.now_ns, |(deadline_ns, _)| deadline_ns),
        };
        let value = self.inserted;
        let key = self.wheel.insert(deadline_ns, value);
        self.model.insert((deadline_ns, self.inserted), (key, value));
        self.inserted += 1;
    }

    /// Takes one due timer from both; they must take the same. Returns whether there was one.
    fn pop(&mut self, now_ns: u64) -> bool {
        let due =
            self.model.first_entry().filter(|first| first.key().0 <= now_ns).map(|first| first.remove());
        assert_eq!(self.wheel.pop_expired(now_ns), due.map(|(_, value)| value));
        self.stale.extend(due.map(|(key, _)| key));
        due.is_some()
    }

    fn sleep(&mut self) {
        for _ in 0..LEVELS {
            let Some(wakeup_ns) = self.wheel.next_wakeup() else { return };
            self.now_ns = self.now_ns.max(wakeup_ns);
            if self.pop(self.now_ns) {
                return;
            }
        }
        panic!("woken {LEVELS} times, and no timer has fired");
    }

    fn compare(&self) {
        assert_eq!(self.wheel.len(), self.model.len());
        assert_eq!(self.wheel.is_empty(), self.model.is_empty());
        match self.model.first_key_value() {
            None => assert_eq!(self.wheel.next_wakeup(), None),
            Some((&(earliest_ns, _), _)) => {
                let wakeup_ns = self.wheel.next_wakeup().expect("there are timers");
                assert!(wakeup_ns <= earliest_ns, "{wakeup_ns} is after {earliest_ns}");
            }
        }
    }

    fn live(&self, nth: usize) -> Option<(u64, u64)> {
        let nth = nth.checked_rem(self.model.len())?;
        self.model.keys().nth(nth).copied()
    }
}

/// Any distance is as likely to be of one level as of another; the exact edges of slots are frequent.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => (any::<u64>(), 0..64u32).prop_map(|(random, shift)| random >> shift),
        4 => (0..LEVELS as u32, 0..64u64, 0..3u64).prop_map(|(level, slot, offset)| {
            (slot << (6 * level)).saturating_add(offset).saturating_sub(1)
        }),
        2 => (0..100u64).prop_map(|hours| hours * HOUR_NS),
        2 => 0..200u64,
        1 => Just(u64::MAX),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => time().prop_map(When::Ahead),
        2 => time().prop_map(When::Behind),
        2 => time().prop_map(When::At),
        4 => any::<usize>().prop_map(When::SameAs),
        1 => Just(When::Ahead(0)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => when().prop_map(Step::Insert),
        3 => any::<usize>().prop_map(Step::Remove),
        1 => any::<usize>().prop_map(Step::Change),
        1 => any::<usize>().prop_map(Step::Stale),
        3 => (near(), 0..4usize).prop_map(|(by_ns, at_most)| Step::Advance(by_ns, at_most)),
        1 => time().prop_map(Step::Backwards),
        2 => (near(), prop::collection::vec(when(), 0..5))
            .prop_map(|(by_ns, whens)| Step::Reinsert(by_ns, whens)),
        2 => Just(Step::Sleep),
    ]
}

/// Steps of time that seldom leave the whole history behind.
fn near() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => (any::<u64>(), 16..64u32).prop_map(|(random, shift)| random >> shift),
        1 => time(),
    ]
}
