//! Stop 12: what a carrier answered to the parts of a message, and what follows: sent, later, elsewhere, never, or none in time: in doubt.

use super::Engine;
use super::event::{self, Event};
use super::messages::{PartState, Phase};
use super::port::{BindId, CarrierId, CarrierMessageId, Outcome, Ticket};
use super::timers::Timer;
use crate::model::{MessageId, State};
use std::sync::Arc;

/// The weightiest refusal among the parts of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// None so far.
    Nothing,
    /// Handed back before it reached the socket.
    NotSent,
    /// The carrier asked to slow down.
    Throttled,
    /// Not now.
    Later,
    /// Not here.
    Elsewhere,
    /// Nowhere.
    Never,
}

/// A carrier took a part, of so many, of this message.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartSent {
    pub id: MessageId,
    pub part: u8,
    pub parts: u8,
    pub carrier: CarrierId,
    /// Wall milliseconds.
    pub at_ms: u64,
    /// Of its concatenation.
    pub reference: u16,
}

impl Engine {
    pub(super) fn outcome(&mut self, bind: BindId, ticket: Ticket, outcome: Outcome) {
        let Ticket { message: id, part } = ticket;
        let carrier = bind.carrier;
        if !self.abandoned.is_empty() && self.abandoned.remove(&(ticket, bind)) {
            self.dispatchers[carrier.0 as usize].release(bind);
        }
        let now = self.now;
        let held = self.messages.get(&id).is_some_and(|entry| is_open(entry, part, bind));
        if let Some(dispatcher) = self.dispatchers.get_mut(carrier.0 as usize) {
            dispatcher.count_outcome(&outcome, held, now);
            self.observe(id, carrier, &outcome);
        }
        self.trial_outcome(bind, ticket, &outcome);
        let Some(entry) = self.messages.get_mut(&id) else {
            // A late answer to a message that has ended meanwhile, or is out of memory: its id is still worth knowing only while it lives.
            return self.seek_answer(bind, ticket, outcome);
        };
        let flying = entry.parts.get(part) == Some(PartState::InFlight) && matches!(entry.phase, Phase::InFlight(_));
        let open = is_open(entry, part, bind);
        if open {
            self.dispatchers[carrier.0 as usize].release(bind);
        } else if flying && matches!(outcome, Outcome::Sent { .. }) && !entry.has_left(carrier) {
            // A late answer to an earlier copy: the copy that is in flight with another bind keeps its slot there.
            self.abandoned.insert((ticket, entry.with));
        }
        match outcome {
            Outcome::Sent { carrier_id } => return self.part_taken(id, part, carrier, &carrier_id),
            _ if !open => return,
            Outcome::InDoubt => entry.parts.set(part, PartState::Doubt),
            Outcome::NotSent => refuse(entry, part, Refused::NotSent, PartState::Unsent, 0),
            Outcome::Throttled { status } => {
                refuse(entry, part, Refused::Throttled, PartState::Unsent, status);
                self.tally.throttle_answers += 1;
                self.dispatchers[carrier.0 as usize].pause(self.now);
            }
            Outcome::Later { status } => refuse(entry, part, Refused::Later, PartState::Unsent, status),
            Outcome::Elsewhere { status } => refuse(entry, part, Refused::Elsewhere, PartState::Refused, status),
            Outcome::Never { status } => refuse(entry, part, Refused::Never, PartState::Refused, status),
        }
        self.settle_parts(id, carrier);
    }

    /// A carrier took a part, now or late.
    pub(super) fn part_taken(&mut self, id: MessageId, part: u8, carrier: CarrierId, carrier_id: &CarrierMessageId) {
        let at_ms = self.now.wall_ms;
        let Some(entry) = self.messages.get(&id) else { return };
        let (parts, reference, number) = (entry.parts.len() as u8, entry.reference, entry.message.number);
        if matches!(entry.phase, Phase::Doubt(_) | Phase::Settled(_, State::InDoubt)) {
            self.tally.doubts_settled += 1;
        }
        self.part_sent(&PartSent { id, part, parts, carrier, at_ms, reference }, carrier_id);
        // One that was sent twice is parked twice.
        while let Some(parked) = self.parked.take_match(carrier, number, carrier_id) {
            self.tally.receipts_unparked += 1;
            self.parked_ended(&parked);
            if !self.late_word(id, super::index::answer_key(carrier, carrier_id).unwrap_or(0), &parked.facts) {
                self.matched(id, part, carrier, &parked.facts);
            }
        }
        self.settle_parts(id, carrier);
    }

