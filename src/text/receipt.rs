//! Receipts as text (SMPP v3.4 Appendix B and the dialects met in practice): read from carriers, written for
//! upstream. Finding the message that a receipt means, and whether the step is legal, are left to `engine/receipts`.

use super::data_coding::{self, Alphabet};
use super::date::{self, ReceiptDate};
use super::tables::LATIN_TO_SEPTET;
use super::{gsm7, shift::Shifts, udh};
use crate::model::Encoding;
use crate::model::state::ReceiptState;
use std::borrow::Cow;

/// What a deliver_sm or data_sm says, as far as a receipt may be in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceiptInput<'a> {
    /// esm_class: message type, and whether the body starts with a header.
    pub esm_class: u8,
    /// data_coding of the body.
    pub data_coding: u8,
    /// short_message or message_payload, with the header if there is one.
    pub body: &'a [u8],
    /// receipted_message_id, with or without its NUL.
    pub receipted_message_id: Option<&'a [u8]>,
    /// message_state.
    pub message_state: Option<u8>,
    /// network_error_code, any length.
    pub network_error_code: Option<&'a [u8]>,
}

/// Where a value stood, or where it is preferred from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A TLV.
    Tlv,
    /// The text.
    Text,
}

impl Source {
    /// `tlv` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Tlv => "tlv",
            Source::Text => "text",
        }
    }
}

/// One carrier's way of writing receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Which id is of record where both are there.
    pub id_from: Source,
    /// Which state counts where both are there.
    pub state_from: Source,
    /// ACCEPTED is final.
    pub accepted_is_final: bool,
    /// UNKNOWN is final.
    pub unknown_is_final: bool,
    /// Texts in the default alphabet are packed, eight septets in seven octets.
    pub packed: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { id_from: Source::Tlv, state_from: Source::Tlv, accepted_is_final: false, unknown_is_final: false, packed: false }
    }
}

/// A receipt, read. Borrowed from the PDU except where its text had to be decoded first (then it is UTF-8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedReceipt<'a> {
    /// The id of record, as written; empty if there is none.
    pub id: Cow<'a, [u8]>,
    /// Where it stood.
    pub id_source: Option<Source>,
    /// The id from the other place, if it was there too and differs; else empty.
    pub other_id: Cow<'a, [u8]>,
    /// Messages submitted.
    pub sub: Option<u16>,
    /// Messages delivered.
    pub dlvrd: Option<u16>,
    /// submit date.
    pub submit_date: Option<ReceiptDate>,
    /// done date.
    pub done_date: Option<ReceiptDate>,
    /// The state word as written.
    pub stat: Option<Cow<'a, [u8]>>,
    /// The state; UNKNOWN if none was said.
    pub state: ReceiptState,
    /// Where the state stood.
    pub state_source: Option<Source>,
    /// Final by state, message type and dialect.
    pub is_final: bool,
    /// The message type said that this is an intermediate notification.
    pub intermediate: bool,
    /// The error as written; not always a number.
    pub error: Option<Cow<'a, [u8]>>,
    /// network_error_code: type, and the code in two octets.
    pub network_error: Option<[u8; 3]>,
    /// The start of the message's text.
    pub text: Option<Cow<'a, [u8]>>,
}

/// Reads a receipt; `None` if this is a message from a phone or an acknowledgement of one. With the receipt bit it is
/// one whatever it contains; without it only if the id TLV is there or the text has both id and stat.
pub fn parse<'a>(input: &ReceiptInput<'a>, dialect: &Dialect) -> Option<ParsedReceipt<'a>> {
    let message_type = input.esm_class >> 2 & 0x0F;
    if !matches!(message_type, 0 | 1 | 8) {
        return None;
    }
    let tlv_id = input.receipted_message_id.map(trim).filter(|id| !id.is_empty());
    let body = without_header(input.esm_class, input.body);
    let fields = match decoded(input.data_coding, body, dialect) {
        Cow::Borrowed(text) => fields(text).map(Cow::Borrowed),
        Cow::Owned(text) => fields(&text).map(|value| Cow::Owned(value.to_vec())),
    };
    let has = |field| fields.get(field).is_some_and(|value| !value.is_empty());
    if message_type == 0 && tlv_id.is_none() && !(has(ID) && has(STAT)) {
        return None;
    }
    Some(assemble(input, dialect, message_type == 8, tlv_id, fields))
}

