//! Stops 5 to 7 of a receipt: which message it means, whether its step is legal, and what the sender will be told.

use super::carry::{Home, Item, Name};
use super::event::{self, DeliveryKey, Event, PartReceipt};
use super::flights::Stream;
use super::index::Found;
use super::messages::{PartState, Parts, Phase};
use super::outbox;
use super::outcome::PartSent;
use super::parked::ParkedReceipt;
use super::port::{BindCommand, BindId, CarrierId, Delivery, ReceiptFacts, Received, Report};
use super::quality::Cause;
use super::seek::Arrived;
use super::{Effect, Engine};
use crate::model::notes::Callback;
use crate::model::state::ReceiptState;
use crate::model::{Class, MessageId, State};
use crate::number;
use arrayvec::ArrayVec;

/// Errors of verdicts that are our own (`Refusal::receipt_error`), not the status of a carrier's answer.
const OWN_ERRORS: std::ops::RangeInclusive<u32> = 901..=999;

impl Engine {
    /// Something a carrier delivered; answered once it is on record.
    pub(super) fn received(&mut self, bind: BindId, token: u64, what: Received) {
        match what {
            Received::Receipt(facts) => self.receipt(Arrived { bind, token, facts }),
            Received::Inbound(part) => self.inbound(bind, token, *part),
            Received::Ignored => self.command(bind, BindCommand::Answer { token, stored: true }),
        }
    }

    pub(super) fn receipt(&mut self, arrived: Arrived) {
        let Some(arrived) = self.wait_behind(arrived) else { return };
        let found = self.find(arrived.bind.carrier, &arrived.facts);
        if let Some(arrived) = self.seek_receipt(arrived, found) {
            self.receipt_found(arrived, found);
        }
    }

    /// All that will be known of what a receipt means is known.
    pub(super) fn receipt_found(&mut self, arrived: Arrived, found: Found) {
        let Arrived { bind, token, facts } = arrived;
        let carrier = bind.carrier;
        match found {
            Found::Part(id, part, key) => {
                let before = self.writing.octets.len();
                self.tally.receipts_matched += 1;
                if !self.late_word(id, key, &facts) {
                    self.matched(id, part, carrier, &facts);
                }
                if !self.messages.contains_key(&id) {
                    self.index.end(key, id);
                }
                if self.writing.octets.len() == before {
                    return self.stored_before(bind, token);
                }
            }
            Found::Ended => {
                self.tally.receipts_repeated += 1;
                return self.stored_before(bind, token);
            }
            Found::Nothing => match self.settle_doubt(carrier, &facts) {
                true => self.tally.receipts_matched += 1,
                false => {
                    self.tally.receipts_parked += 1;
                    self.park(carrier, self.now.wall_ms, *facts);
                }
            },
        }
        self.after_commit(Effect::Stored { bind, token });
    }

    /// A receipt said nothing new. What it repeats may be on its way to the disk still, and is answered no earlier.
    fn stored_before(&mut self, bind: BindId, token: u64) {
        let last = self.writing.batch - u64::from(self.writing.octets.is_empty());
        match self.homes.is_durable(last) {
            true => self.command(bind, BindCommand::Answer { token, stored: true }),
            false => self.writing.effects.push_back((last, Effect::Stored { bind, token })),
        }
    }

    pub(super) fn find(&mut self, carrier: CarrierId, facts: &ReceiptFacts) -> Found {
        let messages = &self.messages;
        let agrees = |id: MessageId| {
            messages
                .get(&id)
                .is_none_or(|e| facts.numbers == [0, 0] || facts.numbers.iter().any(|&n| number::ends_alike(n, e.message.number)))
        };
        match self.index.find(carrier, &facts.id, agrees) {
            Found::Nothing => self.index.find(carrier, &facts.other_id, agrees),
            found => found,
        }
    }

