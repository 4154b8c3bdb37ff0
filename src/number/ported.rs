//! Numbers that left the operator of their prefix: an exact table of millions, each with a value of its own. Built whole, then only read; some
//! 14 octets a number.

use super::shard::mix;

/// Numbers in a bucket, on average at most.
const PER_BUCKET: usize = 4;

/// Number → value.
#[derive(Debug, Clone, Default)]
pub struct Ported {
    /// Bits of the hash that are not the bucket's.
    shift: u32,
    /// Where each bucket starts, and the end of the last.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// A number in two halves and its value side by side: twelve octets in one place.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    low: u32,
    high: u32,
    value: u32,
}

impl Entry {
    #[inline]
    fn number(self) -> u64 {
        (u64::from(self.high) << 32) | u64::from(self.low)
    }
}

impl Ported {
    /// The table of these numbers and values, each number once.
    ///
    /// # Panics
    /// If there are more than 2^32 − 1 of them.
    pub fn build(entries: &[(u64, u32)]) -> Ported {
        if entries.is_empty() {
            return Ported::default();
        }
        assert!(u32::try_from(entries.len()).is_ok(), "fewer numbers than the world has");
        let buckets = entries.len().div_ceil(PER_BUCKET).next_power_of_two().max(2);
        let mut table =
            Ported { shift: 64 - buckets.trailing_zeros(), starts: vec![0; buckets + 1], entries: vec![Entry::default(); entries.len()] };
        let bucket = |number: u64| (mix(number) >> table.shift) as usize;
        entries.iter().for_each(|&(number, _)| table.starts[bucket(number) + 1] += 1);
        (0..buckets).for_each(|at| table.starts[at + 1] += table.starts[at]);
        let mut free = table.starts.clone();
        for &(number, value) in entries {
            let place = &mut free[(mix(number) >> table.shift) as usize];
            table.entries[*place as usize] = Entry { low: number as u32, high: (number >> 32) as u32, value };
            *place += 1;
        }
        table
    }

    /// The value of a number.
    #[inline]
    pub fn get(&self, number: u64) -> Option<u32> {
        if self.entries.is_empty() {
            return None;
        }
        let bucket = (mix(number) >> self.shift) as usize;
        let (start, end) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        self.entries[start..end].iter().find(|entry| entry.number() == number).map(|entry| entry.value)
    }

    /// All numbers with their values, in an order that only their content decides.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.entries.iter().map(|entry| (entry.number(), entry.value))
    }

    /// Numbers in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Octets that it takes.
    pub fn octets(&self) -> usize {
        self.starts.len() * 4 + self.entries.len() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    #[test]
    fn every_number_is_found_and_no_other() {
        let first = pack(b"8613800000000").unwrap();
        for count in [0u64, 1, 2, 9, 100_000] {
            let entries: Vec<(u64, u32)> = (0..count).map(|n| (first + n * 3, n as u32)).collect();
            let table = Ported::build(&entries);
            for n in 0..count {
                assert_eq!(table.get(first + n * 3), Some(n as u32));
                assert_eq!(table.get(first + n * 3 + 1), None);
            }
            assert_eq!((table.len(), table.get(0)), (count as usize, None));
            let mut back: Vec<_> = table.iter().collect();
            back.sort_unstable();
            assert_eq!(back, entries);
        }
    }

    #[test]
    fn it_is_compact() {
        let entries: Vec<(u64, u32)> = (0..100_000).map(|n| (pack(b"8613800000000").unwrap() + n, 1)).collect();
        assert!(Ported::build(&entries).octets() <= 14 * entries.len());
    }
}
