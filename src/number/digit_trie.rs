//! Longest-prefix match for tables of a million prefixes: a trie that takes three digits a step, flattened into one array of words, leaves pushed
//! down, so that a look-up is at most five loads from nodes and never goes back. What the values mean is the owner's.
//!
//! A node has a key for each thing that may follow: 1000 groups of three digits, and 111 ends of a number inside the group (none, one or two digits are
//! left). Runs of keys with the same value are stored once: a node with few runs as a short sorted list, one with more as a bitmap with counts; only a
//! node with so many that nothing is saved has a place for each key. So a table costs some 5 octets a prefix where prefixes lie densely, and 50 at
//! worst, and where they lie densely a step is one load.

use super::packed::{self, DIGITS_MAX};

/// Groups of three digits, then the 111 ways to end inside a group.
const KEYS: usize = 1111;
/// Key of a number that ends before the group; then come those with one digit, then those with two.
const ENDED: usize = 1000;
const ONE_DIGIT: usize = 1001;
const TWO_DIGITS: usize = 1011;

/// A place holds a value below this, or a node: one of the three tags, and its offset.
const SPARSE: u32 = 1 << 30;
const BITMAP: u32 = 2 << 30;
const DENSE: u32 = 3 << 30;
const OFFSET: u32 = SPARSE - 1;
/// Most values that can be told apart.
pub const VALUE_MAX: u32 = SPARSE - 1;

/// Runs of a sparse node: its list of keys fills half a cache line.
const SPARSE_RUNS: usize = 16;
const SPARSE_WORDS: usize = SPARSE_RUNS / 2;
/// Runs from which on a node is dense. The root is always.
const DENSE_RUNS: usize = 300;
/// A bitmap node has a pair of words (bits, runs before them) for each 32 keys.
const BITMAP_WORDS: usize = 2 * KEYS.div_ceil(32);

/// A prefix with its value, for [`DigitTrie::build`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// Its digits as a number of 15 digits, zeros behind.
    pub aligned: u64,
    /// How many digits it has, 0 to 15.
    pub length: u8,
    /// 1 to [`VALUE_MAX`]; 0 means none.
    pub value: u32,
}

impl Prefix {
    /// From a packed prefix.
    pub fn new(packed: u64, value: u32) -> Prefix {
        Prefix { aligned: aligned(packed), length: packed::digit_count(packed) as u8, value }
    }
}

/// The digits of a packed number as a number of 15 digits, zeros behind.
pub fn aligned(packed: u64) -> u64 {
    (packed & packed::VALUE_MASK) * 10u64.pow((DIGITS_MAX - packed::digit_count(packed)) as u32)
}

/// The trie.
#[derive(Debug, Clone, Default)]
pub struct DigitTrie {
    words: Vec<u32>,
    root: u32,
}

impl DigitTrie {
    /// Builds the trie from prefixes in ascending order, each once.
    ///
    /// # Panics
    /// If they are not in order, a value is too large, or the trie would need more than 4 GiB.
    pub fn build(prefixes: &[Prefix]) -> DigitTrie {
        let ascending = prefixes.windows(2).all(|pair| (pair[0].aligned, pair[0].length) < (pair[1].aligned, pair[1].length));
        assert!(ascending, "prefixes are sorted and each stands once");
        let mut trie = DigitTrie::default();
        let (inherited, rest) = match prefixes {
            [first, rest @ ..] if first.length == 0 => (first.value, rest),
            all => (0, all),
        };
        trie.root = trie.node(rest, 0, inherited);
        trie.words.shrink_to_fit();
        trie
    }

    /// The value of the longest prefix of a packed number; 0 if there is none.
    #[inline]
    pub fn find(&self, packed: u64) -> u32 {
        let mut left = packed::digit_count(packed);
        let mut fraction = packed::fraction(packed);
        let mut place = self.root;
        while place >= SPARSE {
            let next = u128::from(fraction) * 1000;
            fraction = next as u64;
            let group = (next >> 64) as usize;
            let key = match left {
                3.. => group,
                2 => TWO_DIGITS + group / 10,
                1 => ONE_DIGIT + group / 100,
                0 => ENDED,
            };
            left = left.saturating_sub(3);
            place = self.follow(place, key);
        }
        place
    }

