//! Failover after a word of the carrier: a message that a carrier refused, or reported as failed, goes to the next carrier of its route, under the same
//! id. Upstream sees one message and one final report.
//!
//! What a message has behind it stays with it: carriers that are done with it are not tried again, and the parts that one of them had taken still find
//! it by their ids. Of such a late word only a DELIVERED of the whole message counts: the first one wins. All others are counted and change nothing.

use super::Engine;
use super::event::{self, Event, PartReceipt};
use super::index::Key;
use super::messages::{Entry, PartState, Parts, Phase};
use super::outcome::Refused;
use super::port::{CarrierId, ReceiptFacts};
use super::quality::Cause;
use super::routes::CARRIERS_MAX;
use super::why::Nobody;
use crate::model::{MessageId, State};
use arrayvec::ArrayVec;

/// Copies of parts that are remembered for one message: 255 parts, and as many again for those that were sent twice.
const COPIES_MAX: usize = 512;

/// Carriers that are done with a message.
pub type Tried = ArrayVec<CarrierId, CARRIERS_MAX>;

/// What a message has behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Past {
    /// Carriers that are done with it.
    pub tried: Tried,
    /// How often it went to another carrier after a receipt.
    pub reroutes: u8,
    /// The last of these receipts: how it ends if no other carrier takes it.
    pub failed: Option<PartReceipt>,
    /// Parts that carriers had taken before they reported that it failed.
    pub copies: Vec<PastCopy>,
}

/// A part that a carrier took, of a message that left that carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastCopy {
    /// The carrier.
    pub carrier: CarrierId,
    /// The part.
    pub part: u8,
    /// Its key in the id index.
    pub key: Key,
    /// Sent, Delivered or Failed.
    pub state: PartState,
}

impl Past {
    /// It left this carrier after a receipt.
    fn left(&self, carrier: CarrierId) -> bool {
        self.copies.iter().any(|copy| copy.carrier == carrier)
    }

    /// The carrier is done with the message. Bounded by the longest route; one that is forgotten would at worst be tried again.
    pub fn done(&mut self, carrier: CarrierId) {
        if !self.tried.contains(&carrier) && !self.tried.is_full() {
            self.tried.push(carrier);
        }
    }
}

impl Entry {
    /// Carriers that are done with it.
    pub fn tried(&self) -> &[CarrierId] {
        self.past.as_ref().map_or(&[], |past| &past.tried)
    }

    /// What it has behind it, to be added to.
    pub fn past_mut(&mut self) -> &mut Past {
        self.past.get_or_insert_default()
    }

    /// It left this carrier after a receipt.
    pub fn has_left(&self, carrier: CarrierId) -> bool {
        self.past.as_ref().is_some_and(|past| past.left(carrier))
    }

    /// The carrier's own final that stands where a verdict of ours would end the message for want of another carrier.
    pub fn failed_receipt(&self, verdict: State) -> Option<PartReceipt> {
        let ours = matches!(verdict, State::Expired | State::Rejected | State::Undelivered);
        self.past.as_ref().filter(|_| ours).and_then(|past| past.failed)
    }

    /// Nothing of it is with a carrier any more.
    fn start_over(&mut self) {
        self.parts = Parts::unsent(1);
        (self.attempts, self.retry_ms) = (0, 0);
        self.attempted = false;
        self.refused = Refused::Nothing;
    }
}

impl Engine {
    // ---- refused ----

    /// The next carrier of the route; after the last one the message is rejected with the last refusal.
    pub(super) fn try_elsewhere(&mut self, id: MessageId, carrier: CarrierId) {
        let at_ms = self.now.wall_ms;
        let Some(entry) = self.messages.get(&id) else { return };
        let status = entry.last_status;
        if entry.message.part.is_some() {
            return self.verdict(id, State::Rejected, status);
        }
        self.record(&Event::Moved { message: id, carrier, at_ms, status });
        self.apply_moved(id, carrier, status);
        self.enqueue(id);
    }

