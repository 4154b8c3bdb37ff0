//! A glance at the events of a group, for whoever follows messages and not each field: what kind, about which message, when, and the event's own octets. The
//! frequent kinds cost no allocation.

use super::{Event, EventError, Reader, VERSION, kind, read};
use crate::model::notes::Callback;
use crate::model::state::ReceiptState;
use crate::model::{CarrierId, MessageId};
use std::ops::Range;

/// What an event is to somebody who follows messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // every variant has its line; its fields are those of the events
pub enum Glance {
    /// A message was taken. `body`: where in the event's octets its body stands. `report`: which reports it asks for.
    Accepted {
        /// When.
        at_ms: u64,
        /// Encoding to text, all of it.
        body: Range<usize>,
        /// See [`crate::model::Report`]: bits for success, failure, intermediate; and one for [`Callback::wants_taken`].
        report: u8,
    },
    /// A carrier took a part; of so many.
    Sent { at_ms: u64, parts: u8, carrier: CarrierId },
    /// A carrier reported on a part (255: on all).
    Receipt { at_ms: u64, part: u8, state: ReceiptState, is_final: bool },
    /// Our verdict, by the number of its state.
    Verdict { at_ms: u64, state: u8 },
    /// Upstream took a delivery, or it was dropped.
    HandedOver,
    /// Back to the start: a carrier is done with it. `left`: which, if it had taken it before.
    Moved { at_ms: u64, left: Option<CarrierId> },
    /// A late word of a carrier that it left. `delivered`: that it arrived.
    CopyReceipt { at_ms: u64, delivered: bool },
    /// Nothing more is awaited of it.
    Forgotten,
    /// Something else of its life: an attempt, another text, another charge, a mark.
    Note,
    /// Nothing of a message's life; the event itself.
    Other(Box<Event>),
}

/// Walks the events of a group: the message (0: none), the event's octets, and the glance at it.
///
/// # Errors
/// The octets are no events.
pub fn glance(group: &[u8], each: &mut dyn FnMut(MessageId, &[u8], Glance)) -> Result<(), EventError> {
    let mut at = Reader(group);
    while !at.0.is_empty() {
        let version = at.u8()?;
        if version != VERSION {
            return Err(EventError::Version(version));
        }
        at.u64()?;
        let length = at.u32()? as usize;
        let mut events = Reader(at.take(length)?);
        while !events.0.is_empty() {
            let before = events.0;
            let (message, glance) = glance_at(&mut events)?;
            each(message, &before[..before.len() - events.0.len()], glance);
        }
    }
    Ok(())
}

/// The glance at the one event in `octets`, as [`glance`] gave it.
///
/// # Errors
/// It is none.
pub fn glance_one(octets: &[u8]) -> Result<(MessageId, Glance), EventError> {
    glance_at(&mut Reader(octets))
}

/// The first event in `octets`, and the rest.
///
/// # Errors
/// It is none.
pub fn read_one(octets: &[u8]) -> Result<(Event, &[u8]), EventError> {
    let mut at = Reader(octets);
    let event = read(&mut at)?;
    Ok((event, at.0))
}

/// The event in `octets` without the text in it; `None` if it has none. (A body's is cut where [`Glance::Accepted`] says.)
pub fn without_text(octets: &[u8]) -> Option<Vec<u8>> {
    if octets.first() != Some(&kind::REPLACED) {
        return None;
    }
    let (Event::Replaced { message, mut with }, _) = read_one(octets).ok()? else { return None };
    with.octets = Box::default();
    let mut out = Vec::new();
    super::write(&Event::Replaced { message, with }, &mut out);
    Some(out)
}

/// The packed number of the ACCEPTED event at the start of `octets`; `None` if another stands there.
pub fn number_of(octets: &[u8]) -> Option<u64> {
    let mut at = Reader(octets);
    if at.u8().ok()? != kind::ACCEPTED {
        return None;
    }
    at.take(13).ok()?;
    for _ in 0..2 {
        at.take(2).ok()?;
        at.skip_short().ok()?;
    }
    at.u64().ok()
}

impl<'a> Reader<'a> {
    fn skip_short(&mut self) -> Result<&'a [u8], EventError> {
        let length = self.u8()? as usize;
        self.take(length)
    }

    fn skip_octets(&mut self) -> Result<&'a [u8], EventError> {
        let length = self.u32()? as usize;
        self.take(length)
    }
}