fn assemble<'a>(
    input: &ReceiptInput<'a>,
    dialect: &Dialect,
    intermediate: bool,
    tlv_id: Option<&'a [u8]>,
    mut fields: Fields<Cow<'a, [u8]>>,
) -> ParsedReceipt<'a> {
    let text_id = fields.take(ID).filter(|id| !id.is_empty());
    let (id, id_source, other_id) = match (tlv_id, text_id) {
        (Some(tlv), Some(text)) if dialect.id_from == Source::Tlv => (Cow::Borrowed(tlv), Some(Source::Tlv), text),
        (Some(tlv), Some(text)) => (text, Some(Source::Text), Cow::Borrowed(tlv)),
        (Some(tlv), None) => (Cow::Borrowed(tlv), Some(Source::Tlv), Cow::default()),
        (None, Some(text)) => (text, Some(Source::Text), Cow::default()),
        (None, None) => (Cow::default(), None, Cow::default()),
    };
    let other_id = if other_id == id { Cow::default() } else { other_id };
    let stat = fields.take(STAT).filter(|stat| !stat.is_empty());
    let tlv_state = input.message_state.and_then(ReceiptState::from_u8).map(|state| (state, Some(Source::Tlv)));
    let text_state = stat.as_deref().map(|stat| (state_of(stat), Some(Source::Text)));
    let (state, state_source) = match dialect.state_from {
        Source::Tlv => tlv_state.or(text_state),
        Source::Text => text_state.or(tlv_state),
    }
    .unwrap_or((ReceiptState::Unknown, None));
    let is_final = match state {
        ReceiptState::Accepted => dialect.accepted_is_final,
        ReceiptState::Unknown => dialect.unknown_is_final,
        state => state.is_final(),
    };
    ParsedReceipt {
        id,
        id_source,
        other_id,
        sub: fields.get(SUB).and_then(count),
        dlvrd: fields.get(DLVRD).and_then(count),
        submit_date: fields.get(SUBMIT_DATE).and_then(date::parse),
        done_date: fields.get(DONE_DATE).and_then(date::parse),
        stat,
        state,
        state_source,
        is_final: is_final && !intermediate,
        intermediate,
        error: fields.take(ERROR).filter(|error| !error.is_empty()),
        network_error: input.network_error_code.and_then(|code| code.try_into().ok()),
        text: fields.take(TEXT),
    }
}

/// The body behind its header, if esm_class says that there is one and it can be read.
fn without_header(esm_class: u8, body: &[u8]) -> &[u8] {
    if esm_class & 0x40 == 0 {
        return body;
    }
    udh::parse(body).map_or(body, |header| &body[header.octets()..])
}

/// Octets in which labels can be looked for: as they are, or decoded into UTF-8 (UCS-2) or septets (packed).
fn decoded<'a>(data_coding: u8, body: &'a [u8], dialect: &Dialect) -> Cow<'a, [u8]> {
    let alphabet = if data_coding == 0 { Alphabet::Default } else { data_coding::read(data_coding).alphabet };
    match alphabet {
        // Some peers say UCS-2 and send ASCII, in which no octet is 0; a label in UCS-2 always has some.
        Alphabet::Ucs2 if trim_end(body).contains(&0) => Cow::Owned(super::utf16::decode(body).into_bytes()),
        Alphabet::Default if dialect.packed => {
            let mut septets = Vec::with_capacity(body.len() * 8 / 7);
            gsm7::unpack_all(body, 0, &mut septets);
            Cow::Owned(septets)
        }
        _ => Cow::Borrowed(body),
    }
}

const ID: usize = 0;
const SUB: usize = 1;
const DLVRD: usize = 2;
const SUBMIT_DATE: usize = 3;
const DONE_DATE: usize = 4;
const STAT: usize = 5;
const ERROR: usize = 6;
const TEXT: usize = 7;
const FIELDS: usize = 8;

/// Values by field; the first occurrence of each.
struct Fields<V>([Option<V>; FIELDS]);

impl<V: AsRef<[u8]>> Fields<V> {
    fn get(&self, field: usize) -> Option<&[u8]> {
        self.0[field].as_ref().map(AsRef::as_ref)
    }

    fn take(&mut self, field: usize) -> Option<V> {
        self.0[field].take()
    }

    fn map<W>(self, change: impl FnMut(V) -> W + Copy) -> Fields<W> {
        Fields(self.0.map(|value| value.map(change)))
    }
}

/// Finds the labels. A value runs to the next label and is trimmed; `text` takes all the rest.
fn fields(text: &[u8]) -> Fields<&[u8]> {
    let mut values = Fields([None; FIELDS]);
    let mut open: Option<(usize, usize)> = None;
    let mut at = 0;
    while let Some(step) = text[at..].iter().position(|&octet| octet == b':' || octet == b'=') {
        let sign = at + step;
        at = sign + 1;
        let Some((field, label)) = label_before(&text[..sign]) else { continue };
        close(&mut values, open, text, label);
        open = Some((field, at));
        if field == TEXT {
            values.0[TEXT] = Some(trim_end(&text[at..]));
            return values;
        }
    }
    close(&mut values, open, text, text.len());
    values
}

