//! The events of the journal and their encoding. A *batch* is what one step wrote: a header (version, batch number, length) and events
//! one after another, little-endian, each a kind octet and its fields. The store sees only octets. Decoding never trusts them: it is fuzzed.
//!
//! Rules that must stay true: an event never loses a field within a version; applying the events of a message in order rebuilds it exactly;
//! what an event says has either happened or will be made to happen.
#![allow(missing_docs)] // every variant has its line; its fields are the words of the design

pub mod glance;

use super::cold::Place;
use super::dedupe::Remembered;
use super::messages::PartState;
use super::port::{CarrierMessageId, Delivery, Inbound, InboundPart, ReceiptFacts, Replacement, Report as PortReport};
use super::reroute::{PastCopy, Tried};
use super::rules::lists::{Level, ListKind, ListName, Sender};
use crate::model::message::{Part, Report};
use crate::model::state::ReceiptState;
use crate::model::{AccountId, Address, Body, CampaignId, CarrierId, Class, Encoding, Message, MessageId, State};
use arrayvec::ArrayVec;
use notes::put_notes;

mod notes;

/// Version of the encoding, the first octet of every batch.
pub const VERSION: u8 = 2;
/// Octets of a batch's header: version, batch number, length of what follows.
pub const HEADER: usize = 13;

/// Names one delivery to upstream for ever: the message, and which of its reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryKey {
    /// The message that is reported on, or the inbound message itself.
    pub message: MessageId,
    /// 0 for the first delivery about it, then upwards.
    pub serial: u8,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was taken.
    Accepted(Box<Message>),
    /// About to be written to a socket; synced first where a second copy must never be sent (otp).
    Attempt { message: MessageId, carrier: CarrierId },
    /// A carrier took a part.
    Sent { message: MessageId, part: u8, parts: u8, carrier: CarrierId, at_ms: u64, reference: u16, carrier_id: CarrierMessageId },
    /// A carrier reported on a part.
    Receipt { message: MessageId, part: u8, at_ms: u64, facts: PartReceipt },
    /// Our own verdict: expired, cancelled, rejected, no receipt, in doubt, sent without receipt. `carrier`: where it was last (0 before any).
    Verdict { message: MessageId, state: State, carrier: CarrierId, at_ms: u64, error: u32 },
    /// An upstream took a delivery (or it was dropped for good).
    HandedOver { key: DeliveryKey, taken: bool },
    /// A receipt that matched nothing yet.
    Parked { carrier: CarrierId, at_ms: u64, facts: Box<ReceiptFacts> },
    /// One part of an inbound message.
    InboundPart { carrier: CarrierId, at_ms: u64, part: Box<InboundPart> },
    /// An inbound message is whole (or its time was over) and waits for its account. Ends the parts of the same source, destination and reference.
    InboundReady { carrier: CarrierId, account: AccountId, part: Option<Part>, inbound: Box<Inbound> },
    /// A waiting message got another text or other times.
    Replaced { message: MessageId, with: Box<Replacement> },
    /// A delivery carried out of an old group: everything needed to hand it over.
    Outboxed { account: AccountId, key: DeliveryKey, at_ms: u64, delivery: Box<Delivery> },
    /// A provisionally ended message is no longer kept for a carrier's late word.
    Forgotten { message: MessageId },
    /// A part of a carried message that a carrier had taken: as `Sent`, with the index's key instead of the id. `reported`: a final success was reported.
    SentBefore { message: MessageId, part: u8, parts: u8, carrier: CarrierId, at_ms: u64, reference: u16, key: u128, reported: bool },
    /// The rest of a carried message: reports made, and its provisional end if it has one (else `state` is waiting).
    Settled { message: MessageId, carrier: CarrierId, state: State, reports: u8, reported_final: bool, told_taken: bool },
    /// All live messages of a chunk left memory. `place`: what they wait for.
    Cooled { chunk: u64, place: Place },
    /// They are back.
    Warmed { chunk: u64 },
    /// A campaign got its number.
    Campaign { campaign: CampaignId, name: Box<str> },
    /// What a carrier's own answers allow, segments a second, and the rate at which it last said no; both as the bits of an f64.
    Rate { carrier: CarrierId, rate: u64, said_no: u64 },
    /// Numbers (packed, sorted, each once) were put into a list, or taken out of it.
    Listed { list: ListName, add: bool, numbers: Vec<u64> },
    /// All numbers were taken out of a list.
    Unlisted { list: ListName },
    /// A phone's reply, the inbound `message`, put its number into a list, or took it out (`back`). `account`: whose the reply was.
    Replied { message: MessageId, account: Option<AccountId>, list: ListName, number: u64, back: bool, at_ms: u64 },
    /// From now on so much is reserved for a message that waits: it was replaced. Thousandths of a credit.
    Reserved { message: MessageId, charge: u32 },
    /// Somebody changed what an account has, thousandths of a credit.
    ToppedUp { account: AccountId, change: i64, at_ms: u64, reason: Box<str> },
    /// A message was taken although it repeats the text of another.
    Flagged { message: MessageId, original: MessageId },
    /// Keys of what an account handed in, each with its message; in chunks of the ledger only.
    Remembered { account: AccountId, of: Remembered, generation: u64, entries: Vec<(u64, MessageId)> },
    /// A carrier is done with a message: it refused it, and another one is to be tried.
    Moved { message: MessageId, carrier: CarrierId, at_ms: u64, status: u32 },
    /// A carrier is done with a message: it reported that it failed (`part` 255: as a whole), and another one is to be tried.
    Rerouted { message: MessageId, carrier: CarrierId, part: u8, at_ms: u64, facts: PartReceipt },
    /// A late word of a carrier that the message has left, about the copy of this key (`part` 255: about all).
    CopyReceipt { message: MessageId, carrier: CarrierId, part: u8, key: u128, at_ms: u64, facts: PartReceipt },
    /// A part of a carried message that a carrier had taken before the message left it.
    SentEarlier { message: MessageId, copy: PastCopy },
    /// Carriers that are done with a carried message. `whole`: its text is not cut though a carrier has it. `failed`: the last receipt that it left one for.
    Past { message: MessageId, tried: Tried, reroutes: u8, whole: bool, failed: Option<PartReceipt> },
    /// All parts of a set that upstream cut under one reference leave with another. `pair` and `set` as [`super::references`] names them.
    Renamed { pair: u64, set: u64, upstream: u16, reference: u16 },
    /// Something was changed while running, or was done by an operator: a [`super::overlay::Record`] as JSON.
    Changed { octets: Box<[u8]> },
}

