//! From a key to a message id in sixteen octets and the room between them: open addressing that grows by halves, so that an entry never costs more than 32
//! octets. Nothing is ever taken out; a table is dropped whole. [`super::window`] says what is in it and for how long.

use crate::model::MessageId;

/// Slots of a table that holds anything.
const SMALLEST: usize = 16;
/// Slots looked at for one key. Among keys that are spread evenly no run of full slots comes near it; keys that were made to collide are forgotten.
const PROBES_MAX: usize = 1024;
/// An empty slot: no message has this id.
const EMPTY: MessageId = MessageId(0);

/// Keys (spread evenly over all 64 bits) and ids.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<(u64, MessageId)>,
    len: usize,
}

impl Table {
    /// The id that `key` was given last.
    pub fn get(&self, key: u64) -> Option<MessageId> {
        self.find(key).map(|at| self.slots[at].1).filter(|&id| id != EMPTY)
    }

    /// Gives `key` this id, in place of a former one. True if the key is new.
    pub fn insert(&mut self, key: u64, id: MessageId) -> bool {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let Some(at) = self.find(key) else { return false };
        let is_new = self.slots[at].1 == EMPTY;
        self.slots[at] = (key, id);
        self.len += usize::from(is_new);
        is_new
    }

    /// Keys in it.
    pub fn entries(&self) -> usize {
        self.len
    }

    /// Octets of memory that it takes.
    pub fn octets(&self) -> usize {
        self.slots.capacity() * size_of::<(u64, MessageId)>()
    }

    /// The slot that has `key`, or the empty one where it belongs.
    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        let slots = self.slots.len();
        let mut at = ((u128::from(key) * slots as u128) >> 64) as usize;
        for _ in 0..slots.min(PROBES_MAX) {
            let (there, id) = self.slots[at];
            if there == key || id == EMPTY {
                return Some(at);
            }
            at += 1;
            if at == slots {
                at = 0;
            }
        }
        None
    }

    fn grow(&mut self) {
        let slots = (self.slots.len() + self.slots.len() / 2).max(SMALLEST);
        let before = std::mem::replace(&mut self.slots, vec![(0, EMPTY); slots]);
        self.len = 0;
        for (key, id) in before {
            if id != EMPTY
                && let Some(at) = self.find(key)
            {
                self.slots[at] = (key, id);
                self.len += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn key(n: u64) -> u64 {
        xxh3_64(&n.to_le_bytes())
    }

    #[test]
    fn what_was_put_in_is_found_and_nothing_else_in_at_most_32_octets_an_entry() {
        let mut table = Table::default();
        assert_eq!(table.get(key(1)), None);
        for n in 1..=100_000 {
            assert!(table.insert(key(n), MessageId(n)));
            assert!(n < 16 || table.octets() <= 32 * table.entries() + 64, "{} octets for {n}", table.octets());
        }
        assert_eq!(table.entries(), 100_000);
        for n in 1..=100_000 {
            assert_eq!(table.get(key(n)), Some(MessageId(n)));
        }
        assert!((100_001..200_000).all(|n| table.get(key(n)).is_none()));
        assert!(!table.insert(key(7), MessageId(9)));
        assert_eq!((table.get(key(7)), table.entries()), (Some(MessageId(9)), 100_000));
    }

    #[test]
    fn keys_that_were_made_to_collide_cost_a_bounded_search_and_are_forgotten() {
        let mut table = Table::default();
        let kept = (1..=5_000).filter(|&n| table.insert(n, MessageId(n))).count();
        assert!((PROBES_MAX..5_000).contains(&kept), "{kept}");
        assert!(table.insert(key(1), MessageId(1)), "others have their place");
    }

    #[test]
    fn a_key_of_all_zeros_and_one_of_all_ones_are_keys() {
        let mut table = Table::default();
        assert!(table.insert(0, MessageId(5)) && table.insert(u64::MAX, MessageId(6)));
        assert_eq!((table.get(0), table.get(u64::MAX)), (Some(MessageId(5)), Some(MessageId(6))));
    }
}
