//! What is known of one message of the world, and when it may end as it does.

use super::draw::Cut;
use super::judge::{Judged, wrong};
use crate::engine::event::{DeliveryKey, PartReceipt};
use crate::engine::port::BindId;
use crate::link::translate::status::message_state;
use crate::model::state::ReceiptState;
use crate::model::{Class, MessageId, Report, State};
use crate::text::utf16;
use std::collections::BTreeSet;

/// What the upstream knows of its submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Not submitted yet, or not answered.
    Nothing,
    /// Status 0.
    Yes(MessageId),
    /// Refused with this status.
    No(u32),
}

/// Where a part is, as far as the gateway can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Not out, or refused: it may be sent.
    #[default]
    Free,
    /// Handed to this bind.
    Out(BindId),
    /// Handed out, no answer.
    Doubt,
    /// Its answer was taken in.
    Known,
}

/// One part of it.
#[derive(Debug, Clone, Default)]
pub struct Part {
    pub standing: Standing,
    pub sent_durably: bool,
    pub end: Option<State>,
    /// Sent once again for a doubt since the gateway was started.
    pub resent: bool,
    pub sends: u32,
    /// In which life of the gateway it was sent last.
    pub life: u64,
    pub taken: u32,
    /// Copies that carriers took: carrier, its number, and what it reported finally and was told 0 for.
    pub copies: Vec<Copy>,
}

/// A copy that a carrier took.
#[derive(Debug, Clone)]
pub struct Copy {
    pub carrier: usize,
    pub number: u64,
    /// Final states that the carrier has reported.
    pub reported: Vec<ReceiptState>,
    /// The gateway answered the receipt with 0.
    pub answered: bool,
}

/// How a message is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By submit_sm.
    Plain,
    /// By data_sm.
    Data,
    /// As one of `count` recipients of a submit_multi, whose text shows the number of the first.
    Multi { first: usize, count: usize },
    /// As a part that upstream has cut.
    Part(Cut),
}

/// One message of the world.
#[derive(Debug, Clone)]
pub struct Record {
    /// Index of the account.
    pub account: usize,
    /// Its class.
    pub class: Class,
    /// The phone's digits.
    pub digits: String,
    /// Its campaign.
    pub campaign: Option<&'static str>,
    /// Its sender.
    pub sender: &'static str,
    /// registered_delivery.
    pub registered: u8,
    /// schedule_delivery_time: seconds; 0 for at once.
    pub delay_s: u64,
    /// validity_period: seconds; 0 for the default, which no message of a world may ever reach.
    pub validity_s: u64,
    /// Its upstream means to cancel it.
    pub to_cancel: bool,
    /// Its upstream submits it more than once.
    pub is_repeated: bool,
    /// The text; every part shows the mark.
    pub text: String,
    /// In UCS-2.
    pub ucs2: bool,
    /// How it is submitted.
    pub how: How,
    /// It replaces what waits for the same phone.
    pub replaces: bool,
    /// Its upstream means to ask for its state, to replace its text, to cancel all to its phone.
    pub to_query: bool,
    /// See `to_query`.
    pub to_replace: bool,
    /// See `to_query`.
    pub cancels_all: bool,
    /// Another message, or a cancel of all, may end it.
    pub may_be_cancelled: bool,
    /// An operator asked for a cancel that means it.
    pub is_meant: bool,
    /// That was answered: it must not leave any more.
    pub must_not_leave: bool,
    /// Its replacement is written; is durable; was told to upstream.
    pub replaced: bool,
    /// See `replaced`.
    pub replaced_durably: bool,
    /// See `replaced`.
    pub replaced_told: bool,
    /// Ends that are written, durable or not.
    pub endings: Vec<State>,
    /// What the upstream was told.
    pub said: Said,
    pub id: Option<MessageId>,
    pub wish: Report,
    pub expires_ms: u64,
    pub accepted: bool,
    pub attempted: bool,
    pub parts: Vec<Part>,
    pub crashed: bool,
    /// It was handed out and its answer was lost, late, or forgotten in a crash.
    pub doubted: bool,
    pub refusals: u32,
    pub conclusions: Vec<State>,
    pub is_closed: bool,
    pub handed_over: BTreeSet<DeliveryKey>,
    pub final_key: Option<DeliveryKey>,
    /// Final reports taken by the upstream.
    pub finals: Vec<ReceiptState>,
    /// The upstream refused a report for good.
    pub report_refused: bool,
    /// It could not have left before its validity ends, by the judge's own reckoning.
    pub is_hopeless: bool,
    /// Its number was, or may have been, in some list.
    pub listed: bool,
    /// Its number is in so many lists for certain: nothing may leave to it.
    pub certainly_listed: usize,
    /// Carriers that its routes allow.
    pub allowed: Vec<u16>,
    /// How often it may go to another carrier after a receipt.
    pub reroutes_max: u8,
    /// Carriers that are done with it: as written, and as durable.
    pub done: [Vec<u16>; 2],
    /// Carriers that it has left after a receipt, as written.
    pub leaving: Vec<u16>,
    /// What it left behind, as durable.
    pub left: Vec<Left>,
}

