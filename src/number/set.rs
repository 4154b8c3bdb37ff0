//! A set of packed numbers, compact and quick to ask: sorted, cut by prefix into parts, so that what changed can be written part by part.
//!
//! Up to [`SMALL_MAX`] numbers are one sorted list of words: thousands of small sets cost eight octets a number. Beyond it each part covers 2^20
//! neighbouring numbers in sixteen chunks, and a number is the sixteen bits that its part and chunk don't tell. Ten million random Chinese mobiles
//! take some 2.3 octets each. Asking costs one look into a small table and one into a list where the number is guessed to stand: phone numbers lie about
//! evenly, and where they don't the guess is left in doubling steps.

use hashbrown::HashMap;
use std::collections::BTreeSet;

/// Numbers that are kept as one list.
pub const SMALL_MAX: usize = 32_768;
/// The key of the part that a small set is.
pub const SMALL_PART: u64 = u64::MAX;
/// Bits of a number that a part doesn't tell.
const PART_BITS: u32 = 20;
const CHUNKS: usize = 1 << (PART_BITS - 16);

/// 2^20 neighbouring numbers.
#[derive(Debug, Clone, Default)]
struct Part {
    /// Where each chunk ends in `lows`.
    ends: [u32; CHUNKS],
    /// The last sixteen bits of each number, sorted within its chunk.
    lows: Vec<u16>,
}

/// Where `low` stands in a sorted list, or where it would be put. Begins where it would stand if the list were even.
#[inline]
fn search(lows: &[u16], low: u16) -> Result<usize, usize> {
    if lows.is_empty() {
        return Err(0);
    }
    let guess = (low as usize * lows.len()) >> 16;
    let mut step = 4;
    let (mut from, mut to) = (guess, guess);
    if lows[guess] < low {
        // Everything before `from` is below.
        while to < lows.len() && lows[to] < low {
            from = to + 1;
            to = (to + step).min(lows.len());
            step *= 2;
        }
    } else {
        // Nothing from `to` on is below.
        while from > 0 && lows[from - 1] >= low {
            to = from - 1;
            from = from.saturating_sub(step);
            step *= 2;
        }
    }
    let at = from + lows[from..to.max(from)].partition_point(|&other| other < low);
    if lows.get(at) == Some(&low) { Ok(at) } else { Err(at) }
}

impl Part {
    fn chunk(&self, chunk: usize) -> std::ops::Range<usize> {
        let start = if chunk == 0 { 0 } else { self.ends[chunk - 1] };
        start as usize..self.ends[chunk] as usize
    }

    #[inline]
    fn contains(&self, number: u64) -> bool {
        search(&self.lows[self.chunk(chunk_of(number))], number as u16).is_ok()
    }

    fn insert(&mut self, number: u64) -> bool {
        let chunk = chunk_of(number);
        let range = self.chunk(chunk);
        let Err(at) = search(&self.lows[range.clone()], number as u16) else { return false };
        if self.lows.len() == self.lows.capacity() {
            // A list that doubled would waste a quarter on average.
            self.lows.reserve_exact(self.lows.len() / 8 + 4);
        }
        self.lows.insert(range.start + at, number as u16);
        self.ends[chunk..].iter_mut().for_each(|end| *end += 1);
        true
    }

    fn remove(&mut self, number: u64) -> bool {
        let chunk = chunk_of(number);
        let range = self.chunk(chunk);
        let Ok(at) = search(&self.lows[range.clone()], number as u16) else { return false };
        self.lows.remove(range.start + at);
        self.ends[chunk..].iter_mut().for_each(|end| *end -= 1);
        true
    }

    fn numbers(&self, key: u64) -> impl Iterator<Item = u64> + '_ {
        (0..CHUNKS).flat_map(move |chunk| {
            let base = key << PART_BITS | (chunk as u64) << 16;
            self.lows[self.chunk(chunk)].iter().map(move |&low| base | u64::from(low))
        })
    }

    /// Of sorted numbers that all belong to it.
    fn of(numbers: impl Iterator<Item = u64>, most: usize) -> Part {
        let mut part = Part { ends: [0; CHUNKS], lows: Vec::with_capacity(most) };
        for number in numbers {
            part.lows.push(number as u16);
            part.ends[chunk_of(number)] += 1;
        }
        part.lows.shrink_to_fit();
        for chunk in 1..CHUNKS {
            part.ends[chunk] += part.ends[chunk - 1];
        }
        part
    }
}