    /// What stands at `key` of the node at `place`.
    #[inline]
    fn follow(&self, place: u32, key: usize) -> u32 {
        let offset = (place & OFFSET) as usize;
        if place >= DENSE {
            self.words[offset + key]
        } else if place < BITMAP {
            let (list, values) = self.words[offset..].split_at(SPARSE_WORDS);
            let key = key as u32;
            let before: u32 = list.iter().map(|pair| u32::from(pair & 0xFFFF <= key) + u32::from(pair >> 16 <= key)).sum();
            // The first run starts at key 0, so at least one is counted.
            values[before as usize - 1]
        } else {
            let at = offset + key / 32 * 2;
            let before = self.words[at + 1] + (self.words[at] & (u32::MAX >> (31 - key % 32))).count_ones();
            self.words[offset + BITMAP_WORDS - 1 + before as usize]
        }
    }

    /// Octets that it takes.
    pub fn octets(&self) -> usize {
        self.words.len() * 4
    }

    /// Writes the node for `prefixes`, which share their first `depth` × 3 digits and are longer; gives its place.
    fn node(&mut self, prefixes: &[Prefix], depth: u32, inherited: u32) -> u32 {
        if prefixes.is_empty() {
            return inherited;
        }
        let mut keys = [inherited; KEYS];
        let above = 3 * depth;
        // Digits of the group: all three of them, whatever the prefix has.
        let group = |prefix: &Prefix| (prefix.aligned / 10u64.pow(DIGITS_MAX as u32 - above - 3) % 1000) as usize;
        for length in 1..=3 {
            for prefix in prefixes.iter().filter(|prefix| u32::from(prefix.length) == above + length) {
                assert!(prefix.value <= VALUE_MAX, "a value fits in 30 bits");
                fill(&mut keys, group(prefix), length, prefix.value);
            }
        }
        for same in prefixes.chunk_by(|a, b| group(a) == group(b)) {
            // In their order, what ends inside this group stands before what goes on.
            let deeper = &same[same.partition_point(|prefix| u32::from(prefix.length) <= above + 3)..];
            if !deeper.is_empty() {
                let key = group(&deeper[0]);
                keys[key] = self.node(deeper, depth + 1, keys[key]);
            }
        }
        self.write(&keys, depth)
    }

    /// Writes the runs of equal keys as a node; gives its place, or the value itself if all keys have one.
    fn write(&mut self, keys: &[u32; KEYS], depth: u32) -> u32 {
        let starts = || (0..KEYS).filter(|&key| key == 0 || keys[key] != keys[key - 1]);
        let runs = starts().count();
        if runs == 1 && keys[0] < SPARSE {
            return keys[0];
        }
        let offset = u32::try_from(self.words.len()).ok().filter(|&offset| offset <= OFFSET).expect("a trie of prefixes stays below 4 GiB");
        if runs >= DENSE_RUNS || depth == 0 {
            self.words.extend(keys);
            return offset | DENSE;
        }
        if runs <= SPARSE_RUNS {
            let mut list = [0xFFFF_u32; SPARSE_RUNS];
            starts().enumerate().for_each(|(run, key)| list[run] = key as u32);
            self.words.extend(list.chunks(2).map(|pair| pair[0] | pair[1] << 16));
        } else {
            let mut pairs = [0u32; BITMAP_WORDS];
            starts().for_each(|key| pairs[key / 32 * 2] |= 1 << (key % 32));
            for at in (2..BITMAP_WORDS).step_by(2) {
                pairs[at + 1] = pairs[at - 1] + pairs[at - 2].count_ones();
            }
            self.words.extend(pairs);
        }
        self.words.extend(starts().map(|key| keys[key]));
        offset | if runs <= SPARSE_RUNS { SPARSE } else { BITMAP }
    }
}

