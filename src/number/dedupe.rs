//! A set of numbers for millions of them: exact, some 14 octets a number, and never much more than that while it grows.

use super::shard::mix;
use hashbrown::HashTable;

/// Parts that grow each on its own: a table that doubles holds the old and the new one for a moment, but only of one part in 64.
const PARTS: usize = 64;

/// Packed numbers, each once.
#[derive(Debug, Clone)]
pub struct NumberSet {
    parts: Vec<HashTable<u64>>,
}

impl Default for NumberSet {
    fn default() -> Self {
        NumberSet { parts: vec![HashTable::new(); PARTS] }
    }
}

impl NumberSet {
    /// An empty set.
    pub fn new() -> NumberSet {
        NumberSet::default()
    }

    /// Adds a number; true if it is new, false if it was there.
    #[inline]
    pub fn insert(&mut self, number: u64) -> bool {
        let hash = spread(number);
        // The table takes its place from the low bits and its tag from the top seven; the part comes from between.
        let part = &mut self.parts[(hash >> 48) as usize % PARTS];
        match part.entry(hash, |&other| other == number, |&other| spread(other)) {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(number);
                true
            }
        }
    }

    /// True if the number is in it.
    #[inline]
    pub fn contains(&self, number: u64) -> bool {
        let hash = spread(number);
        self.parts[(hash >> 48) as usize % PARTS].find(hash, |&other| other == number).is_some()
    }

    /// Numbers in it.
    pub fn len(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets that it takes.
    pub fn octets(&self) -> usize {
        self.parts.iter().map(HashTable::allocation_size).sum()
    }
}

/// Other bits than those of the shard, so that a set of one shard's numbers is as even as any.
#[inline]
fn spread(number: u64) -> u64 {
    mix(number ^ 0x5851_F42D_4C95_7F2D)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    #[test]
    fn a_number_is_new_once() {
        let first = pack(b"8613800000000").unwrap();
        let mut set = NumberSet::new();
        assert!(set.is_empty() && !set.contains(first));
        for round in [true, false] {
            for n in 0..100_000 {
                assert_eq!(set.insert(first + n * 7), round);
            }
        }
        assert_eq!(set.len(), 100_000);
        assert!(set.contains(first + 7) && !set.contains(first + 1));
        assert_ne!(pack(b"07"), pack(b"7"));
        assert!(set.insert(pack(b"07").unwrap()) && set.insert(pack(b"7").unwrap()));
    }

    #[test]
    fn it_stays_small_also_for_the_numbers_of_one_shard() {
        let first = pack(b"8613000000000").unwrap();
        let mut set = NumberSet::new();
        (0..400_000u64).map(|n| first + n).filter(|&number| crate::number::shard::shard(number, 4) == 2).for_each(|number| {
            set.insert(number);
        });
        assert!(set.octets() <= 24 * set.len(), "{} octets for {}", set.octets(), set.len());
    }
}