    /// Writes down that a carrier took a part, and does what that means.
    pub(super) fn part_sent(&mut self, sent: &PartSent, carrier_id: &[u8]) {
        let PartSent { id, part, parts, carrier, at_ms, reference } = *sent;
        self.open_batch();
        event::write_sent(id, [part, parts], carrier, at_ms, reference, carrier_id, &mut self.writing.octets);
        self.apply_sent(sent, carrier_id);
    }

    /// The state that a SENT event means. Live and in replay.
    pub(super) fn apply_sent(&mut self, sent: &PartSent, carrier_id: &[u8]) {
        let key = if carrier_id.is_empty() { 0 } else { self.index.insert(sent.carrier, carrier_id, (sent.id, sent.part)) };
        if self.apply_sent_key(sent, key) {
            self.report_taken(sent.id, sent.at_ms);
        }
    }

    /// The same with the index's key at hand, and nobody is told. True: with this, all of it is taken.
    pub(super) fn apply_sent_key(&mut self, sent: &PartSent, key: u128) -> bool {
        let PartSent { id, part, parts, carrier, at_ms, reference } = *sent;
        self.touch(id);
        if self.took_earlier(id, part, carrier, key) {
            return false;
        }
        if self.replaying {
            self.sent_before(id, parts, carrier, reference);
        }
        let Some(entry) = self.messages.get_mut(&id) else { return false };
        if entry.parts.len() != parts as usize {
            entry.parts = super::messages::Parts::unsent(parts);
        }
        entry.set_key(part, key);
        let is_news = !matches!(entry.parts.get(part), Some(PartState::Sent | PartState::Delivered | PartState::Failed));
        if !matches!(entry.parts.get(part), Some(PartState::Delivered | PartState::Failed)) {
            entry.parts.set(part, PartState::Sent);
        }
        entry.reference = reference;
        if entry.sent_ms == 0 {
            entry.sent_ms = at_ms;
        }
        let (account, number, charge) = (entry.message.account, entry.message.number, std::mem::take(&mut entry.charge));
        let all_taken = entry.parts.as_slice().iter().all(|s| matches!(s, PartState::Sent | PartState::Delivered | PartState::Failed));
        // A late answer settles the message wherever it waits meanwhile; a stale place in a lane is skipped when it is popped.
        entry.attempted &= !all_taken;
        let phase = entry.phase;
        // What was in doubt, also where the doubt is settled, is known to be sent now.
        if is_news && all_taken && !self.replaying && !matches!(phase, Phase::Sent(_)) {
            self.quality.sent(carrier, number, self.now.wall_ms);
        }
        let is_end = all_taken && !matches!(phase, Phase::Sent(_) | Phase::Settled(..));
        if is_end {
            self.forget_doubt(id);
            self.set_phase(id, Phase::Sent(carrier));
            self.shrink(id, carrier);
        }
        if charge != 0 {
            self.spend(account, charge);
        }
        is_end
    }

    /// Once no part is open any more, the message as a whole goes on.
    pub(super) fn settle_parts(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(entry) = self.messages.get(&id) else { return };
        if let Phase::Sent(of) = entry.phase {
            return self.sent(id, of);
        }
        let open = entry.parts.count(PartState::InFlight) + entry.parts.count(PartState::Doubt);
        if let Phase::Doubt(of) = entry.phase
            && open == 0
        {
            return self.doubt_settled(id, of);
        }
        if entry.phase != Phase::InFlight(carrier) || entry.parts.count(PartState::InFlight) > 0 {
            return;
        }
        let taken = entry.parts.any_taken();
        if entry.parts.count(PartState::Doubt) > 0 {
            return self.enter_doubt(id, carrier);
        }
        let status = entry.last_status;
        match (entry.refused, taken) {
            (Refused::Nothing, _) => {}
            (Refused::NotSent | Refused::Throttled, _) => self.return_to_lane(id, carrier),
            (Refused::Later, _) => self.try_later(id, carrier),
            // One part is refused for good and another is out: the rest isn't sent, the message can't be whole any more.
            (Refused::Elsewhere | Refused::Never, true) => self.verdict(id, State::Undelivered, status),
            (Refused::Elsewhere, false) => self.try_elsewhere(id, carrier),
            (Refused::Never, false) => self.verdict(id, State::Rejected, status),
        }
    }

    /// The last part in doubt was settled while others were refused or are still to be sent.
    fn doubt_settled(&mut self, id: MessageId, carrier: CarrierId) {
        self.forget_doubt(id);
        let Some(entry) = self.messages.get(&id) else { return };
        match entry.parts.count(PartState::Refused) {
            0 => self.return_to_lane(id, carrier),
            _ => self.verdict(id, State::Undelivered, entry.last_status),
        }
    }

    /// All parts are with the carrier: a receipt is awaited, or that was all.
    fn sent(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let plan = self.plan.carrier(carrier);
        let asked = plan.always_ask_receipt || (entry.message.asks_receipt() && !plan.never_ask_receipt);
        if !asked {
            self.verdict(id, State::SentFinal, 0);
        }
    }