    /// What a MOVED event means. Live and in replay.
    pub(super) fn apply_moved(&mut self, id: MessageId, carrier: CarrierId, status: u32) {
        self.touch(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        entry.past_mut().done(carrier);
        entry.last_status = status;
        entry.start_over();
    }

    // ---- reported as failed ----

    /// The whole text is needed until the receipt has come: another carrier may have to send it.
    pub(super) fn keeps_body(&self, entry: &Entry, carrier: CarrierId) -> bool {
        let class = entry.message.class;
        let used = entry.past.as_ref().map_or(0, |past| past.reroutes);
        let routes = &self.plan.routes;
        entry.message.part.is_none() && used < routes.reroutes[class as usize] && routes.keeps_body(carrier, class)
    }

    /// A receipt says that the message failed: it goes to another carrier, if that may help and is allowed. True if it does.
    pub(super) fn reroute(&mut self, id: MessageId, part: u8, carrier: CarrierId, receipt: &PartReceipt) -> bool {
        if !receipt.is_final || receipt.state.message_state() == State::Delivered || !self.may_reroute(id, carrier, receipt) {
            return false;
        }
        let at_ms = self.now.wall_ms;
        self.record(&Event::Rerouted { message: id, carrier, part, at_ms, facts: *receipt });
        self.apply_rerouted(id, carrier, part, receipt);
        self.tally.rerouted += 1;
        self.enqueue(id);
        true
    }

    fn may_reroute(&mut self, id: MessageId, carrier: CarrierId, receipt: &PartReceipt) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let whole = entry.parts.count(PartState::Delivered) == 0;
        let open = entry.phase == Phase::Sent(carrier) && !entry.reported_final && entry.message.expires_ms > self.now.wall_ms;
        // A doubt may have been settled by a receipt that only seemed to fit: another copy may be out, and some classes must never have two.
        let sure = entry.doubts == 0 || self.plan.class(entry.message.class).resend_in_doubt;
        if !sure || !whole || !open || entry.body_cut || !self.keeps_body(entry, carrier) {
            return false;
        }
        let Some(entry) = self.messages.get(&id) else { return false };
        let (plan, message) = (&self.plan, &entry.message);
        let route = self.router.route(plan, message, self.now, &mut Nobody).and_then(|at| plan.routes.get(at));
        let causes = route.and_then(|route| plan.routes.receipt_causes(route, carrier));
        if !causes.is_some_and(|causes| causes.contains(receipt.state, receipt.error)) {
            return false;
        }
        let mut tried: Tried = entry.tried().iter().copied().collect();
        if tried.try_push(carrier).is_err() {
            return false;
        }
        self.router.has_another(plan, &self.dispatchers, message, &tried, self.now)
    }