fn chunk_of(number: u64) -> usize {
    (number >> 16) as usize % CHUNKS
}

#[derive(Debug, Clone)]
enum Kept {
    Small(Vec<u64>),
    Large(HashMap<u64, Part>),
}

/// A set of packed numbers.
#[derive(Debug, Clone)]
pub struct SortedNumbers {
    kept: Kept,
    len: usize,
    /// Parts that changed since they were last taken.
    changed: BTreeSet<u64>,
}

impl Default for SortedNumbers {
    fn default() -> SortedNumbers {
        SortedNumbers { kept: Kept::Small(Vec::new()), len: 0, changed: BTreeSet::new() }
    }
}

impl SortedNumbers {
    /// Numbers in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// It holds `number`.
    #[inline]
    pub fn contains(&self, number: u64) -> bool {
        match &self.kept {
            Kept::Small(list) => list.binary_search(&number).is_ok(),
            Kept::Large(parts) => parts.get(&(number >> PART_BITS)).is_some_and(|part| part.contains(number)),
        }
    }

    /// Adds sorted numbers, each once; gives how many are new.
    pub fn insert_all(&mut self, numbers: &[u64]) -> usize {
        debug_assert!(numbers.is_sorted_by(|a, b| a < b), "sorted, each once");
        let before = self.len;
        if let Kept::Small(list) = &mut self.kept {
            if list.len() + numbers.len() <= SMALL_MAX {
                let new = match numbers {
                    [number] => list.binary_search(number).map_err(|at| list.insert(at, *number)).is_err(),
                    _ => {
                        *list = merge(list, numbers.iter().copied()).collect();
                        true
                    }
                };
                self.len = list.len();
                if new && self.len > before {
                    self.changed.insert(SMALL_PART);
                }
                return self.len - before;
            }
            self.enlarge();
        }
        let Kept::Large(parts) = &mut self.kept else { return 0 };
        for group in numbers.chunk_by(|a, b| a >> PART_BITS == b >> PART_BITS) {
            let key = group[0] >> PART_BITS;
            let part = parts.entry(key).or_default();
            let old = part.lows.len();
            if group.len() <= 8 {
                group.iter().for_each(|&number| _ = part.insert(number));
            } else {
                let most = old + group.len();
                let before: Vec<u64> = part.numbers(key).collect();
                *part = Part::of(merge(&before, group.iter().copied()), most);
            }
            if part.lows.len() > old {
                self.len += part.lows.len() - old;
                self.changed.insert(key);
            }
        }
        self.len - before
    }

    /// Removes sorted numbers; gives how many were there.
    pub fn remove_all(&mut self, numbers: &[u64]) -> usize {
        debug_assert!(numbers.is_sorted_by(|a, b| a < b), "sorted, each once");
        let before = self.len;
        match &mut self.kept {
            Kept::Small(list) => {
                match numbers {
                    [number] => _ = list.binary_search(number).map(|at| list.remove(at)),
                    _ => list.retain(|number| numbers.binary_search(number).is_err()),
                }
                self.len = list.len();
                if self.len < before {
                    self.changed.insert(SMALL_PART);
                }
            }
            Kept::Large(parts) => {
                for group in numbers.chunk_by(|a, b| a >> PART_BITS == b >> PART_BITS) {
                    let key = group[0] >> PART_BITS;
                    let Some(part) = parts.get_mut(&key) else { continue };
                    let old = part.lows.len();
                    if group.len() <= 8 {
                        group.iter().for_each(|&number| _ = part.remove(number));
                    } else {
                        let left: Vec<u64> = part.numbers(key).filter(|number| group.binary_search(number).is_err()).collect();
                        *part = Part::of(left.iter().copied(), left.len());
                    }
                    let left = part.lows.len();
                    if left < old {
                        self.len -= old - left;
                        self.changed.insert(key);
                    }
                    if left == 0 {
                        parts.remove(&key);
                    }
                }
            }
        }
        before - self.len
    }