/// A carrier that a message has left after a receipt.
#[derive(Debug, Clone)]
pub struct Left {
    /// The carrier.
    pub carrier: u16,
    /// What became of each part there.
    pub ends: Vec<Option<State>>,
    /// What the receipt said.
    pub said: State,
}

impl Record {
    /// A message that was not submitted yet.
    pub fn new(account: usize, class: Class, digits: String, registered: u8, text: String) -> Record {
        Record {
            account,
            class,
            digits,
            campaign: None,
            sender: "SHOP",
            registered,
            delay_s: 0,
            validity_s: 0,
            to_cancel: false,
            is_repeated: false,
            text,
            ucs2: false,
            how: How::Plain,
            replaces: false,
            to_query: false,
            to_replace: false,
            cancels_all: false,
            may_be_cancelled: false,
            is_meant: false,
            must_not_leave: false,
            replaced: false,
            replaced_durably: false,
            replaced_told: false,
            endings: Vec::new(),
            said: Said::Nothing,
            id: None,
            wish: Report::default(),
            expires_ms: 0,
            accepted: false,
            attempted: false,
            parts: Vec::new(),
            crashed: false,
            doubted: false,
            refusals: 0,
            conclusions: Vec::new(),
            is_closed: false,
            handed_over: BTreeSet::new(),
            final_key: None,
            finals: Vec::new(),
            report_refused: false,
            is_hopeless: false,
            listed: false,
            certainly_listed: 0,
            allowed: Vec::new(),
            reroutes_max: 0,
            done: [Vec::new(), Vec::new()],
            leaving: Vec::new(),
            left: Vec::new(),
        }
    }

    /// One part, from 0.
    pub fn part(&mut self, part: u8) -> &mut Part {
        let at = part as usize;
        if self.parts.len() <= at {
            self.parts.resize_with(at + 1, Part::default);
        }
        &mut self.parts[at]
    }

    /// What the routes of its world allow it.
    pub fn routed(&mut self, settings: &super::Settings) {
        self.allowed = super::routing::allowed(settings, self);
        self.reroutes_max = settings.reroutes[self.class as usize];
    }

    /// It has left this carrier after a receipt.
    pub fn has_left(&self, carrier: u16) -> bool {
        self.leaving.contains(&carrier)
    }

    /// Parts of it were handed to a bind so often, in all.
    pub fn sends(&self) -> u32 {
        self.parts.iter().map(|part| part.sends).sum()
    }

    /// Upstream cut it under this reference.
    pub fn is_cut_with(&self, reference: u16) -> bool {
        matches!(self.how, How::Part(cut) if cut.reference == reference)
    }

    /// It goes to the same phone from the same account.
    pub fn is_beside(&self, other: &Record) -> bool {
        self.account == other.account && self.digits == other.digits
    }

