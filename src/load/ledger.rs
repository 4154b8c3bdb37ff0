//! What came of every message of one run, judged from outside: by ids, and by the marks that texts and receipts show.
//! Sending is left to `session`, timing to `generator`.

use crate::model::mark::{Bits, RunId, RunMarks};
use hashbrown::HashMap;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Receipts kept that fit no message yet; further ones are only counted.
pub const UNMATCHED_MAX: usize = 4_000_000;

/// Passes a key that is a hash already.
#[derive(Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys are used")
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<AsIs>>;

/// The hash by which the ledger knows a message id.
pub fn hash_id(id: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(id)
}

/// What the carrier's end saw of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtCarrier {
    /// Messages that came.
    pub reached: u64,
    /// How often one came that had come before.
    pub repeated: u64,
    /// Accepted, and never came.
    pub missing: u64,
}

/// The answer to a submit.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Number of the message.
    pub number: u64,
    /// Status of the answer.
    pub status: u32,
    /// Hash of the id it got.
    pub id: u64,
    /// When it was to be sent, microseconds.
    pub intended_us: u64,
}

/// A final receipt.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// Hash of the id.
    pub id: u64,
    /// The number of the mark that it quotes, if it quotes one of this run.
    pub number: Option<u64>,
    /// message_state, or 255 where it was not said.
    pub state: u8,
}

#[derive(Debug, Clone, Copy)]
struct Awaited {
    number: u64,
    intended_us: u64,
}

/// Latencies in microseconds; two significant digits.
#[derive(Debug, Clone)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Latency(Histogram::new_with_bounds(1, 3_600_000_000, 2).expect("the bounds are in order"))
    }
}

impl Latency {
    /// Counts one.
    pub fn record(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    /// Its percentiles.
    pub fn summary(&self) -> LatencySummary {
        let at = |share| self.0.value_at_quantile(share);
        LatencySummary { count: self.0.len(), p50_us: at(0.5), p90_us: at(0.9), p99_us: at(0.99), p999_us: at(0.999), max_us: self.0.max() }
    }
}

/// Percentiles of a [`Latency`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LatencySummary {
    pub count: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// Everything that is counted of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Messages sent.
    pub sent: u64,
    /// Answered with status 0.
    pub accepted: u64,
    /// Answered with another status, by status.
    pub refused: BTreeMap<u32, u64>,
    /// Not answered: in time, or before the session ended.
    pub unanswered: u64,
    /// Answers that came after their time.
    pub answered_late: u64,
    /// Accepted and reported by a final receipt.
    pub reported: u64,
    /// Accepted and not (yet) reported.
    pub unreported: u64,
    /// Final receipts that said the same once more.
    pub duplicate_receipts: u64,
    /// Receipts whose quoted mark belongs to another message than their id.
    pub mismatched_receipts: u64,
    /// Receipts matched by the mark that they quote, because their id was not known (in this form, or yet).
    pub matched_by_mark: u64,
    /// Receipts for messages whose submit was not answered.
    pub reported_unanswered: u64,
    /// Receipts that fit no message.
    pub unmatched_receipts: u64,
    /// Final receipts by message_state; 255: not said.
    pub states: BTreeMap<u8, u64>,
    /// Intermediate notifications.
    pub intermediate: u64,
    /// Messages from phones.
    pub inbound: u64,
}

/// The ledger of one run.
pub struct Ledger {
    run: RunId,
    awaits_receipts: bool,
    tally: Tally,
    states: [u64; 256],
    /// By id hash: accepted, receipt awaited.
    awaited: ByHash<Awaited>,
    /// By id hash: receipts that came before their answer, or twice, or for nothing.
    early: ByHash<u32>,
    /// Ids that were reported, to tell a second receipt from a foreign one in the end.
    done: Vec<u64>,
    accepted: Bits,
    reported: Bits,
    answer: Latency,
    receipt: Latency,
    lag: Latency,
    last_us: u64,
    /// Of a timed run: when each number was accepted.
    accepted_us: Option<Vec<u64>>,
}

impl Ledger {
    /// An empty ledger; `awaits_receipts`: every accepted message shall get one; `timed`: it keeps when each was accepted.
    pub fn new(run: RunId, awaits_receipts: bool, timed: bool) -> Self {
        Ledger {
            run,
            awaits_receipts,
            tally: Tally::default(),
            states: [0; 256],
            awaited: ByHash::default(),
            early: ByHash::default(),
            done: Vec::new(),
            accepted: Bits::default(),
            reported: Bits::default(),
            answer: Latency::default(),
            receipt: Latency::default(),
            lag: Latency::default(),
            last_us: 0,
            accepted_us: timed.then(Vec::new),
        }
    }

