//! Longest-prefix match over digits: a trie with ten places per node, built whole and then
//! only read. What the values mean is the owner's.

use super::packed;

/// Why a table can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// A prefix is not 0 to 15 digits, or a range is not of two prefixes of the same length in order.
    #[error("{0:?} is no prefix of digits and no range of them")]
    BadPrefix(String),
}

/// One digit's place in a node. Both are 0 for none.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    node: u32,
    value: u32,
}

/// A value for each prefix; a number gets that of its longest one.
#[derive(Debug, Clone)]
pub struct PrefixTable<T> {
    nodes: Vec<[Place; 10]>,
    /// Value of the empty prefix, as in [`Place`].
    root: u32,
    values: Vec<T>,
}

impl<T> PrefixTable<T> {
    /// Builds the table. A prefix is a string of digits (`86`, `1349`), a range of them (`1340-1348`), or empty for
    /// whatever no other fits; if one comes twice, the last counts.
    pub fn new<'a>(rows: impl IntoIterator<Item = (&'a str, T)>) -> Result<PrefixTable<T>, PrefixError> {
        let mut table = PrefixTable { nodes: vec![Default::default()], root: 0, values: Vec::new() };
        for (prefix, value) in rows {
            table.values.push(value);
            let value = table.values.len() as u32;
            match prefix.split_once('-') {
                None => table.insert(prefix, value)?,
                Some((low, high)) => {
                    let bad = || PrefixError::BadPrefix(prefix.to_string());
                    let bounds = low.parse::<u32>().ok().zip(high.parse::<u32>().ok());
                    let (first, last) = bounds.filter(|(first, last)| first <= last && low.len() == high.len()).ok_or_else(bad)?;
                    for prefix in first..=last {
                        table.insert(&format!("{prefix:0width$}", width = low.len()), value)?;
                    }
                }
            }
        }
        Ok(table)
    }

    fn insert(&mut self, prefix: &str, value: u32) -> Result<(), PrefixError> {
        if prefix.len() > packed::DIGITS_MAX || !prefix.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(PrefixError::BadPrefix(prefix.to_string()));
        }
        let digits = prefix.as_bytes();
        let Some((last, path)) = digits.split_last() else {
            self.root = value;
            return Ok(());
        };
        let mut node = 0;
        for digit in path {
            let digit = usize::from(digit - b'0');
            if self.nodes[node][digit].node == 0 {
                self.nodes[node][digit].node = self.nodes.len() as u32;
                self.nodes.push(Default::default());
            }
            node = self.nodes[node][digit].node as usize;
        }
        self.nodes[node][usize::from(last - b'0')].value = value;
        Ok(())
    }

    /// The value of the longest prefix of a packed number.
    #[inline]
    pub fn get(&self, packed: u64) -> Option<&T> {
        let mut best = self.root;
        let mut node = 0usize;
        for digit in packed::digits(packed) {
            let found = self.nodes[node][usize::from(digit)];
            if found.value != 0 {
                best = found.value;
            }
            if found.node == 0 {
                break;
            }
            node = found.node as usize;
        }
        self.values.get((best as usize).wrapping_sub(1))
    }

    /// Number of rows that it was built from.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if it was built from none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    fn get<'a>(table: &'a PrefixTable<&str>, digits: &str) -> Option<&'a str> {
        table.get(pack(digits.as_bytes()).unwrap()).copied()
    }

    #[test]
    fn the_longest_prefix_wins() {
        let table =
            PrefixTable::new([("", "all"), ("86", "cn"), ("8613", "a"), ("861349", "b"), ("1", "us"), ("8613800138000", "one")]).unwrap();
        assert_eq!(get(&table, "8613800138000"), Some("one"));
        assert_eq!(get(&table, "8613800138001"), Some("a"));
        assert_eq!(get(&table, "8613491234567"), Some("b"));
        assert_eq!(get(&table, "8615012345678"), Some("cn"));
        assert_eq!(get(&table, "12125551234"), Some("us"));
        assert_eq!(get(&table, "447911123456"), Some("all"));
        assert_eq!(get(&table, "8"), Some("all"));
    }

    #[test]
    fn a_range_stands_for_each_prefix_in_it_and_the_last_row_counts() {
        let table = PrefixTable::new([("1340-1348", "x"), ("1345", "y"), ("001-003", "z")]).unwrap();
        assert_eq!(get(&table, "1340"), Some("x"));
        assert_eq!(get(&table, "13451"), Some("y"));
        assert_eq!(get(&table, "1349"), None);
        assert_eq!(get(&table, "0021"), Some("z"));
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for bad in ["8a", "86-", "9-8", "10-9", "1-22", "1234567890123456", "+86"] {
            assert!(PrefixTable::new([(bad, ())]).is_err(), "{bad}");
        }
        assert!(PrefixTable::<()>::new([]).unwrap().get(u64::MAX).is_none());
    }

    #[test]
    fn it_agrees_with_a_plain_search() {
        let mut seed = 7u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let rows: Vec<(String, usize)> = (0..500).map(|n| (random(10u64.pow(1 + (n % 5) as u32)).to_string(), n)).collect();
        let table = PrefixTable::new(rows.iter().map(|(prefix, n)| (prefix.as_str(), *n))).unwrap();
        for _ in 0..2000 {
            let number = (random(900_000_000) + 100_000_000).to_string();
            let plain = rows.iter().filter(|(prefix, _)| number.starts_with(prefix)).max_by_key(|(prefix, n)| (prefix.len(), *n));
            assert_eq!(table.get(pack(number.as_bytes()).unwrap()), plain.map(|(_, n)| n));
        }
    }
}
