//! Sent messages that have waited long for their receipts: the sweep notes them, a walk writes them into chunks of the ledger, and they leave memory
//! until something that means one of them comes. What is left of them in memory is [`super::runs`]'s and a few words per chunk.

use super::Engine;
use super::carry::{Carrying, Home};
use super::event::Event;
use super::messages::{Entry, PartState, Parts, Phase};
use crate::model::MessageId;

/// Messages that one sweep notes by name; what is beyond them is in the batches of the journal, which the walk reads anyway, or has its turn later.
const NOTED_MAX: usize = 100_000;
/// When memory is crowded messages are old after this part of their time.
const CROWDED_SHARE: u64 = 10;
/// A walk for old messages alone is worth its while when they are this part of what memory may hold.
const MANY_SHARE: usize = 16;
/// The same for messages due much later: such a walk must carry everything that is durable.
const MANY_FAR_SHARE: usize = 4;

/// What one sweep saw.
#[derive(Debug, Default)]
pub struct Old {
    /// How many.
    pub(super) seen: usize,
    ids: Vec<MessageId>,
    /// The newest batch of the journal that holds one of them.
    batch: u64,
    /// How many are due so much later that they may leave memory.
    pub(super) far: usize,
}

impl Old {
    /// Some of them are known by name.
    pub(super) fn has_names(&self) -> bool {
        !self.ids.is_empty()
    }
}

impl Engine {
    /// A sent message has waited long enough to leave memory.
    pub(super) fn is_old(&self, entry: &Entry, crowded: bool) -> bool {
        let age_ms = self.plan.bounds.sent_cold_after_ms / if crowded { CROWDED_SHARE } else { 1 };
        matches!(entry.phase, Phase::Sent(_)) && entry.sent_ms + age_ms <= self.now.wall_ms
    }

    /// The sweep has come by this message.
    pub(super) fn note_old(&mut self, id: MessageId) {
        let crowded = self.messages.len() > self.plan.bounds.max_in_memory;
        let Some(entry) = self.messages.get(&id).filter(|entry| self.is_old(entry, crowded)) else { return };
        let home = entry.home;
        if let Home::Chunk(chunk) = home
            && self.cold.is_lingering(chunk)
        {
            return;
        }
        let old = &mut self.cold.getting_old;
        if let Home::Batch(batch) = home {
            old.batch = old.batch.max(batch);
        }
        old.seen += 1;
        if old.ids.len() < NOTED_MAX {
            old.ids.push(id);
        }
    }

    /// A sweep is over: what it saw is what the next walk goes by.
    pub(super) fn old_are_noted(&mut self) {
        self.cold.old = std::mem::take(&mut self.cold.getting_old);
        self.cold.far = self.cold.old.far;
    }

    /// So many that a walk is worth its while, though memory isn't crowded.
    pub(super) fn are_old_many(&self) -> bool {
        self.cold.old.seen > self.plan.bounds.max_in_memory / MANY_SHARE
    }

    /// The same for messages due much later.
    pub(super) fn are_far_many(&self) -> bool {
        self.cold.far > self.plan.bounds.max_in_memory / MANY_FAR_SHARE && self.now.mono_us >= self.cold.rest_until_us
    }

    /// The first batch that a walk for old messages alone leaves in the journal.
    pub(super) fn old_upto(&self) -> u64 {
        self.cold.old.batch + 1
    }

    /// The walk comes to the old messages: those in batches were put off, those in chunks that can't leave as they are were noted. In the order in
    /// which they were sent, last first, so that those of one chunk end together.
    pub(super) fn queue_old(&mut self, carrying: &mut Carrying) {
        let crowded = carrying.crowded;
        for id in std::mem::take(&mut self.cold.old).ids {
            if let Some(entry) = self.messages.get(&id).filter(|entry| self.is_old(entry, crowded))
                && let Home::Chunk(chunk) = entry.home
                && !self.cold.is_lingering(chunk)
            {
                carrying.sent.push((entry.sent_ms, id, entry.home));
            }
        }
        carrying.sent.sort_unstable_by_key(|&(sent_ms, id, _)| std::cmp::Reverse((sent_ms, id)));
        carrying.sent.dedup_by_key(|&mut (_, id, _)| id);
    }

    /// A message leaves memory: its ids lead nowhere from here on. Gives the wall time at which its receipt is no longer expected.
    pub(super) fn leave_index(&mut self, entry: &Entry) -> u64 {
        for part in 0..entry.parts.len() {
            let key = entry.key_of(part);
            if key != 0 {
                self.index.leave(key, entry.message.id);
            }
        }
        entry.phase.carrier().map_or(0, |carrier| entry.sent_ms + self.plan.carrier(carrier).no_receipt_after_ms)
    }

    /// What a chunk tells of a message that has just come back from it: it is sent, and was counted as that all the time.
    pub(super) fn thaw(&mut self, event: &Event) {
        match *event {
            Event::SentBefore { message, part, parts, carrier, at_ms, reference, key, reported } => {
                let Some(entry) = self.messages.get_mut(&message) else { return };
                if entry.parts.len() != parts as usize {
                    entry.parts = Parts::unsent(parts);
                }
                entry.set_key(part, key);
                entry.parts.set(part, if reported { PartState::Delivered } else { PartState::Sent });
                (entry.reference, entry.sent_ms, entry.phase) = (reference, at_ms, Phase::Sent(carrier));
                // Unless its PAST, which follows, says otherwise.
                entry.body_cut = true;
                self.index.insert_back(key, (message, part));
            }
            Event::Settled { message, reports, reported_final, told_taken, .. } => {
                let Some(entry) = self.messages.get_mut(&message) else { return };
                (entry.reports, entry.reported_final, entry.told_taken) = (reports, reported_final, told_taken);
            }
            Event::Past { message, ref tried, reroutes, whole, failed } => self.apply_past(message, tried.clone(), reroutes, whole, failed),
            _ => {}
        }
    }
}