    /// The run that it is about.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// `count` messages that were to leave at `intended_us` left at `now_us`.
    pub fn sent(&mut self, count: u64, intended_us: u64, now_us: u64) {
        self.tally.sent += count;
        self.lag.record(now_us.saturating_sub(intended_us));
    }

    /// One answer.
    pub fn answered(&mut self, answer: &Answer, late: bool, now_us: u64) {
        self.answer.record(now_us.saturating_sub(answer.intended_us));
        if late {
            // It was counted as unanswered when its time was over.
            self.tally.answered_late += 1;
            self.tally.unanswered -= 1;
        }
        if answer.status != 0 {
            *self.tally.refused.entry(answer.status).or_default() += 1;
            return;
        }
        self.tally.accepted += 1;
        self.last_us = now_us;
        self.accepted.insert(answer.number);
        if let Some(times) = &mut self.accepted_us {
            let at = answer.number as usize;
            times.resize(times.len().max(at + 1), 0);
            times[at] = now_us;
        }
        if !self.awaits_receipts {
            return;
        }
        let reported = self.reported.contains(answer.number) || (!self.early.is_empty() && self.take_early(answer));
        if reported {
            self.tally.reported += 1;
            self.receipt.record(now_us.saturating_sub(answer.intended_us));
            self.done.push(answer.id);
        } else {
            self.awaited.insert(answer.id, Awaited { number: answer.number, intended_us: answer.intended_us });
        }
    }

    /// Of a timed run: when each number was accepted, microseconds; 0: it wasn't.
    pub fn take_accepted_us(&mut self) -> Vec<u64> {
        self.accepted_us.take().unwrap_or_default()
    }

    fn take_early(&mut self, answer: &Answer) -> bool {
        let Some(count) = self.early.get_mut(&answer.id) else { return false };
        *count -= 1;
        if *count == 0 {
            self.early.remove(&answer.id);
        }
        self.reported.insert(answer.number);
        true
    }

    /// `count` submits will not be answered any more (as far as is known).
    pub fn unanswered(&mut self, count: u64) {
        self.tally.unanswered += count;
    }

    /// One final receipt.
    pub fn received(&mut self, receipt: &Receipt, now_us: u64) {
        self.states[receipt.state as usize] += 1;
        self.last_us = now_us;
        if let Some(awaited) = self.awaited.remove(&receipt.id) {
            self.tally.mismatched_receipts += u64::from(receipt.number.is_some_and(|number| number != awaited.number));
            self.settle(receipt.id, awaited, now_us);
            return;
        }
        match receipt.number {
            Some(number) if self.reported.contains(number) => self.tally.duplicate_receipts += 1,
            Some(number) => {
                self.tally.matched_by_mark += 1;
                self.reported.insert(number);
                if self.accepted.contains(number) {
                    // Its id came in another form: what awaits it is found by number. Rare, or every time with a peer whose ids change form;
                    // then the entry stays behind until the end, which counts by `reported`.
                    self.tally.reported += 1;
                }
            }
            None if self.early.len() < UNMATCHED_MAX => *self.early.entry(receipt.id).or_default() += 1,
            None => self.tally.unmatched_receipts += 1,
        }
    }

    fn settle(&mut self, id: u64, awaited: Awaited, now_us: u64) {
        self.done.push(id);
        if self.reported.insert(awaited.number) {
            self.tally.reported += 1;
            self.receipt.record(now_us.saturating_sub(awaited.intended_us));
        } else {
            self.tally.duplicate_receipts += 1;
        }
    }

    /// Counts intermediate notifications and messages from phones.
    pub fn others(&mut self, intermediate: u64, inbound: u64) {
        self.tally.intermediate += intermediate;
        self.tally.inbound += inbound;
    }

    /// Messages accepted that wait for their receipt.
    pub fn unreported(&self) -> u64 {
        if self.awaits_receipts { self.tally.accepted - self.tally.reported.min(self.tally.accepted) } else { 0 }
    }

    /// Messages whose answer is awaited.
    pub fn awaiting_answers(&self) -> u64 {
        let refused: u64 = self.tally.refused.values().sum();
        self.tally.sent - self.tally.accepted - refused - self.tally.unanswered
    }