    /// What a REROUTED event means. Live and in replay; live the message joins a lane next.
    pub(super) fn apply_rerouted(&mut self, id: MessageId, carrier: CarrierId, part: u8, receipt: &PartReceipt) {
        self.touch(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let taken = |(at, state): (usize, &PartState)| match state {
            PartState::Sent | PartState::Delivered | PartState::Failed => {
                let failed = part == u8::MAX || at == usize::from(part);
                Some(PastCopy { carrier, part: at as u8, key: entry.key_of(at), state: if failed { PartState::Failed } else { *state } })
            }
            _ => None,
        };
        let copies: Vec<PastCopy> = entry.parts.as_slice().iter().enumerate().filter_map(taken).collect();
        let (number, sent_ms) = (entry.message.number, entry.sent_ms);
        let past = entry.past_mut();
        past.copies.extend(copies);
        past.done(carrier);
        past.reroutes = past.reroutes.saturating_add(1);
        past.failed = Some(*receipt);
        entry.start_over();
        (entry.key, entry.sent_ms, entry.reference) = (0, 0, 0);
        self.quality_ended(carrier, number, sent_ms, (receipt.state.message_state(), Cause::of_error(receipt.error)));
        self.set_phase(id, Phase::Accepting);
    }

    // ---- late words of a carrier that it left ----

    /// An answer names one more copy at a carrier that the message has left: it is remembered, and nothing else. Live and in replay.
    pub(super) fn took_earlier(&mut self, id: MessageId, part: u8, carrier: CarrierId, key: Key) -> bool {
        let Some(entry) = self.messages.get_mut(&id).filter(|entry| entry.has_left(carrier)) else { return false };
        let past = entry.past_mut();
        if past.copies.len() < COPIES_MAX && !past.copies.iter().any(|copy| copy.key == key && key != 0) {
            past.copies.push(PastCopy { carrier, part, key, state: PartState::Sent });
        }
        true
    }

    /// True if the receipt is about a copy at a carrier that the message has left. It is taken down if it is final and new.
    pub(super) fn late_word(&mut self, id: MessageId, key: Key, facts: &ReceiptFacts) -> bool {
        let Some(copy) = self.messages.get(&id).and_then(|e| e.past.as_ref()).and_then(|p| p.copies.iter().find(|c| c.key == key)) else {
            return false;
        };
        self.tally.receipts_late += 1;
        let delivered = facts.state.message_state() == State::Delivered;
        let to = if delivered { PartState::Delivered } else { PartState::Failed };
        if !facts.is_final || copy.state == PartState::Delivered || copy.state == to {
            return true;
        }
        let (carrier, at_ms) = (copy.carrier, self.now.wall_ms);
        let part = if self.plan.carrier(carrier).one_receipt { u8::MAX } else { copy.part };
        let receipt = super::receipts::part_receipt(facts, at_ms, self.messages.get(&id).map_or(0, |e| e.message.accepted_ms));
        self.record(&Event::CopyReceipt { message: id, carrier, part, key, at_ms, facts: receipt });
        self.apply_copy_receipt(id, carrier, part, key, at_ms, &receipt);
        true
    }

    /// What a COPY_RECEIPT event means. Live and in replay.
    pub(super) fn apply_copy_receipt(&mut self, id: MessageId, carrier: CarrierId, part: u8, key: Key, at_ms: u64, receipt: &PartReceipt) {
        self.touch(id);
        let Some(past) = self.messages.get_mut(&id).and_then(|entry| entry.past.as_mut()) else { return };
        let to = if receipt.state.message_state() == State::Delivered { PartState::Delivered } else { PartState::Failed };
        let meant = |copy: &&mut PastCopy| copy.carrier == carrier && (part == u8::MAX || copy.key == key);
        past.copies.iter_mut().filter(meant).for_each(|copy| copy.state = to);
        let there = |part: u8| past.copies.iter().any(|c| c.carrier == carrier && c.part == part && c.state == PartState::Delivered);
        let parts = past.copies.iter().filter(|c| c.carrier == carrier).map(|c| c.part).max().unwrap_or(0);
        if (0..=parts).all(there) {
            self.delivered_elsewhere(id, carrier, parts + 1, at_ms, receipt);
        }
    }

    /// A carrier that the message had left delivered all of it after all.
    fn delivered_elsewhere(&mut self, id: MessageId, carrier: CarrierId, parts: u8, at_ms: u64, receipt: &PartReceipt) {
        self.forget_doubt(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let from = entry.phase.state();
        let flying = std::mem::replace(&mut entry.parts, Parts::unsent(parts));
        (0..parts).for_each(|part| entry.parts.set(part, PartState::Delivered));
        self.report(id, receipt.state, receipt, at_ms, false);
        // What is in flight elsewhere gives its slots back when it is answered.
        if let Some(entry) = self.messages.get_mut(&id) {
            entry.parts = flying;
        }
        self.leave(id, from, (State::Delivered, Cause::None), Some(carrier));
    }

    // ---- carried into the ledger ----

    /// What a SENT_EARLIER event means: in replay only.
    pub(super) fn apply_sent_earlier(&mut self, id: MessageId, copy: PastCopy) {
        self.index.insert_key(copy.key, (id, copy.part));
        if let Some(entry) = self.messages.get_mut(&id) {
            entry.past_mut().copies.push(copy);
        }
    }

    /// What a PAST event means: in replay only. `whole`: the text is as it was accepted.
    pub(super) fn apply_past(&mut self, id: MessageId, tried: Tried, reroutes: u8, whole: bool, failed: Option<PartReceipt>) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        if !tried.is_empty() || reroutes > 0 {
            let past = entry.past_mut();
            (past.tried, past.reroutes, past.failed) = (tried, reroutes, failed);
        }
        if whole && entry.parts.any_taken() {
            entry.body_cut = false;
            // Otherwise it was cut as soon as the message counted as sent.
            let sent = entry.phase.carrier();
            let cut = sent.is_some_and(|carrier| self.messages.get(&id).is_some_and(|entry| !self.keeps_body(entry, carrier)));
            if let Some(entry) = self.messages.get_mut(&id) {
                entry.body_cut = cut;
            }
        }
    }
}

/// What of a message's past its carried record needs besides what every message has.
pub fn write_past(entry: &Entry, out: &mut Vec<u8>) {
    let message = entry.message.id;
    let whole = entry.parts.any_taken() && !entry.body_cut;
    let past = entry.past.as_deref();
    for copy in past.iter().flat_map(|past| &past.copies) {
        event::write(&Event::SentEarlier { message, copy: *copy }, out);
    }
    if whole || past.is_some() {
        let (tried, reroutes) = past.map(|past| (past.tried.clone(), past.reroutes)).unwrap_or_default();
        event::write(&Event::Past { message, tried, reroutes, whole, failed: past.and_then(|past| past.failed) }, out);
    }
}