impl Event {
    /// The message that it is about, if it is about one that is alive.
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Event::Accepted(message) => Some(message.id),
            Event::Attempt { message, .. }
            | Event::Sent { message, .. }
            | Event::SentBefore { message, .. }
            | Event::Receipt { message, .. }
            | Event::Verdict { message, .. }
            | Event::Replaced { message, .. }
            | Event::Reserved { message, .. }
            | Event::Moved { message, .. }
            | Event::Rerouted { message, .. }
            | Event::CopyReceipt { message, .. }
            | Event::SentEarlier { message, .. }
            | Event::Past { message, .. }
            | Event::Settled { message, .. }
            | Event::Forgotten { message } => Some(*message),
            _ => None,
        }
    }
}

/// What a receipt said about a part; enough to rebuild the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartReceipt {
    /// Its state.
    pub state: ReceiptState,
    /// Final, by the carrier's profile.
    pub is_final: bool,
    /// Error as text.
    pub error: [u8; 3],
    /// network_error_code.
    pub network_error: Option<[u8; 3]>,
    /// done date, or when it came.
    pub done_ms: u64,
}

/// Why octets are not a batch of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The octets end inside a field.
    #[error("ends inside a field")]
    Short,
    /// Written by a version that we don't know.
    #[error("version {0} is unknown; this binary reads version {VERSION}")]
    Version(u8),
    /// No such event.
    #[error("event kind {0} is unknown")]
    Kind(u8),
    /// A field has a value that it can't have.
    #[error("{0} has an impossible value")]
    Value(&'static str),
}

