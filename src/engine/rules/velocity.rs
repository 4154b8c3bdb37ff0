//! How often an account may write to one range of numbers: at most so many messages in any window of so long. Against pumping, where somebody makes
//! an account send to a range whose owner is paid by the message.
//!
//! A counter is a window cut into slices. What counts is the slice of now and as many before it as make up the window, so never more than the limit
//! passes in any window; a range may have to wait up to a slice longer than it must. Counters are exact across restarts: the walk of the ledger keeps them, and
//! what was accepted since then is in the journal. Time is the monotonic clock, so jumps of the wall clock do no harm while the process runs.

use crate::model::AccountId;
use crate::number::packed::{VALUE_MASK, digit_count};
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Slices that make up a window.
const SLICES: usize = 8;
/// Counters kept for all accounts. Past it the older half goes, and its ranges start anew.
pub const COUNTERS_MAX: usize = 200_000;

/// One limit of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VelocityRule {
    /// Only numbers that begin with this packed number; 0: all.
    pub prefix: u64,
    /// Leading digits that make up a range; 0: all numbers of `prefix` are one range.
    pub digits: u8,
    /// Messages that may be accepted in a window.
    pub most: u32,
    /// The window, milliseconds.
    pub window_ms: u64,
}

impl VelocityRule {
    /// The range that `number` belongs to by this rule, as a packed number; `None` if it isn't meant.
    pub fn range(&self, number: u64) -> Option<u64> {
        if self.prefix != 0 && leading(number, digit_count(self.prefix)) != Some(self.prefix) {
            return None;
        }
        match self.digits {
            0 => Some(self.prefix),
            digits => Some(leading(number, usize::from(digits)).unwrap_or(number)),
        }
    }

    fn slice_ms(&self) -> u64 {
        self.window_ms.div_ceil(SLICES as u64).max(1)
    }

    /// Names what is counted; a rule of another range or window counts anew, one with another limit goes on.
    fn name(&self) -> u64 {
        let mut octets = [self.digits; 17];
        octets[1..9].copy_from_slice(&self.prefix.to_le_bytes());
        octets[9..].copy_from_slice(&self.window_ms.to_le_bytes());
        xxh3_64(&octets)
    }
}

/// The first `count` digits of a packed number, packed; `None` if it has fewer.
fn leading(number: u64, count: usize) -> Option<u64> {
    let cut = digit_count(number).checked_sub(count)?;
    Some(((count as u64) << 60) | ((number & VALUE_MASK) / 10u64.pow(cut as u32)))
}

/// What is counted: account, rule, range.
type Key = (AccountId, u64, u64);

/// Messages by slice; `last` is the newest, in whole slices of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counter {
    last: i64,
    counts: [u32; SLICES + 1],
    /// Length of a slice, to tell when nothing of it counts any more.
    slice_ms: u64,
}

impl Counter {
    fn advance(&mut self, to: i64) {
        let by = usize::try_from(to.saturating_sub(self.last)).unwrap_or(0);
        if by > 0 {
            self.counts.rotate_right(by.min(SLICES + 1) % (SLICES + 1));
            self.counts[..by.min(SLICES + 1)].fill(0);
            self.last = to;
        }
    }

    fn count(&mut self, slice: i64) {
        self.advance(slice);
        let age = usize::try_from(self.last - slice).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(age) {
            *count = count.saturating_add(1);
        }
    }

    fn sum_at(mut self, slice: i64) -> u64 {
        self.advance(slice);
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }
}

/// All counters, in two generations: what was used since the last turn, and the rest.
#[derive(Debug, Default)]
pub struct Velocity {
    recent: HashMap<Key, Counter>,
    older: HashMap<Key, Counter>,
}

impl Velocity {
    /// True if `account` may not write to `number` at `at_ms` (monotonic) for the sake of `rule`.
    pub fn is_over(&self, account: AccountId, rule: &VelocityRule, number: u64, at_ms: i64) -> bool {
        let Some(range) = rule.range(number) else { return false };
        let key = (account, rule.name(), range);
        let sum = self
            .recent
            .get(&key)
            .or_else(|| self.older.get(&key))
            .map_or(0, |counter| counter.sum_at(at_ms.div_euclid(rule.slice_ms() as i64)));
        sum >= u64::from(rule.most)
    }

    /// One more.
    pub fn count(&mut self, account: AccountId, rule: &VelocityRule, number: u64, at_ms: i64) {
        let Some(range) = rule.range(number) else { return };
        let key = (account, rule.name(), range);
        let slice = at_ms.div_euclid(rule.slice_ms() as i64);
        if !self.recent.contains_key(&key) {
            if self.recent.len() >= COUNTERS_MAX / 2 {
                self.older = std::mem::take(&mut self.recent);
            }
            let counter = self.older.remove(&key).unwrap_or(Counter { last: slice, slice_ms: rule.slice_ms(), ..Counter::default() });
            self.recent.insert(key, counter);
        }
        if let Some(counter) = self.recent.get_mut(&key) {
            counter.count(slice);
        }
    }