    /// A receipt with an unknown id for a phone where exactly one message is in doubt, which it fits in time: it settles the doubt.
    fn settle_doubt(&mut self, carrier: CarrierId, facts: &ReceiptFacts) -> bool {
        let Some(id) = facts.numbers.iter().filter(|&&n| n != 0).find_map(|&phone| {
            let doubtful = self.doubts.get(&(carrier, number::tail(phone)))?;
            // The key is but the end of a number: all of it must agree.
            let agrees = |id: &MessageId| self.messages.get(id).is_some_and(|e| number::ends_alike(phone, e.message.number));
            let mut same = doubtful.iter().copied().filter(agrees);
            same.next().filter(|_| same.next().is_none())
        }) else {
            return false;
        };
        if !self.is_lone_doubt(id, carrier) {
            return false;
        }
        let Some(entry) = self.messages.get(&id) else { return false };
        // Dates of receipts have minutes, and zones are often wrong by hours: only a submit date before the message rules it out.
        let fits = facts.submit_ms.is_none_or(|submit_ms| submit_ms + 86_400_000 > entry.message.accepted_ms);
        if !fits {
            return false;
        }
        self.tally.doubts_settled += 1;
        let (reference, at_ms) = (entry.reference, self.now.wall_ms);
        self.part_sent(&PartSent { id, part: 0, parts: 1, carrier, at_ms, reference }, &facts.id);
        self.matched(id, 0, carrier, facts);
        true
    }