fn close<'a>(values: &mut Fields<&'a [u8]>, open: Option<(usize, usize)>, text: &'a [u8], end: usize) {
    if let Some((field, start)) = open
        && values.0[field].is_none()
    {
        values.0[field] = Some(trim(&text[start..end]));
    }
}

/// The label that ends `text` (blanks may follow it): its field and where it starts. A label stands at the start or
/// behind a blank or one of `, ; | &`; it holds no sign that ends labels, so it never reaches into the one before.
fn label_before(text: &[u8]) -> Option<(usize, usize)> {
    let mut end = text.len();
    while end > 0 && (text[end - 1] == b' ' || text[end - 1] == b'\t') {
        end -= 1;
    }
    let text = &text[..end];
    let (field, label): (usize, &[u8]) = match text.last()? | 0x20 {
        b'd' if ends(text, b"id") => (ID, b"id"),
        b'd' if ends(text, b"dlvrd") => (DLVRD, b"dlvrd"),
        b'd' if ends(text, b"dlvd") => (DLVRD, b"dlvd"),
        b'b' if ends(text, b"sub") => (SUB, b"sub"),
        b't' if ends(text, b"stat") => (STAT, b"stat"),
        b't' if ends(text, b"text") => (TEXT, b"text"),
        b't' if ends(text, b"txt") => (TEXT, b"txt"),
        b'r' if ends(text, b"err") => (ERROR, b"err"),
        b'r' if ends(text, b"error") => (ERROR, b"error"),
        b's' if ends(text, b"status") => (STAT, b"status"),
        b'e' => return date_label_before(text),
        _ => return None,
    };
    after_separator(text, text.len() - label.len()).map(|start| (field, start))
}

/// `submit date`, `done_date`, `submitdate` and the like. In GSM 7-bit text an underscore is the octet 0x11.
fn date_label_before(text: &[u8]) -> Option<(usize, usize)> {
    if !ends(text, b"date") {
        return None;
    }
    let mut end = text.len() - 4;
    while end > 0 && matches!(text[end - 1], b' ' | b'_' | 0x11) {
        end -= 1;
    }
    let head = &text[..end];
    let (field, length) = if ends(head, b"submit") {
        (SUBMIT_DATE, 6)
    } else if ends(head, b"done") {
        (DONE_DATE, 4)
    } else {
        return None;
    };
    after_separator(text, end - length).map(|start| (field, start))
}

fn ends(text: &[u8], label: &[u8]) -> bool {
    text.len() >= label.len() && text[text.len() - label.len()..].eq_ignore_ascii_case(label)
}

fn after_separator(text: &[u8], start: usize) -> Option<usize> {
    (start == 0 || is_separator(text[start - 1])).then_some(start)
}

fn is_separator(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0x0B | 0x0C | b',' | b';' | b'|' | b'&' | 0)
}

fn trim(value: &[u8]) -> &[u8] {
    let mut value = value;
    while let [first, rest @ ..] = value
        && is_separator(*first)
    {
        value = rest;
    }
    while let [rest @ .., last] = value
        && is_separator(*last)
    {
        value = rest;
    }
    value
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., 0 | b'\r' | b'\n'] = text {
        text = rest;
    }
    text
}

fn count(value: &[u8]) -> Option<u16> {
    if value.is_empty() || value.len() > 5 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    u16::try_from(value.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))).ok()
}