    /// Counters kept.
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.older.is_empty()
    }

    /// For the ledger: what still counts at `at_ms`, its slices told by their age.
    pub fn to_octets(&self, at_ms: i64) -> Vec<u8> {
        let alive = |(_, counter): &(&Key, &Counter)| counter.sum_at(at_ms.div_euclid(counter.slice_ms as i64)) > 0;
        let mut all: Vec<(&Key, &Counter)> = self.recent.iter().chain(&self.older).filter(alive).collect();
        all.sort_unstable_by_key(|(key, _)| **key);
        let mut out = Vec::with_capacity(all.len() * 72);
        for ((account, rule, range), counter) in all {
            out.extend_from_slice(&account.0.to_le_bytes());
            let age_ms = at_ms - counter.last * counter.slice_ms as i64;
            for word in [*rule, *range, counter.slice_ms, age_ms as u64] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            counter.counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        }
        out
    }

    /// From the ledger's octets; `at_ms` is the instant, on the clock of now, at which they were written. `None`: they are something else.
    pub fn from_octets(octets: &[u8], at_ms: i64) -> Option<Velocity> {
        const LENGTH: usize = 4 + 32 + 4 * (SLICES + 1);
        let mut velocity = Velocity::default();
        if !octets.len().is_multiple_of(LENGTH) {
            return None;
        }
        for one in octets.chunks_exact(LENGTH) {
            let (account, rest) = one.split_first_chunk::<4>()?;
            let (words, counts) = rest.split_at(32);
            let word = |at: usize| words[at * 8..at * 8 + 8].try_into().map_or(0, u64::from_le_bytes);
            let slice_ms = word(2);
            if slice_ms == 0 {
                return None;
            }
            let mut counter = Counter { slice_ms, ..Counter::default() };
            // Rounded up: a slice never ends earlier than it would have.
            counter.last = (at_ms.saturating_sub(word(3) as i64) + slice_ms as i64 - 1).div_euclid(slice_ms as i64);
            for (count, octets) in counter.counts.iter_mut().zip(counts.chunks_exact(4)) {
                *count = octets.try_into().map_or(0, u32::from_le_bytes);
            }
            velocity.recent.insert((AccountId(u32::from_le_bytes(*account)), word(0), word(1)), counter);
        }
        Some(velocity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::pack;

    const SHOP: AccountId = AccountId(0);

    fn number(digits: &str) -> u64 {
        pack(digits.as_bytes()).unwrap()
    }

    #[test]
    fn a_rule_says_which_numbers_share_a_counter() {
        let rule = |prefix: &str, digits| VelocityRule {
            prefix: if prefix.is_empty() { 0 } else { number(prefix) },
            digits,
            most: 1,
            window_ms: 1000,
        };
        let phone = number("8613800138000");
        assert_eq!(rule("", 7).range(phone), Some(number("8613800")));
        assert_eq!(rule("8613", 0).range(phone), Some(number("8613")));
        assert_eq!(rule("86", 9).range(phone), Some(number("861380013")));
        assert_eq!(rule("852", 0).range(phone), None);
        assert_eq!(rule("", 15).range(phone), Some(phone), "a number that is shorter is a range of its own");
        assert_eq!(rule("", 0).range(phone), Some(0));
    }

    #[test]
    fn never_more_than_the_limit_in_any_window_and_not_much_less() {
        for (most, window_ms, step_ms) in [(5u32, 1_000u64, 37u64), (100, 60_000, 100), (1, 10, 3), (3, 7, 1)] {
            let rule = VelocityRule { prefix: 0, digits: 4, most, window_ms };
            let (mut velocity, mut passed) = (Velocity::default(), Vec::new());
            for tick in 0..3_000u64 {
                let at_ms = (tick * step_ms) as i64 - 5_000;
                if !velocity.is_over(SHOP, &rule, number("8613800138000"), at_ms) {
                    velocity.count(SHOP, &rule, number("8613811111111"), at_ms);
                    passed.push(at_ms);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                let inside = passed[first..].iter().take_while(|at| **at < start + window_ms as i64).count();
                assert!(inside <= most as usize, "{inside} in a window of {window_ms} ms");
            }
            let windows = 3_000 * step_ms / window_ms;
            assert!(
                passed.len() as u64 * 10 >= windows.min(3_000) * u64::from(most) * 8 / 2,
                "{} in {windows} windows of {most}",
                passed.len()
            );
        }
    }

    #[test]
    fn counters_survive_a_restart_on_another_clock_and_their_number_is_bounded() {
        let rule = VelocityRule { prefix: 0, digits: 13, most: 2, window_ms: 8_000 };
        let phone = number("8613800138000");
        let mut velocity = Velocity::default();
        velocity.count(SHOP, &rule, phone, 900_000);
        velocity.count(SHOP, &rule, phone, 903_000);
        velocity.count(SHOP, &rule, phone + 1, 800_000);
        let kept = velocity.to_octets(904_000);
        // The process starts anew: its clock begins at 0 where the old one's stood at 904,000.
        let again = Velocity::from_octets(&kept, 0).unwrap();
        assert_eq!(again.len(), 1, "what doesn't count any more isn't kept");
        assert!(again.is_over(SHOP, &rule, phone, 3_900), "the first still counts");
        assert!(!again.is_over(SHOP, &rule, phone, 6_100));
        assert!(!again.is_over(AccountId(1), &rule, phone, 0));
        assert!(Velocity::from_octets(&kept[1..], 0).is_none());
        for n in 0..COUNTERS_MAX as u64 + 10 {
            velocity.count(SHOP, &rule, phone + n, 904_000);
        }
        assert!(velocity.len() <= COUNTERS_MAX, "{}", velocity.len());
    }
}