    /// Removes all numbers; gives how many there were.
    pub fn clear(&mut self) -> usize {
        self.changed.extend(self.parts());
        self.kept = Kept::Small(Vec::new());
        std::mem::take(&mut self.len)
    }

    fn enlarge(&mut self) {
        let Kept::Small(list) = &self.kept else { return };
        let mut parts = HashMap::new();
        for group in list.chunk_by(|a, b| a >> PART_BITS == b >> PART_BITS) {
            parts.insert(group[0] >> PART_BITS, Part::of(group.iter().copied(), group.len()));
            self.changed.insert(group[0] >> PART_BITS);
        }
        self.changed.insert(SMALL_PART);
        self.kept = Kept::Large(parts);
    }

    /// Up to `most` numbers above `after`, in their order as packed words (shorter numbers first).
    pub fn page(&self, after: u64, most: usize) -> Vec<u64> {
        match &self.kept {
            Kept::Small(list) => list[list.partition_point(|&number| number <= after)..].iter().take(most).copied().collect(),
            Kept::Large(parts) => {
                let mut keys: Vec<u64> = parts.keys().copied().filter(|&key| key >= after >> PART_BITS).collect();
                keys.sort_unstable();
                keys.iter().flat_map(|&key| parts[&key].numbers(key)).filter(|&number| number > after).take(most).collect()
            }
        }
    }

    /// The keys of all its parts, in order.
    pub fn parts(&self) -> Vec<u64> {
        match &self.kept {
            Kept::Small(list) if list.is_empty() => Vec::new(),
            Kept::Small(_) => vec![SMALL_PART],
            Kept::Large(parts) => {
                let mut keys: Vec<u64> = parts.keys().copied().collect();
                keys.sort_unstable();
                keys
            }
        }
    }

    /// The numbers of one part, sorted; none if there is no such part (any more).
    pub fn part(&self, key: u64) -> Vec<u64> {
        match &self.kept {
            Kept::Small(list) if key == SMALL_PART => list.clone(),
            Kept::Large(parts) => parts.get(&key).map(|part| part.numbers(key).collect()).unwrap_or_default(),
            Kept::Small(_) => Vec::new(),
        }
    }

    /// Takes the next part that changed since it was last taken.
    pub fn take_changed(&mut self) -> Option<u64> {
        self.changed.pop_first()
    }

    /// Parts that changed since they were last taken.
    pub fn changed(&self) -> usize {
        self.changed.len()
    }

    /// All changes are kept elsewhere already.
    pub fn settle(&mut self) {
        self.changed.clear();
    }

    /// Octets that it takes in memory, without the allocator's own.
    pub fn octets(&self) -> usize {
        match &self.kept {
            Kept::Small(list) => list.capacity() * size_of::<u64>(),
            Kept::Large(parts) => {
                let table = parts.capacity() * 8 / 7 * (size_of::<(u64, Part)>() + 1);
                table + parts.values().map(|part| part.lows.capacity() * size_of::<u16>()).sum::<usize>()
            }
        }
    }
}