    /// Query_sm may tell this state, or (`None`) that the message is unknown.
    pub fn may_be_told(&self, told: Option<u8>) -> bool {
        let is = |state: &State| told.is_none_or(|told| message_state(*state) as u8 == told);
        self.crashed || told == Some(ReceiptState::Enroute as u8) || self.endings.iter().any(is)
    }

    /// Its upstream asked for a report of this end.
    pub fn wants(&self, state: State) -> bool {
        match state {
            State::SentFinal => false,
            State::Delivered => self.wish.on_success,
            _ => self.wish.on_failure,
        }
    }
}

/// The mark of message `number`, as it stands in its text again and again.
pub fn mark(number: usize) -> String {
    format!("<{number:06}>")
}

/// The same in a text that has replaced another.
pub fn replacement(number: usize) -> String {
    format!("({number:06})")
}

/// A text as it stands in a PDU or a body, without header.
pub fn read_text(octets: &[u8], ucs2: bool) -> String {
    if ucs2 { utf16::decode(octets) } else { String::from_utf8_lossy(octets).into_owned() }
}

/// The number in the first whole mark of `text`.
pub fn read_mark(text: &str) -> Option<usize> {
    let is_mark = |w: &[u8]| matches!((w[0], w[7]), (b'<', b'>') | (b'(', b')')) && w[1..7].iter().all(u8::is_ascii_digit);
    let from = text.as_bytes().windows(8).position(is_mark)?;
    text.get(from + 1..from + 7)?.parse().ok()
}

/// It is a text that has replaced another.
pub fn is_replacement(text: &str) -> bool {
    text.contains(['(', ')'])
}

impl Record {
    /// What a durable REROUTED means.
    pub fn leaves(&mut self, number: usize, carrier: u16, part: u8, facts: &PartReceipt) -> Judged {
        let said = facts.state.message_state();
        if self.is_closed || !self.conclusions.is_empty() {
            return wrong(number, format!("goes to another carrier though it has ended as {:?}", self.conclusions));
        }
        if self.left.len() >= usize::from(self.reroutes_max) {
            return wrong(number, "goes to another carrier more often than it may");
        }
        if !self.parts.iter().all(|p| p.sent_durably) || self.parts.iter().any(|p| p.end == Some(State::Delivered)) {
            return wrong(number, "goes to another carrier though not all of it was sent, or some was delivered");
        }
        if !super::routing::CAUSES.contains(&facts.state) {
            return wrong(number, format!("goes to another carrier after {:?}", facts.state));
        }
        let ends = self.parts.iter().enumerate().map(|(at, p)| if at == usize::from(part) { Some(said) } else { p.end }).collect();
        self.left.push(Left { carrier, ends, said });
        self.done[1].push(carrier);
        self.attempted = false;
        for part in &mut self.parts {
            (part.sent_durably, part.end) = (false, None);
        }
        Ok(())
    }

    /// What a durable COPY_RECEIPT means.
    pub fn late_word(&mut self, carrier: u16, part: u8, facts: &PartReceipt) {
        let Some(left) = self.left.iter_mut().find(|left| left.carrier == carrier) else { return };
        if let Some(end) = left.ends.get_mut(usize::from(part))
            && *end != Some(State::Delivered)
        {
            *end = Some(facts.state.message_state());
        }
        if left.ends.iter().all(|end| *end == Some(State::Delivered)) && !self.is_closed {
            self.conclusions.push(State::Delivered);
            self.is_closed = true;
        }
    }
}

/// A final receipt on a part is durable.
pub fn receipt(record: &mut Record, part: u8, facts: &PartReceipt) {
    let state = facts.state.message_state();
    let count = record.parts.len().max(1);
    for at in 0..count as u8 {
        if part == u8::MAX || part == at {
            record.part(at).end.get_or_insert(state);
        }
    }
    let failure = record.parts.iter().filter_map(|p| p.end).find(|end| *end != State::Delivered);
    let all = record.parts.iter().all(|p| p.end == Some(State::Delivered));
    if record.is_closed {
        return;
    }
    // The first failure that was reported is what counts.
    let ended = if state != State::Delivered { Some(state) } else { failure.or(all.then_some(State::Delivered)) };
    if let Some(state) = ended {
        record.conclusions.push(state);
        record.is_closed = true;
    }
}