    /// A receipt with an unknown id can only mean message `id`: it is the one in doubt for its phone, while no other to that phone is with the carrier
    /// without an answer. Of several parts nobody could say which is meant: an earlier copy of any of them may be out.
    fn is_lone_doubt(&self, id: MessageId, carrier: CarrierId) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let phone = entry.message.number;
        let only = self.doubts.get(&(carrier, number::tail(phone))).is_some_and(|ids| ids.as_slice() == [id]);
        let flights = &self.dispatchers[carrier.0 as usize].flights;
        let alone = Class::ALL.iter().all(|&class| flights.of(Stream::new(phone, class)).is_none());
        only && alone && entry.parts.as_slice() == [PartState::Doubt]
    }

    /// A doubt's time is over: a receipt that came for its phone while the answer was still awaited may settle it after all.
    pub(super) fn settle_by_parked(&mut self, id: MessageId, carrier: CarrierId) -> bool {
        if !self.is_lone_doubt(id, carrier) {
            return false;
        }
        let Some(entry) = self.messages.get(&id) else { return false };
        let Some(carrier_id) = self.parked.id_for(carrier, entry.message.number, entry.message.accepted_ms) else { return false };
        self.part_taken(id, 0, carrier, &carrier_id);
        true
    }

    pub(super) fn park(&mut self, carrier: CarrierId, at_ms: u64, facts: ReceiptFacts) {
        self.record(&Event::Parked { carrier, at_ms, facts: Box::new(facts.clone()) });
        let home = self.home();
        let key = self.parked.insert(ParkedReceipt { carrier, facts, at_ms, home });
        self.writing.items.push(Item::Parked(key));
    }

    /// A parked receipt is no more: if a chunk holds it, it must not come back from there.
    pub(super) fn parked_ended(&mut self, parked: &ParkedReceipt) {
        if let Home::Chunk(chunk) = parked.home {
            let mut octets = Vec::new();
            let facts = Box::new(parked.facts.clone());
            event::write(&Event::Parked { carrier: parked.carrier, at_ms: parked.at_ms, facts }, &mut octets);
            self.homes.bury(chunk, Name::octets(&octets));
            self.homes.died(chunk);
        }
    }

    /// The receipt means this part: on record with it, then what follows.
    pub(super) fn matched(&mut self, id: MessageId, part: u8, carrier: CarrierId, facts: &ReceiptFacts) {
        let at_ms = self.now.wall_ms;
        let receipt = part_receipt(facts, at_ms, self.messages.get(&id).map_or(0, |e| e.message.accepted_ms));
        if !self.says_something_new(id, part, &receipt) {
            self.tally.receipts_repeated += 1;
            return;
        }
        let one = self.plan.carrier(carrier).one_receipt;
        // Once per message: the receipt stands for every part.
        let part = if one { u8::MAX } else { part };
        self.observe_receipt(carrier, &receipt);
        let sent_ms = self.messages.get(&id).filter(|_| receipt.is_final).map_or(0, |entry| entry.sent_ms);
        let rerouted = self.reroute(id, part, carrier, &receipt);
        if !rerouted {
            self.open_batch();
            event::write_receipt(id, part, at_ms, &receipt, &mut self.writing.octets);
            self.apply_receipt(id, part, at_ms, &receipt);
        }
        // Once a message, with the receipt that ends it here.
        if sent_ms != 0 && (rerouted || !self.messages.contains_key(&id)) {
            self.dispatchers[carrier.0 as usize].receipt_times.record_us(at_ms.saturating_sub(sent_ms) * 1000);
        }
    }

    fn says_something_new(&self, id: MessageId, part: u8, receipt: &PartReceipt) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        match entry.parts.get(part) {
            Some(PartState::Delivered | PartState::Failed) | None => false,
            Some(_) => receipt.is_final || entry.message.report.intermediate,
        }
    }

    /// What a RECEIPT event means. Live and in replay. `part` 255: all parts.
    pub(super) fn apply_receipt(&mut self, id: MessageId, part: u8, at_ms: u64, receipt: &PartReceipt) {
        self.touch(id);
        let Some(entry) = self.messages.get_mut(&id) else { return };
        if !receipt.is_final {
            if entry.message.report.intermediate {
                self.report(id, receipt.state, receipt, at_ms, true);
            }
            return;
        }
        let to = if receipt.state.message_state() == State::Delivered { PartState::Delivered } else { PartState::Failed };
        for at in 0..entry.parts.len() as u8 {
            if part == u8::MAX || at == part {
                entry.parts.set(at, to);
            }
        }
        if let Parts::Many(many) = &mut entry.parts
            && to == PartState::Failed
            && many.worst.is_none()
        {
            many.worst = Some(*receipt);
        }
        // One part failed: the message can't arrive whole, whatever is still in flight. All delivered: it has.
        let all_delivered = entry.parts.count(PartState::Delivered) == entry.parts.len();
        if to == PartState::Failed || all_delivered {
            self.end_by_receipt(id, at_ms, receipt);
        }
    }

    fn end_by_receipt(&mut self, id: MessageId, at_ms: u64, receipt: &PartReceipt) {
        let Some(entry) = self.messages.get(&id) else { return };
        let worst = match &entry.parts {
            Parts::Many(many) => many.worst.unwrap_or(*receipt),
            Parts::One(_) => *receipt,
        };
        let state = worst.state.message_state();
        let from = entry.phase.state();
        self.forget_doubt(id);
        self.report(id, worst.state, &worst, at_ms, false);
        self.leave(id, from, (state, Cause::of_error(worst.error)), None);
    }

    /// The end of a message: counted, and out of the table. `carrier`: which one ended it, if it isn't with that.
    pub(super) fn leave(&mut self, id: MessageId, from: State, (to, cause): (State, Cause), carrier: Option<CarrierId>) {
        if let Some(entry) = self.remove(id) {
            self.count(entry.message.account, Some(from), to);
            if let Some(carrier) = carrier.or(entry.phase.carrier()) {
                self.dispatchers[carrier.0 as usize].ended(to);
                self.quality_ended(carrier, entry.message.number, entry.sent_ms, (to, cause));
            }
        }
    }

    /// What a VERDICT event means. Live and in replay.
    pub(super) fn apply_verdict(&mut self, id: MessageId, state: State, carrier: CarrierId, at_ms: u64, error: u32) {
        let Some(entry) = self.messages.get(&id) else { return };
        let (from, number, sent_ms) = (entry.phase.state(), entry.message.number, entry.sent_ms);
        let failed = entry.failed_receipt(state);
        let cause = match failed {
            Some(receipt) => Cause::of_error(receipt.error),
            // What is ours, not a carrier's, has numbers of its own.
            None if OWN_ERRORS.contains(&error) => Cause::of_error(error_digits(error)),
            None => Cause::of_status(error),
        };
        let told = match state {
            State::Expired => ReceiptState::Expired,
            State::Cancelled => ReceiptState::Deleted,
            State::Rejected => ReceiptState::Rejected,
            State::Undelivered => ReceiptState::Undeliverable,
            State::NoReceipt | State::InDoubt => ReceiptState::Unknown,
            State::SentFinal | State::Delivered => ReceiptState::Delivered,
            State::Waiting | State::SentWaiting => return,
        };
        if state != State::SentFinal {
            let ours = PartReceipt { state: told, is_final: true, error: error_digits(error), network_error: None, done_ms: at_ms };
            let receipt = failed.unwrap_or(ours);
            self.report(id, receipt.state, &receipt, at_ms, false);
        }
        if state == State::InDoubt {
            // Provisional: it stays for a late answer or receipt.
            self.doubt_open_parts(id);
            self.touch(id);
            self.quality_ended(carrier, number, sent_ms, (State::InDoubt, cause));
            self.set_phase(id, Phase::Settled(carrier, State::InDoubt));
            if let Some(entry) = self.messages.get_mut(&id) {
                let (account, charge) = (entry.message.account, std::mem::take(&mut entry.charge));
                self.spend(account, charge);
            }
        } else {
            self.forget_doubt(id);
            self.leave(id, from, (state, cause), None);
        }
    }

    /// Tells the sender, if that is wished. One final report, and a correcting one where the account asks for it.
    pub(super) fn report(&mut self, id: MessageId, state: ReceiptState, facts: &PartReceipt, at_ms: u64, intermediate: bool) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let account = entry.message.account;
        let wish = entry.message.report;
        let is_success = state.message_state() == State::Delivered;
        let wanted = if intermediate {
            wish.intermediate
        } else if is_success {
            wish.on_success
        } else {
            wish.on_failure
        };
        if !wanted || (!intermediate && entry.reported_final && !self.plan.account(account).correcting_receipt) {
            return;
        }
        entry.reported_final |= !intermediate;
        let report = outbox::report(&entry.message, state, facts.done_ms);
        self.tell(id, Report { intermediate, ..report }, facts, at_ms);
    }

    /// Carriers have taken all of it: told once, to those who asked for that. Live and in replay.
    pub(super) fn report_taken(&mut self, id: MessageId, at_ms: u64) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let wanted = entry.message.notes.as_ref().and_then(|notes| notes.callback.as_ref()).is_some_and(Callback::wants_taken);
        if !wanted || entry.told_taken {
            return;
        }
        entry.told_taken = true;
        let state = ReceiptState::Accepted;
        let facts = PartReceipt { state, is_final: false, error: *b"000", network_error: None, done_ms: at_ms };
        let report = outbox::report(&entry.message, state, at_ms);
        self.tell(id, Report { intermediate: true, taken: true, ..report }, &facts, at_ms);
    }

    fn tell(&mut self, id: MessageId, mut report: Report, facts: &PartReceipt, at_ms: u64) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        let account = entry.message.account;
        report.carrier = entry.phase.carrier();
        report.taken |= !report.intermediate && entry.sent_ms != 0;
        report.error = ArrayVec::from(facts.error).into_iter().collect();
        report.network_error = facts.network_error;
        report.parts = entry.parts.len() as u8;
        report.parts_delivered = entry.parts.count(PartState::Delivered) as u8;
        let key = DeliveryKey { message: id, serial: entry.reports };
        entry.reports = entry.reports.saturating_add(1);
        let delivery = Delivery::Receipt(report);
        // A delivery is rebuilt from its message's events. Where part of those went into a chunk it gets a record of its own.
        let home = match (entry.home, entry.base) {
            (home @ Home::Batch(_), 0) => home,
            _ => {
                self.record(&Event::Outboxed { account, key, at_ms, delivery: Box::new(delivery.clone()) });
                self.home()
            }
        };
        self.deliver(account, key, home, at_ms, delivery);
    }
}

/// What a receipt says of a part of a message that was accepted at `accepted_ms`.
pub(super) fn part_receipt(facts: &ReceiptFacts, at_ms: u64, accepted_ms: u64) -> PartReceipt {
    PartReceipt {
        state: facts.state,
        is_final: facts.is_final,
        error: error_of(&facts.error),
        network_error: facts.network_error,
        // A carrier's date has minutes at best: nothing is done before it was handed in.
        done_ms: facts.done_ms.unwrap_or(at_ms).max(accepted_ms),
    }
}

/// Three characters of a carrier's error.
fn error_of(error: &[u8]) -> [u8; 3] {
    let mut out = *b"000";
    let tail = &error[error.len().saturating_sub(3)..];
    out[3 - tail.len()..].copy_from_slice(tail);
    out
}

/// A refusal's status as the three characters of a receipt's `err`.
fn error_digits(error: u32) -> [u8; 3] {
    let value = error.min(999);
    [b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}
