//! A chunk whose messages are out of memory: the few words that memory keeps of it, and how the ledger's directory keeps them.

use super::cold::Place;
use super::messages::Entry;
use super::runs::{u32_of, u64_of};
use crate::model::{AccountId, MessageId};

/// How much later than its first message a chunk of sent messages may be looked through for receipts that never came, milliseconds: what expires about
/// the same time is read once.
const GRACE_MS: u64 = 60_000;

/// A chunk whose messages are out of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColdChunk {
    pub place: Place,
    /// Waiting messages: the earliest due time and the earliest end of validity. Sent ones: when the first and when the last receipt is no longer
    /// expected. Wall milliseconds.
    pub times_ms: [u64; 2],
    /// The oldest of its messages.
    pub first: MessageId,
    /// How many of whom.
    pub accounts: Vec<(AccountId, u32)>,
    /// How many were written into it.
    pub written: u32,
    /// It is to be read, or is being read.
    pub asked: bool,
}

impl ColdChunk {
    /// One without messages yet.
    pub fn new(place: Place, written: u32) -> ColdChunk {
        let times_ms = [u64::MAX, if place == Place::Sent { 0 } else { u64::MAX }];
        ColdChunk { place, times_ms, first: MessageId(u64::MAX), accounts: Vec::new(), written, asked: false }
    }

    /// One of its messages; a sent one's receipt is expected until `until_ms`.
    pub fn add(&mut self, entry: &Entry, until_ms: u64) {
        let message = &entry.message;
        let [first, second] = self.times_ms;
        self.times_ms = match self.place {
            Place::Sent => [first.min(until_ms), second.max(until_ms)],
            _ => [first.min(message.due_ms), second.min(message.expires_ms)],
        };
        self.first = self.first.min(message.id);
        match self.accounts.iter_mut().find(|(account, _)| *account == message.account) {
            Some((_, count)) => *count += 1,
            None => self.accounts.push((message.account, 1)),
        }
    }

    /// Messages in it.
    pub fn count(&self) -> u64 {
        self.accounts.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// When it must be back in memory, wall milliseconds: `lead_ms` before its first message is due, when the first one ends, or when receipts are no longer
    /// expected.
    pub fn time_ms(&self, lead_ms: u64) -> u64 {
        let [first, second] = self.times_ms;
        match self.place {
            Place::Time => second.min(first.saturating_sub(lead_ms)),
            Place::Lane(..) => second,
            Place::Sent => second.min(first.saturating_add(GRACE_MS)),
        }
    }

    pub fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(40 + 8 * self.accounts.len());
        self.place.write(&mut out);
        for number in [self.times_ms[0], self.times_ms[1], self.first.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.written.to_le_bytes());
        for (account, count) in &self.accounts {
            out.extend_from_slice(&account.0.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
        out
    }

    pub fn read(mut octets: &[u8]) -> Option<ColdChunk> {
        let at = &mut octets;
        let place = Place::read(at)?;
        let times_ms = [u64_of(at)?, u64_of(at)?];
        let first = MessageId(u64_of(at)?);
        let written = u32_of(at)?;
        let mut accounts = Vec::with_capacity(at.len() / 8);
        while !at.is_empty() {
            accounts.push((AccountId(u32_of(at)?), u32_of(at)?));
        }
        Some(ColdChunk { place, times_ms, first, accounts, written, asked: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::lanes::LaneKey;
    use crate::model::{CampaignId, CarrierId, Class};

    #[test]
    fn a_chunk_comes_back_from_the_directory_as_it_was() {
        let key = LaneKey { class: Class::Marketing, account: AccountId(3), campaign: CampaignId(4), zone: 5, split: 6 };
        for place in [Place::Time, Place::Sent, Place::Lane(CarrierId(7), key)] {
            let accounts = vec![(AccountId(1), 2), (AccountId(9), 70_000)];
            let chunk = ColdChunk { place, times_ms: [5, 6], first: MessageId(77), accounts, written: 100, asked: false };
            let octets = chunk.to_octets();
            assert_eq!(ColdChunk::read(&octets), Some(chunk));
            assert_eq!(ColdChunk::read(&octets[..octets.len() - 1]), None);
        }
    }
}