/// Starts a batch in `out`; [`seal`] must follow.
pub fn open(out: &mut Vec<u8>, batch: u64) {
    out.push(VERSION);
    out.extend_from_slice(&batch.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
}

/// Writes the length of the batch that starts at the beginning of `out`.
pub fn seal(out: &mut [u8]) {
    let length = (out.len() - HEADER) as u32;
    out[9..HEADER].copy_from_slice(&length.to_le_bytes());
}

/// Walks all events of a group (batches one after another), each with the number of its batch.
pub fn read_group(group: &[u8], each: &mut dyn FnMut(u64, Event)) -> Result<(), EventError> {
    let mut at = Reader(group);
    while !at.0.is_empty() {
        let version = at.u8()?;
        if version != VERSION {
            return Err(EventError::Version(version));
        }
        let batch = at.u64()?;
        let length = at.u32()? as usize;
        let mut events = Reader(at.take(length)?);
        while !events.0.is_empty() {
            each(batch, read(&mut events)?);
        }
    }
    Ok(())
}

/// What a copy that a message left behind may have come to, by its number in the journal.
const COPY_STATES: [PartState; 3] = [PartState::Sent, PartState::Delivered, PartState::Failed];
/// The number of a group's last batch, which may have no event. `None`: there is none, or the octets end inside it.
pub fn last_batch(group: &[u8]) -> Option<u64> {
    let (mut at, mut last) = (Reader(group), None);
    while !at.0.is_empty() {
        let (_, batch, length) = (at.u8().ok()?, at.u64().ok()?, at.u32().ok()?);
        at.take(length as usize).ok()?;
        last = Some(batch);
    }
    last
}

mod kind {
    pub const ACCEPTED: u8 = 1;
    pub const ATTEMPT: u8 = 2;
    pub const SENT: u8 = 3;
    pub const RECEIPT: u8 = 4;
    pub const VERDICT: u8 = 5;
    pub const HANDED_OVER: u8 = 6;
    pub const PARKED: u8 = 7;
    pub const INBOUND_PART: u8 = 8;
    pub const INBOUND_READY: u8 = 9;
    pub const REPLACED: u8 = 10;
    pub const OUTBOXED: u8 = 11;
    pub const SETTLED: u8 = 12;
    pub const SENT_BEFORE: u8 = 13;
    pub const FORGOTTEN: u8 = 14;
    pub const COOLED: u8 = 15;
    pub const WARMED: u8 = 16;
    pub const RATE: u8 = 55;
    pub const CAMPAIGN: u8 = 56;
    pub const LISTED: u8 = 25;
    pub const UNLISTED: u8 = 26;
    pub const REPLIED: u8 = 27;
    pub const RESERVED: u8 = 50;
    pub const TOPPED_UP: u8 = 51;
    pub const FLAGGED: u8 = 52;
    pub const REMEMBERED: u8 = 53;
    pub const MOVED: u8 = 45;
    pub const REROUTED: u8 = 46;
    pub const COPY_RECEIPT: u8 = 47;
    pub const SENT_EARLIER: u8 = 48;
    pub const PAST: u8 = 49;
    pub const RENAMED: u8 = 60;
    pub const CHANGED: u8 = 35;
}

/// Appends `event` to the batch in `out`.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    match event {
        Event::Accepted(message) => write_accepted(message, message.charge, out),
        Event::Attempt { message, carrier } => {
            out.push(kind::ATTEMPT);
            put_u64(message.0, out);
            put_u16(carrier.0, out);
        }
        Event::Sent { message, part, parts, carrier, at_ms, reference, carrier_id } => {
            write_sent(*message, [*part, *parts], *carrier, *at_ms, *reference, carrier_id, out);
        }
        Event::Receipt { message, part, at_ms, facts } => write_receipt(*message, *part, *at_ms, facts, out),
        Event::Verdict { message, state, carrier, at_ms, error } => {
            out.push(kind::VERDICT);
            put_u64(message.0, out);
            out.push(*state as u8);
            put_u16(carrier.0, out);
            put_u64(*at_ms, out);
            put_u32(*error, out);
        }
        Event::HandedOver { key, taken } => {
            out.push(kind::HANDED_OVER);
            put_key(*key, out);
            out.push(u8::from(*taken));
        }
        Event::Parked { carrier, at_ms, facts } => {
            out.push(kind::PARKED);
            put_u16(carrier.0, out);
            put_u64(*at_ms, out);
            put_facts(facts, out);
        }
        Event::InboundPart { carrier, at_ms, part } => {
            out.push(kind::INBOUND_PART);
            put_u16(carrier.0, out);
            put_u64(*at_ms, out);
            put_address(&part.source, out);
            put_address(&part.destination, out);
            put_body(&part.body, out);
            put_part(part.part, out);
            put_short(&part.service_type, out);
            out.push(part.protocol_id);
        }
        Event::InboundReady { carrier, account, part, inbound } => {
            out.push(kind::INBOUND_READY);
            put_u16(carrier.0, out);
            put_u32(account.0, out);
            put_part(*part, out);
            put_inbound(inbound, out);
        }
        Event::Replaced { message, with } => {
            out.push(kind::REPLACED);
            put_u64(message.0, out);
            put_octets(&with.octets, out);
            put_u64(with.due_ms, out);
            put_u64(with.expires_ms, out);
            out.push(report_bits(with.report));
        }
        Event::Outboxed { account, key, at_ms, delivery } => {
            out.push(kind::OUTBOXED);
            put_u32(account.0, out);
            put_key(*key, out);
            put_u64(*at_ms, out);
            match delivery.as_ref() {
                Delivery::Receipt(report) => {
                    out.push(0);
                    put_report(report, out);
                }
                Delivery::Inbound(inbound) => {
                    out.push(1);
                    put_inbound(inbound, out);
                }
            }
        }
        Event::Forgotten { message } => {
            out.push(kind::FORGOTTEN);
            put_u64(message.0, out);
        }
        Event::SentBefore { message, part, parts, carrier, at_ms, reference, key, reported } => {
            out.push(kind::SENT_BEFORE);
            put_u64(message.0, out);
            out.extend_from_slice(&[*part, *parts]);
            put_u16(carrier.0, out);
            put_u64(*at_ms, out);
            put_u16(*reference, out);
            out.extend_from_slice(&key.to_le_bytes());
            out.push(u8::from(*reported));
        }
        Event::Settled { message, carrier, state, reports, reported_final, told_taken } => {
            out.push(kind::SETTLED);
            put_u64(message.0, out);
            put_u16(carrier.0, out);
            out.push(*state as u8);
            out.push(*reports);
            out.push(u8::from(*reported_final) | u8::from(*told_taken) << 1);
        }
        Event::Cooled { chunk, place } => {
            out.push(kind::COOLED);
            put_u64(*chunk, out);
            place.write(out);
        }
        Event::Warmed { chunk } => {
            out.push(kind::WARMED);
            put_u64(*chunk, out);
        }
        Event::Campaign { campaign, name } => {
            out.push(kind::CAMPAIGN);
            put_u32(campaign.0, out);
            put_short(name.as_bytes(), out);
        }
        Event::Rate { carrier, rate, said_no } => {
            out.push(kind::RATE);
            put_u16(carrier.0, out);
            put_u64(*rate, out);
            put_u64(*said_no, out);
        }
        Event::Listed { list, add, numbers } => {
            out.push(kind::LISTED);
            put_list(list, out);
            out.push(u8::from(*add));
            put_numbers(numbers, out);
        }
        Event::Unlisted { list } => {
            out.push(kind::UNLISTED);
            put_list(list, out);
        }
        Event::Replied { message, account, list, number, back, at_ms } => {
            out.push(kind::REPLIED);
            put_u64(message.0, out);
            put_u32(account.map_or(u32::MAX, |account| account.0), out);
            put_list(list, out);
            put_u64(*number, out);
            out.push(u8::from(*back));
            put_u64(*at_ms, out);
        }
        Event::Reserved { message, charge } => {
            out.push(kind::RESERVED);
            put_u64(message.0, out);
            put_u32(*charge, out);
        }
        Event::ToppedUp { account, change, at_ms, reason } => {
            out.push(kind::TOPPED_UP);
            put_u32(account.0, out);
            put_u64(*change as u64, out);
            put_u64(*at_ms, out);
            put_short(reason.as_bytes(), out);
        }
        Event::Flagged { message, original } => {
            out.push(kind::FLAGGED);
            put_u64(message.0, out);
            put_u64(original.0, out);
        }
        Event::Remembered { account, of, generation, entries } => {
            out.push(kind::REMEMBERED);
            put_u32(account.0, out);
            out.push(*of as u8);
            put_u64(*generation, out);
            put_u32(entries.len() as u32, out);
            for (key, id) in entries {
                put_u64(*key, out);
                put_u64(id.0, out);
            }
        }
        Event::Moved { message, carrier, at_ms, status } => {
            out.push(kind::MOVED);
            put_u64(message.0, out);
            put_u16(carrier.0, out);
            put_u64(*at_ms, out);
            put_u32(*status, out);
        }
        Event::Rerouted { message, carrier, part, at_ms, facts } => {
            out.push(kind::REROUTED);
            put_u64(message.0, out);
            put_u16(carrier.0, out);
            out.push(*part);
            put_u64(*at_ms, out);
            put_part_receipt(facts, out);
        }
        Event::CopyReceipt { message, carrier, part, key, at_ms, facts } => {
            out.push(kind::COPY_RECEIPT);
            put_u64(message.0, out);
            put_u16(carrier.0, out);
            out.push(*part);
            out.extend_from_slice(&key.to_le_bytes());
            put_u64(*at_ms, out);
            put_part_receipt(facts, out);
        }
        Event::SentEarlier { message, copy } => {
            out.push(kind::SENT_EARLIER);
            put_u64(message.0, out);
            put_u16(copy.carrier.0, out);
            out.push(copy.part);
            out.extend_from_slice(&copy.key.to_le_bytes());
            out.push(COPY_STATES.iter().position(|&state| state == copy.state).unwrap_or(0) as u8);
        }
        Event::Past { message, tried, reroutes, whole, failed } => {
            out.push(kind::PAST);
            put_u64(message.0, out);
            out.push(tried.len() as u8);
            tried.iter().for_each(|carrier| put_u16(carrier.0, out));
            out.extend_from_slice(&[*reroutes, u8::from(*whole), u8::from(failed.is_some())]);
            if let Some(facts) = failed {
                put_part_receipt(facts, out);
            }
        }
        Event::Renamed { pair, set, upstream, reference } => {
            out.push(kind::RENAMED);
            put_u64(*pair, out);
            put_u64(*set, out);
            put_u16(*upstream, out);
            put_u16(*reference, out);
        }
        Event::Changed { octets } => {
            out.push(kind::CHANGED);
            put_octets(octets, out);
        }
    }
}

