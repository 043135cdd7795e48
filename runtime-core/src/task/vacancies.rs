//! Which slots have no task.

/// A set of slots, of which the lowest leaves first: so tasks stay close together in memory, and when many have ended,
/// in whatever order, those that follow are next to each other.
#[derive(Default)]
pub(super) struct Vacancies {
    /// A bit for each slot.
    slots: Vec<u64>,
    /// A bit for each word of `slots` that is not zero.
    words: Vec<u64>,
    /// The words of `words` before it are zero.
    start: usize,
}

impl Vacancies {
    /// Makes room for slots below `end`.
    pub(super) fn reserve(&mut self, end: u32) {
        self.slots.resize(end.div_ceil(64) as usize, 0);
        self.words.resize(self.slots.len().div_ceil(64), 0);
    }

    /// Adds a slot for which there is room.
    #[inline]
    pub(super) fn add(&mut self, slot: u32) {
        let word = slot as usize / 64;
        self.slots[word] |= 1 << (slot % 64);
        self.words[word / 64] |= 1 << (word % 64);
        self.start = self.start.min(word / 64);
    }

    /// Takes the lowest slot out.
    #[inline]
    pub(super) fn take_lowest(&mut self) -> Option<u32> {
        while let Some(words) = self.words.get_mut(self.start) {
            if *words == 0 {
                // At most 4,096 of them, since there are at most 2^24 slots.
                self.start += 1;
                continue;
            }
            let word = self.start * 64 + words.trailing_zeros() as usize;
            let slots = &mut self.slots[word];
            let slot = word as u32 * 64 + slots.trailing_zeros();
            *slots &= *slots - 1;
            if *slots == 0 {
                *words &= *words - 1;
            }
            return Some(slot);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::Vacancies;

    proptest! {
        #[test]
        fn the_lowest_is_first(actions in prop::collection::vec(prop::option::of(0..20_000_u32), 0..200)) {
            let (mut vacancies, mut model) = (Vacancies::default(), BTreeSet::new());
            vacancies.reserve(20_000);
            for action in actions {
                match action {
                    Some(slot) => {
                        vacancies.add(slot);
                        model.insert(slot);
                    }
                    None => prop_assert_eq!(vacancies.take_lowest(), model.pop_first()),
                }
            }
            while let Some(slot) = model.pop_first() {
                prop_assert_eq!(vacancies.take_lowest(), Some(slot));
            }
            prop_assert_eq!(vacancies.take_lowest(), None);
        }
    }
}