/// Lays `value` on all keys that a prefix with `length` (1 to 3) digits of `group` covers.
fn fill(keys: &mut [u32; KEYS], group: usize, length: u32, value: u32) {
    match length {
        1 => {
            keys[group..group + 100].fill(value);
            keys[ONE_DIGIT + group / 100] = value;
            keys[TWO_DIGITS + group / 10..TWO_DIGITS + group / 10 + 10].fill(value);
        }
        2 => {
            keys[group..group + 10].fill(value);
            keys[TWO_DIGITS + group / 10] = value;
        }
        _ => keys[group] = value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    fn trie(rows: &[(&str, u32)]) -> DigitTrie {
        let mut prefixes: Vec<Prefix> = rows
            .iter()
            .map(|(digits, value)| Prefix::new(if digits.is_empty() { 0 } else { pack(digits.as_bytes()).unwrap() }, *value))
            .collect();
        prefixes.sort_unstable();
        DigitTrie::build(&prefixes)
    }

    fn find(trie: &DigitTrie, digits: &str) -> u32 {
        trie.find(pack(digits.as_bytes()).unwrap())
    }

    #[test]
    fn the_longest_prefix_wins_at_every_length() {
        let trie = trie(&[("8", 1), ("86", 2), ("861", 3), ("8613", 4), ("86134", 5), ("861349", 6), ("861349000000000", 7)]);
        for (digits, value) in [
            ("8", 1),
            ("80", 1),
            ("85212345678", 1),
            ("8600", 2),
            ("861", 3),
            ("86100", 3),
            ("8613", 4),
            ("86130", 4),
            ("86134", 5),
            ("861340", 5),
            ("861349", 6),
            ("86134900000000", 6),
            ("861349000000000", 7),
            ("861349000000001", 6),
            ("7", 0),
            ("123456789012345", 0),
        ] {
            assert_eq!(find(&trie, digits), value, "{digits}");
        }
        assert_eq!((trie.find(0), DigitTrie::default().find(u64::MAX)), (0, 0));
    }

    #[test]
    fn a_number_shorter_than_a_prefix_of_zeros_is_not_taken_for_it() {
        let trie = trie(&[("86", 1), ("86000", 2), ("860000000", 3), ("", 9)]);
        for (digits, value) in
            [("86", 1), ("860", 1), ("8600", 1), ("86000", 2), ("86000000", 2), ("860000000", 3), ("8600000000", 3), ("5", 9)]
        {
            assert_eq!(find(&trie, digits), value, "{digits}");
        }
    }

    #[test]
    fn it_agrees_with_a_plain_search_whatever_the_shape() {
        let mut seed = 11u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        // Few and scattered, many and dense, and long ones.
        for (count, head, longest) in [(40, "", 6), (3000, "861", 4), (300, "8613800", 8)] {
            let rows: std::collections::BTreeMap<String, u32> = (0..count)
                .map(|n| {
                    let length = 1 + random(longest) as usize;
                    (format!("{head}{:0length$}", random(10u64.pow(length as u32))), n + 1)
                })
                .collect();
            let rows: Vec<(&str, u32)> = rows.iter().map(|(digits, value)| (digits.as_str(), *value)).collect();
            let trie = trie(&rows);
            for _ in 0..3000 {
                let length = 1 + random(15 - head.len() as u64) as usize;
                let number = format!("{head}{:0length$}", random(1 << 31).wrapping_mul(random(1 << 20)) % 10u64.pow(length as u32));
                let plain = rows.iter().filter(|(prefix, _)| number.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len());
                assert_eq!(find(&trie, &number), plain.map_or(0, |(_, value)| *value), "{number}");
            }
        }
    }

    #[test]
    fn equal_neighbours_cost_nothing() {
        let rows: Vec<(String, u32)> = (0..1000).map(|n| (format!("861{n:03}"), 5)).collect();
        let rows: Vec<(&str, u32)> = rows.iter().map(|(digits, value)| (digits.as_str(), *value)).collect();
        let root = KEYS * 4;
        assert!(trie(&rows).octets() < root + 300, "{}", trie(&rows).octets());
    }
}