fn glance_at(at: &mut Reader<'_>) -> Result<(MessageId, Glance), EventError> {
    let start = at.0;
    Ok(match at.u8()? {
        kind::ACCEPTED => return accepted(start, at),
        kind::SENT => {
            let (message, _, parts) = (at.message()?, at.u8()?, at.u8()?);
            let (carrier, at_ms) = (at.carrier()?, at.u64()?);
            at.u16()?;
            at.skip_short()?;
            (message, Glance::Sent { at_ms, parts, carrier })
        }
        kind::RECEIPT => {
            let (message, part, at_ms) = (at.message()?, at.u8()?, at.u64()?);
            let facts = at.part_receipt()?;
            (message, Glance::Receipt { at_ms, part, state: facts.state, is_final: facts.is_final })
        }
        kind::VERDICT => {
            let (message, state) = (at.message()?, at.u8()?);
            at.u16()?;
            let at_ms = at.u64()?;
            at.u32()?;
            (message, Glance::Verdict { at_ms, state })
        }
        kind::HANDED_OVER => {
            let key = at.key()?;
            at.flag()?;
            (key.message, Glance::HandedOver)
        }
        _ => {
            *at = Reader(start);
            let event = read(at)?;
            let message = event.message().unwrap_or_default();
            let glance = match event {
                Event::Moved { at_ms, .. } => Glance::Moved { at_ms, left: None },
                Event::Rerouted { at_ms, carrier, .. } => Glance::Moved { at_ms, left: Some(carrier) },
                Event::CopyReceipt { at_ms, facts, .. } => {
                    Glance::CopyReceipt { at_ms, delivered: facts.state.message_state() == crate::model::State::Delivered }
                }
                Event::Forgotten { .. } => Glance::Forgotten,
                Event::Flagged { message, .. } => return Ok((message, Glance::Note)),
                Event::Attempt { .. } | Event::Replaced { .. } | Event::Reserved { .. } => Glance::Note,
                other => return Ok((MessageId(0), Glance::Other(Box::new(other)))),
            };
            (message, glance)
        }
    })
}

fn accepted(start: &[u8], at: &mut Reader<'_>) -> Result<(MessageId, Glance), EventError> {
    let message = at.message()?;
    at.take(5)?;
    for _ in 0..2 {
        at.take(2)?;
        at.skip_short()?;
    }
    at.u64()?;
    let from = start.len() - at.0.len();
    at.take(3)?;
    at.skip_octets()?;
    let body = from..start.len() - at.0.len();
    at.take(4)?;
    let bits = at.u8()?;
    at.skip_short()?;
    at.take(2)?;
    let at_ms = at.u64()?;
    at.take(16)?;
    at.skip_octets()?;
    if bits & 8 != 0 {
        at.take(16)?;
    }
    let notes = at.notes(bits & 16 != 0)?;
    let wants_taken = notes.as_ref().and_then(|notes| notes.callback.as_ref()).is_some_and(Callback::wants_taken);
    Ok((message, Glance::Accepted { at_ms, body, report: bits & 7 | u8::from(wants_taken) << 3 }))
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;
    use crate::model::notes::{Keyed, Notes};
    use crate::model::{AccountId, Address, Body, CampaignId, Class, Encoding, Message};

    #[test]
    fn a_glance_at_an_acceptance_ends_where_the_event_does_whatever_the_message_carries() {
        let address = |digits: &[u8]| Address::new(1, 1, digits).unwrap();
        let body = Body { encoding: Encoding::Gsm7, raw_data_coding: 0, header_len: 0, octets: (*b"a text").into() };
        let plain = Message::new(AccountId(1), Class::Otp, [address(b"1069"), address(b"8613800138000")], 77, body);
        let notes = Notes {
            reference: "order 7".into(),
            tags: ["a".into(), "b".into()].into(),
            callback: None,
            keyed: Some(Keyed { key: 5, content: 6 }),
        };
        let rich = Message { campaign: CampaignId(3), charge: 9, tlvs: (*b"tlv").into(), notes: Some(notes.into()), ..plain.clone() };
        for message in [plain, rich] {
            let mut octets = Vec::new();
            write(&Event::Accepted(Box::new(message)), &mut octets);
            let length = octets.len();
            octets.extend_from_slice(b"more");
            let mut at = Reader(&octets);
            let (_, Glance::Accepted { body, .. }) = glance_at(&mut at).unwrap() else { panic!("no acceptance") };
            assert_eq!((octets.len() - at.0.len(), number_of(&octets)), (length, Some(77)));
            assert!(octets[body.clone()].ends_with(b"a text") && body.len() == 3 + 4 + 6);
        }
    }
}