    /// Messages sent so far.
    pub fn sent_count(&self) -> u64 {
        self.tally.sent
    }

    /// When the last acceptance or receipt came, microseconds.
    pub fn last_us(&self) -> u64 {
        self.last_us
    }

    /// The counts so far; what depends on a whole run (unmatched, duplicates by id alone) is only right once it is over.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.unreported = self.unreported();
        tally.states =
            self.states.iter().enumerate().filter(|(_, count)| **count > 0).map(|(state, count)| (state as u8, *count)).collect();
        tally.reported_unanswered = self.reported.without(&self.accepted);
        tally
    }

    /// The counts at the end: what fitted nothing is either a second receipt for an id, or foreign.
    pub fn final_tally(&mut self) -> Tally {
        let mut tally = self.tally();
        self.done.sort_unstable();
        for (id, count) in &self.early {
            let known = self.done.binary_search(id).is_ok();
            *if known { &mut tally.duplicate_receipts } else { &mut tally.unmatched_receipts } += u64::from(*count);
        }
        tally
    }

    /// Latencies of answers, receipts, and of the generator itself behind its own schedule.
    pub fn latencies(&self) -> [LatencySummary; 3] {
        [self.answer.summary(), self.receipt.summary(), self.lag.summary()]
    }

    /// What the carrier's end saw: (messages reached, seen more than once, accepted here and never seen there).
    pub fn judge(&self, carrier: &RunMarks) -> AtCarrier {
        AtCarrier { reached: carrier.seen.len(), repeated: carrier.duplicates, missing: self.accepted.without(&carrier.seen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(number: u64, id: u64) -> Answer {
        Answer { number, status: 0, id, intended_us: 100 }
    }

    fn receipt(id: u64, number: Option<u64>) -> Receipt {
        Receipt { id, number, state: 2 }
    }

    #[test]
    fn receipts_are_matched_by_id_whether_they_come_late_early_or_twice() {
        let mut ledger = Ledger::new(*b"test", true, false);
        ledger.sent(4, 100, 100);
        ledger.received(&receipt(11, None), 140);
        ledger.answered(&accepted(1, 11), false, 150);
        ledger.answered(&accepted(2, 12), false, 150);
        ledger.answered(&accepted(3, 13), false, 150);
        ledger.answered(&Answer { status: 0x58, ..accepted(4, 0) }, false, 150);
        ledger.received(&receipt(12, None), 200);
        ledger.received(&receipt(12, None), 210);
        ledger.received(&receipt(99, None), 210);
        let tally = ledger.final_tally();
        assert_eq!((tally.accepted, tally.reported, tally.unreported), (3, 2, 1));
        assert_eq!((tally.duplicate_receipts, tally.unmatched_receipts, tally.refused[&0x58]), (1, 1, 1));
        assert_eq!(ledger.awaiting_answers(), 0);
    }

    #[test]
    fn marks_match_what_ids_do_not_and_show_receipts_for_the_wrong_message() {
        let mut ledger = Ledger::new(*b"test", true, false);
        ledger.sent(3, 100, 100);
        ledger.answered(&accepted(1, 11), false, 150);
        ledger.answered(&accepted(2, 12), false, 150);
        ledger.unanswered(1);
        ledger.received(&receipt(777, Some(1)), 200);
        ledger.received(&receipt(777, Some(1)), 200);
        ledger.received(&receipt(12, Some(9)), 200);
        ledger.received(&receipt(13, Some(3)), 200);
        let tally = ledger.final_tally();
        assert_eq!((tally.reported, tally.unreported, tally.matched_by_mark), (2, 0, 2));
        assert_eq!((tally.duplicate_receipts, tally.mismatched_receipts, tally.reported_unanswered), (1, 1, 1));
    }

    #[test]
    fn the_carriers_end_shows_what_never_arrived() {
        let mut ledger = Ledger::new(*b"test", false, false);
        ledger.sent(2, 0, 0);
        ledger.answered(&accepted(1, 11), false, 150);
        ledger.answered(&accepted(2, 12), false, 150);
        let mut carrier = RunMarks { duplicates: 3, ..RunMarks::default() };
        carrier.seen.insert(2);
        assert_eq!(ledger.judge(&carrier), AtCarrier { reached: 1, repeated: 3, missing: 1 });
    }
}