/// [`Event::Accepted`] from a borrowed message: the hot path builds no event. `charge`: what is reserved for it (still).
pub fn write_accepted(message: &Message, charge: u32, out: &mut Vec<u8>) {
    out.push(kind::ACCEPTED);
    put_u64(message.id.0, out);
    put_u32(message.account.0, out);
    out.push(message.class as u8);
    put_address(&message.source, out);
    put_address(&message.destination, out);
    put_u64(message.number, out);
    put_body(&message.body, out);
    put_part(message.part, out);
    let more = message.campaign != CampaignId::NONE || message.identity != 0 || charge != 0;
    out.push(
        report_bits(message.report) | u8::from(more) << 3 | u8::from(message.notes.is_some()) << 4 | u8::from(message.ask_receipt) << 5,
    );
    put_short(&message.service_type, out);
    out.push(message.protocol_id);
    out.push(message.priority);
    put_u64(message.accepted_ms, out);
    put_u64(message.due_ms, out);
    put_u64(message.expires_ms, out);
    put_octets(&message.tlvs, out);
    if more {
        put_u32(message.campaign.0, out);
        put_u64(message.identity, out);
        put_u32(charge, out);
    }
    put_notes(message.notes.as_deref(), out);
}

/// [`Event::Sent`] from its fields; `part` is (this part, number of parts).
pub fn write_sent(message: MessageId, part: [u8; 2], carrier: CarrierId, at_ms: u64, reference: u16, carrier_id: &[u8], out: &mut Vec<u8>) {
    out.push(kind::SENT);
    put_u64(message.0, out);
    out.extend_from_slice(&part);
    put_u16(carrier.0, out);
    put_u64(at_ms, out);
    put_u16(reference, out);
    put_short(carrier_id, out);
}

/// [`Event::Receipt`] from its fields.
pub fn write_receipt(message: MessageId, part: u8, at_ms: u64, facts: &PartReceipt, out: &mut Vec<u8>) {
    out.push(kind::RECEIPT);
    put_u64(message.0, out);
    out.push(part);
    put_u64(at_ms, out);
    put_part_receipt(facts, out);
}