/// The state of a state word.
pub fn state_of(stat: &[u8]) -> ReceiptState {
    let mut upper = [0u8; 16];
    let Some(word) = upper.get_mut(..stat.len()) else { return ReceiptState::Unknown };
    word.copy_from_slice(stat);
    word.make_ascii_uppercase();
    match &*word {
        b"DELIVRD" | b"DELIVERED" | b"DELIVERD" | b"DELIVRED" | b"DELVRD" | b"DELIVERY" => ReceiptState::Delivered,
        b"UNDELIV" | b"UNDELIVERABLE" | b"UNDELIVERED" | b"UNDELIVRD" | b"UNDLVRD" | b"FAILED" | b"FAIL" => ReceiptState::Undeliverable,
        b"EXPIRED" | b"EXPIRD" | b"EXPRD" => ReceiptState::Expired,
        b"REJECTD" | b"REJECTED" | b"REJECT" | b"REJCTED" => ReceiptState::Rejected,
        b"DELETED" | b"DELETD" => ReceiptState::Deleted,
        b"ACCEPTD" | b"ACCEPTED" | b"ACCEPT" | b"ACKED" => ReceiptState::Accepted,
        b"ENROUTE" | b"EN_ROUTE" | b"BUFFRED" | b"BUFFERD" | b"BUFFERED" | b"QUEUED" => ReceiptState::Enroute,
        b"SCHEDLD" | b"SCHEDULED" => ReceiptState::Scheduled,
        b"SKIPPED" => ReceiptState::Skipped,
        [digit @ b'0'..=b'9'] => ReceiptState::from_u8(digit - b'0').unwrap_or(ReceiptState::Unknown),
        // Codes of Chinese gateways (MA:0001, MK:0012): failures. The word itself is kept for the sender.
        [a, b, b':', code @ ..] if a.is_ascii_uppercase() && b.is_ascii_uppercase() && code.len() == 4 => ReceiptState::Undeliverable,
        _ => ReceiptState::Unknown,
    }
}

/// A receipt to be written for upstream.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptText<'a> {
    /// The id, exactly as the answer gave it.
    pub id: &'a [u8],
    /// Parts submitted.
    pub sub: u16,
    /// Parts delivered.
    pub dlvrd: u16,
    /// When it was submitted, wall milliseconds.
    pub submit_ms: u64,
    /// When it got this state, wall milliseconds.
    pub done_ms: u64,
    /// Minutes by which the account's clock is ahead of UTC.
    pub zone_offset_min: i32,
    /// Dates of 12 digits, with seconds; else of 10.
    pub with_seconds: bool,
    /// The state.
    pub state: ReceiptState,
    /// The error; its last three characters are written, padded with zeros.
    pub error: &'a [u8],
    /// The start of the message's text, its header left out; at most 20 characters of it are written.
    pub text: &'a [u8],
    /// How `text` is to be read.
    pub text_encoding: Encoding,
}

/// Characters of the text that a receipt shows.
pub const TEXT_CHARACTERS: usize = 20;

/// Appends the text of Appendix B in the default alphabet, one septet per octet.
pub fn write_receipt(receipt: &ReceiptText<'_>, out: &mut Vec<u8>) {
    out.reserve(128 + receipt.id.len());
    out.extend_from_slice(b"id:");
    out.extend_from_slice(receipt.id);
    out.extend_from_slice(b" sub:");
    three(receipt.sub, out);
    out.extend_from_slice(b" dlvrd:");
    three(receipt.dlvrd, out);
    out.extend_from_slice(b" submit date:");
    date::write(receipt.submit_ms, receipt.zone_offset_min, receipt.with_seconds, out);
    out.extend_from_slice(b" done date:");
    date::write(receipt.done_ms, receipt.zone_offset_min, receipt.with_seconds, out);
    out.extend_from_slice(b" stat:");
    out.extend_from_slice(receipt.state.stat().as_bytes());
    out.extend_from_slice(b" err:");
    let error = &receipt.error[receipt.error.len().saturating_sub(3)..];
    out.extend_from_slice(&b"000"[error.len()..]);
    out.extend_from_slice(error);
    out.extend_from_slice(b" text:");
    write_excerpt(receipt.text, receipt.text_encoding, out);
}

fn three(value: u16, out: &mut Vec<u8>) {
    let value = value.min(999);
    out.extend([b'0' + (value / 100) as u8, b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// Appends up to 20 characters as septets; what has no septet becomes a question mark.
fn write_excerpt(text: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    let mut put = |septet: Option<u8>| match septet {
        Some(septet) if septet > 0x7F => out.extend([gsm7::ESCAPE, septet & 0x7F]),
        other => out.push(other.unwrap_or(b'?')),
    };
    match encoding {
        Encoding::Gsm7 => {
            let mut end = 0;
            for _ in 0..TEXT_CHARACTERS {
                end += if text.get(end) == Some(&gsm7::ESCAPE) { 2 } else { 1 };
            }
            out.extend_from_slice(if end <= text.len() { &text[..end] } else { text });
        }
        Encoding::Latin1 => {
            for &octet in text.iter().take(TEXT_CHARACTERS) {
                put(Some(LATIN_TO_SEPTET[octet as usize]).filter(|&septet| septet != 0xFF));
            }
        }
        Encoding::Ucs2 => {
            for character in super::utf16::characters(text).take(TEXT_CHARACTERS) {
                put(gsm7::septet(character, Shifts::NONE));
            }
        }
        Encoding::Binary | Encoding::Opaque => {}
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