/// Two sorted lists as one, each number once.
fn merge<'a>(one: &'a [u64], two: impl Iterator<Item = u64> + 'a) -> impl Iterator<Item = u64> + 'a {
    let (mut one, mut two) = (one.iter().copied().peekable(), two.peekable());
    std::iter::from_fn(move || match (one.peek(), two.peek()) {
        (Some(a), Some(b)) if a == b => {
            two.next();
            one.next()
        }
        (Some(a), Some(b)) if a > b => two.next(),
        (None, _) => two.next(),
        _ => one.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.0 >> 20
        }

        /// A number out of few, of many, or of a dense run.
        fn number(&mut self) -> u64 {
            let mobile = 13 << 60 | 8_613_000_000_000;
            match self.roll() % 4 {
                0 => (11 << 60) | (12_125_550_000 + self.roll() % 2_000),
                1 => mobile + self.roll() % 3_000_000,
                2 => mobile + self.roll() % 6_000_000_000,
                _ => mobile + 77_000_000 + self.roll() % 50_000,
            }
        }
    }

    fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
        numbers.collect::<BTreeSet<u64>>().into_iter().collect()
    }

    #[test]
    fn it_agrees_with_a_plain_set_through_every_size_and_change() {
        let (mut dice, mut set, mut plain) = (Dice(7), SortedNumbers::default(), BTreeSet::new());
        let mut enlarged = false;
        for round in 0..240 {
            let count = [1, 3, 50, 3_000][(dice.roll() % 4) as usize];
            let numbers = sorted((0..count).map(|_| dice.number()));
            if round % 4 == 3 {
                let removed = numbers.iter().filter(|number| plain.remove(*number)).count();
                assert_eq!(set.remove_all(&numbers), removed);
            } else {
                let added = numbers.iter().filter(|number| plain.insert(**number)).count();
                assert_eq!(set.insert_all(&numbers), added);
            }
            assert_eq!(set.len(), plain.len());
            for number in (0..50).map(|_| dice.number()) {
                assert_eq!(set.contains(number), plain.contains(&number));
            }
            enlarged |= matches!(set.kept, Kept::Large(_));
        }
        assert!(enlarged && plain.len() > SMALL_MAX);
        let (mut all, mut after) = (Vec::new(), 0);
        while let Some(&last) = set.page(after, 777).last() {
            all.extend(set.page(after, 777));
            after = last;
        }
        assert!(all.iter().eq(plain.iter()), "pages give all of it in order");
        let parts: Vec<u64> = set.parts().into_iter().flat_map(|key| set.part(key)).collect();
        assert_eq!(parts, all, "and so do its parts");
    }

    #[test]
    fn only_what_changed_is_told_as_changed() {
        let mut set = SortedNumbers::default();
        let base = 13u64 << 60 | 8_613_800_000_000;
        set.insert_all(&[base]);
        assert_eq!((set.take_changed(), set.take_changed()), (Some(SMALL_PART), None));
        set.insert_all(&[base]);
        set.remove_all(&[base + 1]);
        assert_eq!(set.changed(), 0, "what changes nothing changes no part");
        let many: Vec<u64> = (0..40_000).map(|n| base + n * 1000).collect();
        set.insert_all(&many);
        assert_eq!(set.changed(), set.parts().len() + 1, "a set that grows large is written anew, and its small part once more");
        set.settle();
        set.insert_all(&[base + 1]);
        set.remove_all(&[base + 39_999_000]);
        assert_eq!(set.changed(), 2);
        let first = set.take_changed().unwrap();
        assert!(set.part(first).contains(&(base + 1)));
        assert_eq!(set.remove_all(&many), 39_999);
        assert_eq!((set.len(), set.parts().len()), (1, 1), "empty parts go");
    }

    #[test]
    fn uneven_numbers_are_found_too() {
        let all: Vec<u16> = (0..60u16).chain(40_000..40_900).chain([65_535]).collect();
        for low in 0..=u16::MAX {
            assert_eq!(search(&all, low), all.binary_search(&low), "{low}");
        }
        assert_eq!(search(&[], 5), Err(0));
    }

    #[test]
    fn two_hundred_thousand_mobiles_are_compact() {
        let mut dice = Dice(3);
        let numbers = sorted((0..200_000).map(|_| (13 << 60) | (8_613_000_000_000 + dice.roll() % 100_000_000)));
        let mut set = SortedNumbers::default();
        set.insert_all(&numbers);
        assert!(set.octets() < 3 * set.len(), "{} octets for {}", set.octets(), set.len());
        for number in numbers.iter().step_by(3) {
            set.remove_all(&[*number]);
            set.insert_all(&[number + 1]);
        }
        assert!(set.octets() < 4 * set.len(), "{} octets for {}", set.octets(), set.len());
    }
}