fn put_part_receipt(facts: &PartReceipt, out: &mut Vec<u8>) {
    out.push(facts.state as u8);
    out.push(u8::from(facts.is_final) | u8::from(facts.network_error.is_some()) << 1);
    out.extend_from_slice(&facts.error);
    out.extend_from_slice(&facts.network_error.unwrap_or_default());
    put_u64(facts.done_ms, out);
}

fn put_u16(value: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}
fn put_u32(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}
fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}
/// Up to 255 octets.
fn put_short(octets: &[u8], out: &mut Vec<u8>) {
    debug_assert!(octets.len() < 256, "short fields have a length octet");
    out.push(octets.len() as u8);
    out.extend_from_slice(octets);
}
fn put_octets(octets: &[u8], out: &mut Vec<u8>) {
    put_u32(octets.len() as u32, out);
    out.extend_from_slice(octets);
}
fn put_address(address: &Address, out: &mut Vec<u8>) {
    out.push(address.ton);
    out.push(address.npi);
    put_short(&address.digits, out);
}
fn put_body(body: &Body, out: &mut Vec<u8>) {
    out.extend_from_slice(&[body.encoding as u8, body.raw_data_coding, body.header_len]);
    put_octets(&body.octets, out);
}
fn put_part(part: Option<Part>, out: &mut Vec<u8>) {
    let part = part.unwrap_or(Part { reference: 0, total: 0, number: 0 });
    put_u16(part.reference, out);
    out.extend_from_slice(&[part.total, part.number]);
}
fn put_key(key: DeliveryKey, out: &mut Vec<u8>) {
    put_u64(key.message.0, out);
    out.push(key.serial);
}
fn report_bits(report: Report) -> u8 {
    u8::from(report.on_success) | u8::from(report.on_failure) << 1 | u8::from(report.intermediate) << 2
}
fn put_facts(facts: &ReceiptFacts, out: &mut Vec<u8>) {
    put_short(&facts.id, out);
    put_short(&facts.other_id, out);
    out.push(facts.state as u8);
    put_short(&facts.stat, out);
    out.push(u8::from(facts.is_final));
    put_short(&facts.error, out);
    out.push(u8::from(facts.network_error.is_some()));
    out.extend_from_slice(&facts.network_error.unwrap_or_default());
    put_u64(facts.done_ms.unwrap_or(0), out);
    put_u64(facts.submit_ms.unwrap_or(0), out);
    put_u64(facts.numbers[0], out);
    put_u64(facts.numbers[1], out);
}
fn put_inbound(inbound: &Inbound, out: &mut Vec<u8>) {
    put_u64(inbound.message.0, out);
    put_address(&inbound.source, out);
    put_address(&inbound.destination, out);
    put_body(&inbound.body, out);
    put_short(&inbound.service_type, out);
    out.push(inbound.protocol_id);
    out.push(u8::from(inbound.incomplete));
    put_u64(inbound.received_ms, out);
}
fn put_report(report: &PortReport, out: &mut Vec<u8>) {
    put_u64(report.message.0, out);
    put_address(&report.source, out);
    put_address(&report.destination, out);
    out.push(report.state as u8);
    let flags = [report.intermediate, report.notes.is_some(), report.taken, report.carrier.is_some()];
    out.push(flags.into_iter().enumerate().map(|(at, flag)| u8::from(flag) << at).sum());
    put_short(&report.error, out);
    out.push(u8::from(report.network_error.is_some()));
    out.extend_from_slice(&report.network_error.unwrap_or_default());
    put_u64(report.submit_ms, out);
    put_u64(report.done_ms, out);
    out.push(report.parts);
    out.push(report.parts_delivered);
    put_short(&report.text, out);
    out.push(report.text_encoding as u8);
    put_notes(report.notes.as_deref(), out);
    if let Some(carrier) = report.carrier {
        put_u16(carrier.0, out);
    }
}

/// A list's name.
pub fn put_list(list: &ListName, out: &mut Vec<u8>) {
    out.push(list.kind as u8);
    match &list.level {
        Level::Platform => out.push(0),
        Level::Account(account) => {
            out.push(1);
            put_u32(account.0, out);
        }
        Level::Sender(sender) => {
            out.push(2);
            put_short(sender.as_bytes(), out);
        }
    }
}

