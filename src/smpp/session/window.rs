//! Our own requests that wait for an answer: found by sequence number without hashing, and remembered for a while after they timed out.

use std::collections::VecDeque;

/// Greatest sequence number (v3.4 §5.1.4); after it comes 1.
pub(super) const MAX_SEQUENCE: u32 = 0x7FFF_FFFF;
/// Timed-out requests remembered per session; beyond it the oldest is forgotten.
pub const MAX_LATE: usize = 16_384;
/// Slots to begin with; most sessions of a customer never need more.
const MIN_SLOTS: usize = 16;

/// How long ago `sequence` was given out, in numbers, when `next` is the next one.
pub(super) fn age(sequence: u32, next: u32) -> u32 {
    (next + MAX_SEQUENCE - sequence) % MAX_SEQUENCE
}

/// One request on its way; `sequence` 0 marks a free slot.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    sequence: u32,
    token: u64,
    sent_us: u64,
}

/// Requests in flight. A request lives in slot `sequence mod slots`; numbers are consecutive, so there are collisions only with a request
/// that is unanswered while many later ones were answered. Such stragglers move aside into a list that is scanned only when it is not empty.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    slots: Vec<Slot>,
    stragglers: Vec<Slot>,
    len: usize,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, sequence: u32) -> bool {
        let Some(slot) = self.slots.get(self.index(sequence)) else {
            return false;
        };
        slot.sequence == sequence || (!self.stragglers.is_empty() && self.stragglers.iter().any(|slot| slot.sequence == sequence))
    }

    pub(super) fn insert(&mut self, sequence: u32, token: u64, sent_us: u64) {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        self.len += 1;
        self.place(Slot { sequence, token, sent_us });
    }

    pub(super) fn take(&mut self, sequence: u32) -> Option<u64> {
        if sequence == 0 || self.slots.is_empty() {
            return None;
        }
        let index = self.index(sequence);
        let slot = &mut self.slots[index];
        if slot.sequence == sequence {
            slot.sequence = 0;
            self.len -= 1;
            return Some(slot.token);
        }
        let at = self.stragglers.iter().position(|slot| slot.sequence == sequence)?;
        self.len -= 1;
        Some(self.stragglers.swap_remove(at).token)
    }

    /// When the oldest was sent.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        self.occupied().map(|slot| slot.sent_us).min()
    }

    /// Removes all that were sent at or before `until_us`; (sequence, token) in order of sending.
    pub(super) fn expire(&mut self, until_us: u64, next_sequence: u32) -> Vec<(u32, u64)> {
        let mut expired: Vec<(u32, u64)> =
            self.occupied().filter(|slot| slot.sent_us <= until_us).map(|slot| (slot.sequence, slot.token)).collect();
        expired.sort_unstable_by_key(|&(sequence, _)| std::cmp::Reverse(age(sequence, next_sequence)));
        for &(sequence, _) in &expired {
            self.take(sequence);
        }
        expired
    }

    fn occupied(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().chain(&self.stragglers).filter(|slot| slot.sequence != 0)
    }

    fn index(&self, sequence: u32) -> usize {
        sequence as usize & self.slots.len().wrapping_sub(1)
    }

    fn place(&mut self, slot: Slot) {
        let index = self.index(slot.sequence);
        let before = std::mem::replace(&mut self.slots[index], slot);
        if before.sequence != 0 {
            self.stragglers.push(before);
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(MIN_SLOTS);
        let slots = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        let stragglers = std::mem::take(&mut self.stragglers);
        for slot in stragglers.into_iter().chain(slots).filter(|slot| slot.sequence != 0) {
            self.place(slot);
        }
    }
}

/// What is known of a number that is not in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    /// It timed out; this is its first answer.
    First(u64),
    /// It timed out and was answered already.
    Again,
    /// Never sent, answered in time before, or forgotten.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct LateEntry {
    sequence: u32,
    token: u64,
    until_us: u64,
    answered: bool,
}

/// Requests that timed out, in order of sending, so that a number is found by bisection.
#[derive(Debug, Default)]
pub(super) struct LateMemory {
    entries: VecDeque<LateEntry>,
}

impl LateMemory {
    pub(super) fn remember(&mut self, sequence: u32, token: u64, until_us: u64) {
        if self.entries.len() >= MAX_LATE {
            self.entries.pop_front();
        }
        self.entries.push_back(LateEntry { sequence, token, until_us, answered: false });
    }

    pub(super) fn take(&mut self, sequence: u32, next_sequence: u32) -> Late {
        if self.entries.is_empty() || sequence == 0 || sequence > MAX_SEQUENCE {
            return Late::Unknown;
        }
        let wanted = age(sequence, next_sequence);
        let at = self.entries.partition_point(|entry| age(entry.sequence, next_sequence) > wanted);
        match self.entries.get_mut(at) {
            Some(entry) if entry.sequence == sequence => {
                if std::mem::replace(&mut entry.answered, true) {
                    Late::Again
                } else {
                    Late::First(entry.token)
                }
            }
            _ => Late::Unknown,
        }
    }

    pub(super) fn forget(&mut self, now_us: u64) {
        while self.entries.front().is_some_and(|entry| entry.until_us <= now_us) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_answers_are_found_across_the_wrap() {
        let mut late = LateMemory::default();
        for (token, sequence) in [MAX_SEQUENCE - 1, MAX_SEQUENCE, 1, 3].into_iter().enumerate() {
            late.remember(sequence, token as u64, 100);
        }
        assert_eq!(late.take(1, 5), Late::First(2));
        assert_eq!(late.take(1, 5), Late::Again);
        assert_eq!(late.take(MAX_SEQUENCE - 1, 5), Late::First(0));
        assert_eq!(late.take(2, 5), Late::Unknown);
        assert_eq!(late.take(u32::MAX, 5), Late::Unknown);
        late.forget(100);
        assert_eq!(late.take(3, 5), Late::Unknown);
    }

    #[test]
    fn stragglers_survive_collisions_and_growth() {
        let mut window = InFlight::default();
        window.insert(1, 1, 0);
        for sequence in 2..=40 {
            window.insert(sequence, u64::from(sequence), 0);
            if sequence % 2 == 0 {
                assert_eq!(window.take(sequence), Some(u64::from(sequence)));
                assert_eq!(window.take(sequence), None);
            }
        }
        assert_eq!(window.len(), 20);
        let tokens: Vec<u64> = window.expire(0, 41).into_iter().map(|(_, token)| token).collect();
        assert_eq!(tokens, (1..40).step_by(2).collect::<Vec<u64>>());
        assert_eq!((window.len(), window.oldest_us()), (0, None));
    }
}