/// A verdict of the gateway's own is durable.
pub fn verdict(record: &mut Record, number: usize, state: State, at_ms: u64) -> Judged {
    if record.is_closed {
        return wrong(number, format!("{state:?} after it has ended as {:?}", record.conclusions));
    }
    record.conclusions.push(state);
    record.is_closed = state != State::InDoubt;
    // Where a carrier has reported a failure and no other one took it, that stands.
    let said = record.left.last().map(|left| left.said).filter(|_| matches!(state, State::Expired | State::Rejected | State::Undelivered));
    if let Some(said) = said {
        return if said == state { Ok(()) } else { wrong(number, format!("{state:?}, but the carrier that it left said {said:?}")) };
    }
    let legal = match state {
        State::Expired => (at_ms >= record.expires_ms || record.is_hopeless) && record.validity_s > 0,
        State::Cancelled => {
            let asked = record.to_cancel || record.may_be_cancelled || record.is_meant;
            asked && record.parts.iter().all(|p| p.standing == Standing::Free)
        }
        // What a cancel finds half sent.
        State::Undelivered if record.is_meant => true,
        State::Rejected | State::Undelivered => record.refusals > 0 || record.crashed || record.listed,
        State::InDoubt => record.attempted || record.parts.iter().any(|p| p.sends > 0),
        State::SentFinal | State::NoReceipt => record.parts.iter().all(|p| p.sent_durably),
        _ => false,
    };
    if legal { Ok(()) } else { wrong(number, format!("the verdict {state:?} has no ground")) }
}

/// It is at rest.
pub fn at_rest(number: usize, record: &Record) -> Judged {
    if record.conclusions.is_empty() {
        return wrong(number, "accepted and in no final state at rest");
    }
    let told = record.conclusions.iter().find(|state| record.wants(**state));
    match (told, record.finals.first()) {
        (None, Some(state)) => return wrong(number, format!("reported as {state:?}, which nobody asked for")),
        (Some(state), None) if !record.report_refused => return wrong(number, format!("ended as {state:?} and was never reported")),
        (Some(state), Some(told)) if !agrees(*state, *told) => {
            return wrong(number, format!("ended as {state:?} and was reported as {told:?}"));
        }
        _ => {}
    }
    Ok(())
}

/// What became of a message against what carriers reported of it.
pub fn receipts_agree(number: usize, record: &Record) -> Judged {
    let Some(&last) = record.conclusions.last() else { return Ok(()) };
    let was_sent = |part: &Part| part.taken > 0;
    if matches!(last, State::Delivered | State::SentFinal | State::NoReceipt) && !record.parts.iter().all(was_sent) {
        return wrong(number, format!("ended as {last:?}, but not all of it came to a carrier"));
    }
    let said = |part: &Part, state: State| part.copies.iter().any(|c| c.reported.iter().any(|r| r.message_state() == state));
    if last == State::Delivered && !record.parts.iter().all(|part| said(part, State::Delivered)) {
        return wrong(number, "delivered, but no carrier said so of every part");
    }
    // A receipt whose submission the gateway knows, and that it took, must have counted.
    let certain = |part: &Part| part.sent_durably && part.taken == 1 && part.copies.iter().any(|c| c.answered);
    if matches!(last, State::NoReceipt | State::InDoubt) && !record.parts.is_empty() && record.parts.iter().all(certain) {
        return wrong(number, format!("ended as {last:?}, though its receipts were taken from the carrier"));
    }
    Ok(())
}

fn agrees(state: State, told: ReceiptState) -> bool {
    match state {
        State::NoReceipt | State::InDoubt => told == ReceiptState::Unknown,
        State::Cancelled => told == ReceiptState::Deleted,
        _ => told.message_state() == state,
    }
}