/// Sorted numbers, each once, by their distances: some two octets each where they lie as close as millions of phones do.
pub fn put_numbers(numbers: &[u64], out: &mut Vec<u8>) {
    put_u32(numbers.len() as u32, out);
    let mut before = 0;
    for &number in numbers {
        let mut distance = number.wrapping_sub(before);
        while distance >= 0x80 {
            out.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        out.push(distance as u8);
        before = number;
    }
}

/// What [`put_numbers`] wrote, and nothing else.
pub fn read_numbers(octets: &[u8]) -> Result<Vec<u64>, EventError> {
    let mut at = Reader(octets);
    let numbers = at.numbers()?;
    if at.0.is_empty() { Ok(numbers) } else { Err(EventError::Value("length")) }
}

/// Names of lists, each followed by sorted numbers.
pub fn read_lists(octets: &[u8]) -> Result<Vec<(ListName, Vec<u64>)>, EventError> {
    let mut at = Reader(octets);
    let mut lists = Vec::new();
    while !at.0.is_empty() {
        lists.push((at.list()?, at.numbers()?));
    }
    Ok(lists)
}

fn report_of(bits: u8) -> Result<Report, EventError> {
    match bits {
        0..8 => Ok(Report { on_success: bits & 1 != 0, on_failure: bits & 2 != 0, intermediate: bits & 4 != 0 }),
        _ => Err(EventError::Value("report")),
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EventError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(EventError::Short)?;
        self.0 = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], EventError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(EventError::Short)?;
        self.0 = rest;
        Ok(*head)
    }
    fn u8(&mut self) -> Result<u8, EventError> {
        self.array::<1>().map(|[octet]| octet)
    }
    fn flag(&mut self) -> Result<bool, EventError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(EventError::Value("flag")),
        }
    }
    fn u16(&mut self) -> Result<u16, EventError> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, EventError> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, EventError> {
        self.array().map(u64::from_le_bytes)
    }
    fn short<const N: usize>(&mut self, field: &'static str) -> Result<ArrayVec<u8, N>, EventError> {
        let length = self.u8()? as usize;
        ArrayVec::try_from(self.take(length)?).map_err(|_| EventError::Value(field))
    }
    fn octets(&mut self) -> Result<Box<[u8]>, EventError> {
        let length = self.u32()? as usize;
        self.take(length).map(Box::from)
    }
    fn text(&mut self) -> Result<Box<str>, EventError> {
        let length = self.u8()? as usize;
        std::str::from_utf8(self.take(length)?).map(Box::from).map_err(|_| EventError::Value("text"))
    }
    fn message(&mut self) -> Result<MessageId, EventError> {
        self.u64().map(MessageId)
    }
    fn carrier(&mut self) -> Result<CarrierId, EventError> {
        self.u16().map(CarrierId)
    }
    fn tried(&mut self) -> Result<Tried, EventError> {
        let count = self.u8()? as usize;
        if count > Tried::new_const().capacity() {
            return Err(EventError::Value("tried carriers"));
        }
        (0..count).map(|_| self.carrier()).collect()
    }
    fn account(&mut self) -> Result<AccountId, EventError> {
        self.u32().map(AccountId)
    }
    fn state(&mut self) -> Result<State, EventError> {
        State::from_u8(self.u8()?).ok_or(EventError::Value("state"))
    }
    fn receipt_state(&mut self) -> Result<ReceiptState, EventError> {
        ReceiptState::from_u8(self.u8()?).ok_or(EventError::Value("receipt state"))
    }
    fn encoding(&mut self) -> Result<Encoding, EventError> {
        Encoding::from_u8(self.u8()?).ok_or(EventError::Value("encoding"))
    }
    fn address(&mut self) -> Result<Address, EventError> {
        Ok(Address { ton: self.u8()?, npi: self.u8()?, digits: self.short("address")? })
    }
    fn body(&mut self) -> Result<Body, EventError> {
        let (encoding, raw_data_coding, header_len) = (self.encoding()?, self.u8()?, self.u8()?);
        let octets = self.octets()?;
        if header_len as usize > octets.len() {
            return Err(EventError::Value("header length"));
        }
        Ok(Body { encoding, raw_data_coding, header_len, octets })
    }
    fn part(&mut self) -> Result<Option<Part>, EventError> {
        let part = Part { reference: self.u16()?, total: self.u8()?, number: self.u8()? };
        match part {
            Part { reference: 0, total: 0, number: 0 } => Ok(None),
            Part { total, number, .. } if number >= 1 && number <= total => Ok(Some(part)),
            _ => Err(EventError::Value("part")),
        }
    }
    fn report(&mut self) -> Result<Report, EventError> {
        report_of(self.u8()?)
    }
    fn key(&mut self) -> Result<DeliveryKey, EventError> {
        Ok(DeliveryKey { message: self.message()?, serial: self.u8()? })
    }
    fn network_error(&mut self) -> Result<Option<[u8; 3]>, EventError> {
        let there = self.flag()?;
        let value = self.array()?;
        match (there, value) {
            (true, value) => Ok(Some(value)),
            (false, [0, 0, 0]) => Ok(None),
            (false, _) => Err(EventError::Value("network error")),
        }
    }
    fn time(&mut self) -> Result<Option<u64>, EventError> {
        Ok(Some(self.u64()?).filter(|&ms| ms != 0))
    }
    fn facts(&mut self) -> Result<ReceiptFacts, EventError> {
        Ok(ReceiptFacts {
            id: self.short("id")?,
            other_id: self.short("other id")?,
            state: self.receipt_state()?,
            stat: self.short("stat")?,
            is_final: self.flag()?,
            error: self.short("error")?,
            network_error: self.network_error()?,
            done_ms: self.time()?,
            submit_ms: self.time()?,
            numbers: [self.u64()?, self.u64()?],
        })
    }
    fn inbound(&mut self) -> Result<Inbound, EventError> {
        Ok(Inbound {
            message: self.message()?,
            source: self.address()?,
            destination: self.address()?,
            body: self.body()?,
            service_type: self.short("service_type")?,
            protocol_id: self.u8()?,
            incomplete: self.flag()?,
            received_ms: self.u64()?,
        })
    }
    fn port_report(&mut self) -> Result<PortReport, EventError> {
        let (message, source, destination, state) = (self.message()?, self.address()?, self.address()?, self.receipt_state()?);
        let flags = Some(self.u8()?).filter(|flags| *flags < 16).ok_or(EventError::Value("flags of a report"))?;
        Ok(PortReport {
            message,
            source,
            destination,
            state,
            intermediate: flags & 1 != 0,
            taken: flags & 4 != 0,
            error: self.short("error")?,
            network_error: self.network_error()?,
            submit_ms: self.u64()?,
            done_ms: self.u64()?,
            parts: self.u8()?,
            parts_delivered: self.u8()?,
            text: self.short("text")?,
            text_encoding: self.encoding()?,
            notes: self.notes(flags & 2 != 0)?,
            carrier: if flags & 8 != 0 { Some(self.carrier()?) } else { None },
        })
    }
    fn accepted(&mut self) -> Result<Message, EventError> {
        let (id, account) = (self.message()?, self.account()?);
        let class = Class::from_u8(self.u8()?).ok_or(EventError::Value("class"))?;
        let addresses = [self.address()?, self.address()?];
        let (number, body) = (self.u64()?, self.body()?);
        let mut message = Message { id, part: self.part()?, ..Message::new(account, class, addresses, number, body) };
        let bits = self.u8()?;
        message.report = report_of(bits & !56)?;
        message.ask_receipt = bits & 32 != 0;
        message.service_type = self.short("service_type")?;
        message.protocol_id = self.u8()?;
        message.priority = self.u8()?;
        message.accepted_ms = self.u64()?;
        message.due_ms = self.u64()?;
        message.expires_ms = self.u64()?;
        message.tlvs = self.octets()?;
        if bits & 8 != 0 {
            message.campaign = CampaignId(self.u32()?);
            message.identity = self.u64()?;
            message.charge = self.u32()?;
            if message.campaign == CampaignId::NONE && message.identity == 0 && message.charge == 0 {
                return Err(EventError::Value("campaign"));
            }
        }
        message.notes = self.notes(bits & 16 != 0)?;
        Ok(message)
    }
    fn list(&mut self) -> Result<ListName, EventError> {
        let kind = *ListKind::ALL.get(self.u8()? as usize).ok_or(EventError::Value("kind of list"))?;
        let level = match self.u8()? {
            0 => Level::Platform,
            1 => Level::Account(self.account()?),
            2 => {
                let written: ArrayVec<u8, 20> = self.short("sender")?;
                let sender = Sender::new(&written).filter(|sender| sender.as_bytes() == written.as_slice());
                Level::Sender(sender.ok_or(EventError::Value("sender"))?)
            }
            _ => return Err(EventError::Value("level of list")),
        };
        Ok(ListName { level, kind })
    }
    /// The one shortest form of each distance, and none of 0.
    fn distance(&mut self) -> Result<u64, EventError> {
        let mut distance = 0;
        for shift in (0..64).step_by(7) {
            let octet = self.u8()?;
            let bits = u64::from(octet & 0x7f);
            if bits << shift >> shift != bits || (octet == 0 && shift > 0) {
                break;
            }
            distance |= bits << shift;
            if octet < 0x80 && distance > 0 {
                return Ok(distance);
            }
            if octet < 0x80 {
                break;
            }
        }
        Err(EventError::Value("distance of numbers"))
    }
    fn numbers(&mut self) -> Result<Vec<u64>, EventError> {
        let count = self.u32()? as usize;
        // Each takes an octet at least: a count beyond that is not believed.
        if count > self.0.len() {
            return Err(EventError::Short);
        }
        let mut numbers = Vec::with_capacity(count);
        let mut before = 0u64;
        for _ in 0..count {
            before = before.checked_add(self.distance()?).ok_or(EventError::Value("distance of numbers"))?;
            numbers.push(before);
        }
        Ok(numbers)
    }
    fn entries(&mut self) -> Result<Vec<(u64, MessageId)>, EventError> {
        let count = self.u32()? as usize;
        let octets = self.take(count.checked_mul(16).ok_or(EventError::Short)?)?;
        let mut at = Reader(octets);
        (0..count).map(|_| Ok((at.u64()?, at.message()?))).collect()
    }
    fn part_receipt(&mut self) -> Result<PartReceipt, EventError> {
        let state = self.receipt_state()?;
        let flags = self.u8()?;
        let error = self.array()?;
        let network_error = self.array()?;
        let done_ms = self.u64()?;
        let network_error = match (flags, network_error) {
            (0..=1, [0, 0, 0]) => None,
            (2..=3, code) => Some(code),
            _ => return Err(EventError::Value("receipt flags")),
        };
        Ok(PartReceipt { state, is_final: flags & 1 != 0, error, network_error, done_ms })
    }
}