    pub(super) fn enter_doubt(&mut self, id: MessageId, carrier: CarrierId) {
        self.set_phase(id, Phase::Doubt(carrier));
        let Some(entry) = self.messages.get_mut(&id) else { return };
        entry.doubts = entry.doubts.saturating_add(1);
        self.doubts.entry((carrier, crate::number::tail(entry.message.number))).or_default().push(id);
        let wait_ms = self.plan.class(entry.message.class).doubt_wait_ms;
        self.timers.set(self.now.mono_us + wait_ms * 1000, Timer::Doubt(id));
    }

    /// Whatever of it no carrier is known to have taken or refused may be out.
    pub(super) fn doubt_open_parts(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        for part in 0..entry.parts.len() as u8 {
            if matches!(entry.parts.get(part), Some(PartState::Unsent | PartState::InFlight)) {
                entry.parts.set(part, PartState::Doubt);
            }
        }
    }

    pub(super) fn forget_doubt(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let (Phase::Doubt(carrier) | Phase::Settled(carrier, State::InDoubt)) = entry.phase else { return };
        let key = (carrier, crate::number::tail(entry.message.number));
        if let Some(ids) = self.doubts.get_mut(&key) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.doubts.remove(&key);
            }
        }
    }

    /// Nothing settled the doubt in its time: the class's policy decides. Once again at most once.
    pub(super) fn doubt_over(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let Phase::Doubt(carrier) = entry.phase else { return };
        if self.settle_by_parked(id, carrier) {
            return;
        }
        let Some(entry) = self.messages.get(&id) else { return };
        let some_taken = entry.parts.any_taken();
        if some_taken && entry.parts.count(PartState::Refused) > 0 {
            // Whatever becomes of the part in doubt: it can't be whole any more.
            let status = entry.last_status;
            return self.verdict(id, State::Undelivered, status);
        }
        if self.plan.class(entry.message.class).resend_in_doubt && entry.doubts <= 1 {
            self.tally.resent_in_doubt += 1;
            self.forget_doubt(id);
            let Some(entry) = self.messages.get_mut(&id) else { return };
            for part in 0..entry.parts.len() as u8 {
                // Where nothing was taken the whole message leaves again.
                let again = matches!(entry.parts.get(part), Some(PartState::Doubt)) || !some_taken;
                if again {
                    entry.parts.set(part, PartState::Unsent);
                }
            }
            match some_taken {
                true => self.return_to_lane(id, carrier),
                false => self.enqueue(id),
            }
        } else {
            self.verdict(id, State::InDoubt, 0);
        }
    }

    /// Only the start of the text is still needed, for the receipt, unless another carrier may have to send it.
    fn shrink(&mut self, id: MessageId, carrier: CarrierId) {
        if self.messages.get(&id).is_none_or(|entry| self.keeps_body(entry, carrier)) {
            return;
        }
        let Some(entry) = self.messages.get_mut(&id) else { return };
        // If a bind still holds the message its body stays; nothing is copied for this.
        let Some(message) = Arc::get_mut(&mut entry.message) else { return };
        let keep = match message.report.wants_final() {
            true => super::outbox::text_start(&message.body).to_vec().into_boxed_slice(),
            false => Box::default(),
        };
        self.body_octets -= message.body.octets.len();
        self.body_octets += keep.len();
        message.body.header_len = 0;
        message.body.octets = keep;
        entry.body_cut = true;
    }

    /// Our own verdict, written down and applied.
    pub(super) fn verdict(&mut self, id: MessageId, state: State, error: u32) {
        let at_ms = self.now.wall_ms;
        let carrier = self.messages.get(&id).and_then(|e| e.phase.carrier()).unwrap_or(CarrierId(0));
        // A carrier's own final goes before a verdict that no other carrier could better.
        let failed = self.messages.get(&id).and_then(|e| e.failed_receipt(state));
        let state = failed.map_or(state, |failed| failed.state.message_state());
        self.record(&Event::Verdict { message: id, state, carrier, at_ms, error });
        self.apply_verdict(id, state, carrier, at_ms, error);
    }
}

/// The part is in flight with this bind.
fn is_open(entry: &super::messages::Entry, part: u8, bind: BindId) -> bool {
    entry.with == bind && matches!(entry.phase, Phase::InFlight(_)) && entry.parts.get(part) == Some(PartState::InFlight)
}

fn refuse(entry: &mut super::messages::Entry, part: u8, refused: Refused, state: PartState, status: u32) {
    entry.parts.set(part, state);
    entry.refused = entry.refused.max(refused);
    if status != 0 {
        entry.last_status = status;
    }
}