fn read(at: &mut Reader<'_>) -> Result<Event, EventError> {
    Ok(match at.u8()? {
        kind::ACCEPTED => Event::Accepted(Box::new(at.accepted()?)),
        kind::ATTEMPT => Event::Attempt { message: at.message()?, carrier: at.carrier()? },
        kind::SENT => Event::Sent {
            message: at.message()?,
            part: at.u8()?,
            parts: at.u8()?,
            carrier: at.carrier()?,
            at_ms: at.u64()?,
            reference: at.u16()?,
            carrier_id: at.short("carrier id")?,
        },
        kind::RECEIPT => Event::Receipt { message: at.message()?, part: at.u8()?, at_ms: at.u64()?, facts: at.part_receipt()? },
        kind::VERDICT => {
            Event::Verdict { message: at.message()?, state: at.state()?, carrier: at.carrier()?, at_ms: at.u64()?, error: at.u32()? }
        }
        kind::HANDED_OVER => Event::HandedOver { key: at.key()?, taken: at.flag()? },
        kind::PARKED => Event::Parked { carrier: at.carrier()?, at_ms: at.u64()?, facts: Box::new(at.facts()?) },
        kind::INBOUND_PART => Event::InboundPart {
            carrier: at.carrier()?,
            at_ms: at.u64()?,
            part: Box::new(InboundPart {
                source: at.address()?,
                destination: at.address()?,
                body: at.body()?,
                part: at.part()?,
                service_type: at.short("service_type")?,
                protocol_id: at.u8()?,
            }),
        },
        kind::INBOUND_READY => {
            Event::InboundReady { carrier: at.carrier()?, account: at.account()?, part: at.part()?, inbound: Box::new(at.inbound()?) }
        }
        kind::REPLACED => Event::Replaced {
            message: at.message()?,
            with: Box::new(Replacement { octets: at.octets()?, due_ms: at.u64()?, expires_ms: at.u64()?, report: at.report()? }),
        },
        kind::OUTBOXED => Event::Outboxed {
            account: at.account()?,
            key: at.key()?,
            at_ms: at.u64()?,
            delivery: Box::new(match at.flag()? {
                false => Delivery::Receipt(at.port_report()?),
                true => Delivery::Inbound(at.inbound()?),
            }),
        },
        kind::FORGOTTEN => Event::Forgotten { message: at.message()? },
        kind::SENT_BEFORE => Event::SentBefore {
            message: at.message()?,
            part: at.u8()?,
            parts: at.u8()?,
            carrier: at.carrier()?,
            at_ms: at.u64()?,
            reference: at.u16()?,
            key: u128::from_le_bytes(at.array()?),
            reported: at.flag()?,
        },
        kind::SETTLED => {
            let (message, carrier, state, reports) = (at.message()?, at.carrier()?, at.state()?, at.u8()?);
            let told = Some(at.u8()?).filter(|flags| *flags < 4).ok_or(EventError::Value("what was told"))?;
            Event::Settled { message, carrier, state, reports, reported_final: told & 1 != 0, told_taken: told & 2 != 0 }
        }
        kind::COOLED => Event::Cooled { chunk: at.u64()?, place: Place::read(&mut at.0).ok_or(EventError::Value("place"))? },
        kind::WARMED => Event::Warmed { chunk: at.u64()? },
        kind::CAMPAIGN => Event::Campaign { campaign: CampaignId(at.u32()?), name: at.text()? },
        kind::RATE => Event::Rate { carrier: at.carrier()?, rate: at.u64()?, said_no: at.u64()? },
        kind::LISTED => Event::Listed { list: at.list()?, add: at.flag()?, numbers: at.numbers()? },
        kind::UNLISTED => Event::Unlisted { list: at.list()? },
        kind::REPLIED => Event::Replied {
            message: at.message()?,
            account: Some(at.account()?).filter(|account| account.0 != u32::MAX),
            list: at.list()?,
            number: at.u64()?,
            back: at.flag()?,
            at_ms: at.u64()?,
        },
        kind::RESERVED => Event::Reserved { message: at.message()?, charge: at.u32()? },
        kind::TOPPED_UP => {
            let (account, change, at_ms) = (at.account()?, at.u64()? as i64, at.u64()?);
            let length = at.u8()? as usize;
            let reason = std::str::from_utf8(at.take(length)?).map_err(|_| EventError::Value("reason"))?;
            Event::ToppedUp { account, change, at_ms, reason: reason.into() }
        }
        kind::FLAGGED => Event::Flagged { message: at.message()?, original: at.message()? },
        kind::REMEMBERED => Event::Remembered {
            account: at.account()?,
            of: Remembered::from_u8(at.u8()?).ok_or(EventError::Value("remembered"))?,
            generation: at.u64()?,
            entries: at.entries()?,
        },
        kind::MOVED => Event::Moved { message: at.message()?, carrier: at.carrier()?, at_ms: at.u64()?, status: at.u32()? },
        kind::REROUTED => {
            Event::Rerouted { message: at.message()?, carrier: at.carrier()?, part: at.u8()?, at_ms: at.u64()?, facts: at.part_receipt()? }
        }
        kind::COPY_RECEIPT => Event::CopyReceipt {
            message: at.message()?,
            carrier: at.carrier()?,
            part: at.u8()?,
            key: u128::from_le_bytes(at.array()?),
            at_ms: at.u64()?,
            facts: at.part_receipt()?,
        },
        kind::SENT_EARLIER => Event::SentEarlier {
            message: at.message()?,
            copy: PastCopy {
                carrier: at.carrier()?,
                part: at.u8()?,
                key: u128::from_le_bytes(at.array()?),
                state: COPY_STATES.get(at.u8()? as usize).copied().ok_or(EventError::Value("copy state"))?,
            },
        },
        kind::PAST => Event::Past {
            message: at.message()?,
            tried: at.tried()?,
            reroutes: at.u8()?,
            whole: at.flag()?,
            failed: if at.flag()? { Some(at.part_receipt()?) } else { None },
        },
        kind::RENAMED => Event::Renamed { pair: at.u64()?, set: at.u64()?, upstream: at.u16()?, reference: at.u16()? },
        kind::CHANGED => Event::Changed { octets: at.octets()? },
        other => return Err(EventError::Kind(other)),
    })
}
