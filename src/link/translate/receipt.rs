//! Our reports in the form that each account asks for (SMPP v3.4 Appendix B and the TLVs of section 5.3.2), and messages
//! from phones as deliver_sm. Reading carriers' receipts is left to `text/receipt`.

use super::body::for_client;
use crate::config::{AccountReceipts, ReceiptIdForm};
use crate::engine::port::{Inbound, Report};
use crate::model::{Address, Encoding, MessageId};
use crate::smpp::check::ESM_UDHI;
use crate::smpp::pdu::DataSm;
use crate::smpp::time::{self, TIME_LEN};
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Pdu, Sm, TlvBuf};
use crate::text::data_coding::DefaultAlphabet;
use arrayvec::ArrayVec;

/// esm_class of a final receipt (5.2.12).
const FINAL_RECEIPT: u8 = 0x04;
/// esm_class of an intermediate notification.
const INTERMEDIATE: u8 = 0x20;
/// Longest short_message that every version takes.
const SHORT_MESSAGE_MAX: usize = 254;

/// Longest body that goes as message_payload, octets: twice as long in UTF-16 it still fits the length field.
const PAYLOAD_MAX: usize = 32_767;

/// A message id as a client sees it, in submit_sm_resp and receipts alike: octet for octet the same.
pub type ClientMessageId = ArrayVec<u8, 19>;

/// Writes `id` in this form.
pub fn message_id(id: MessageId, form: ReceiptIdForm) -> ClientMessageId {
    match form {
        ReceiptIdForm::Decimal => ClientMessageId::from(id.digits()),
        ReceiptIdForm::Hex => {
            let nibbles = (0..16).rev().map(|place| b"0123456789abcdef"[(id.0 >> (place * 4) & 0xF) as usize]);
            nibbles.collect()
        }
    }
}

/// Reads an id that a client sends back in this form.
pub fn parse_message_id(text: &[u8], form: ReceiptIdForm) -> Option<MessageId> {
    match form {
        ReceiptIdForm::Decimal => MessageId::parse(text),
        ReceiptIdForm::Hex => {
            let text = text.trim_ascii();
            if text.is_empty() || text.len() > 16 {
                return None;
            }
            text.iter().try_fold(0u64, |sum, &digit| Some(sum << 4 | u64::from((digit as char).to_digit(16)?))).map(MessageId)
        }
    }
}

/// Writes deliveries; keeps its buffers and the last dates, so that a receipt costs no allocation.
#[derive(Debug, Default)]
pub struct DeliveryWriter {
    text: Vec<u8>,
    tlvs: TlvBuf,
    submit_date: DateCache,
    done_date: DateCache,
}

impl DeliveryWriter {
    /// The PDU of a report. `tlvs_allowed`: the peer takes TLVs (bound with 0x34 or above); without them everything stands in the text,
    /// whatever the account's settings say.
    pub fn report<'a>(&'a mut self, report: &'a Report, form: &AccountReceipts, tlvs_allowed: bool) -> Pdu<'a> {
        let id = message_id(report.message, form.id);
        self.text.clear();
        self.tlvs.clear();
        if form.text || !tlvs_allowed {
            self.write_text(report, form, &id);
        }
        if form.tlvs && tlvs_allowed {
            self.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, &id);
            self.tlvs.u8(tag::MESSAGE_STATE, report.state as u8);
            if let Some(error) = &report.network_error {
                self.tlvs.octets(tag::NETWORK_ERROR_CODE, error);
            }
        }
        // Source and destination trade places: the report comes from the phone.
        let (source, destination) = (addr(&report.destination), addr(&report.source));
        let esm_class = if report.intermediate { INTERMEDIATE } else { FINAL_RECEIPT };
        if form.data_sm && tlvs_allowed {
            if !self.text.is_empty() {
                self.tlvs.octets(tag::MESSAGE_PAYLOAD, &self.text);
            }
            return Pdu::DataSm(DataSm { source, destination, esm_class, tlvs: self.tlvs.as_tlvs(), ..DataSm::default() });
        }
        Pdu::DeliverSm(Sm { source, destination, esm_class, short_message: &self.text, tlvs: self.tlvs.as_tlvs(), ..Sm::default() })
    }

    fn write_text(&mut self, report: &Report, form: &AccountReceipts, id: &[u8]) {
        let out = &mut self.text;
        out.extend_from_slice(b"id:");
        out.extend_from_slice(id);
        out.extend_from_slice(b" sub:");
        out.extend_from_slice(&three_digits(report.parts));
        out.extend_from_slice(b" dlvrd:");
        out.extend_from_slice(&three_digits(report.parts_delivered));
        out.extend_from_slice(b" submit date:");
        out.extend_from_slice(self.submit_date.digits(report.submit_ms, form));
        out.extend_from_slice(b" done date:");
        out.extend_from_slice(self.done_date.digits(report.done_ms, form));
        out.extend_from_slice(b" stat:");
        out.extend_from_slice(report.state.stat().as_bytes());
        out.extend_from_slice(b" err:");
        out.extend_from_slice(error_text(&report.error, form));
        out.extend_from_slice(b" text:");
        quote(&report.text, report.text_encoding, out);
    }

    /// The PDU of a message from a phone that fits one (see [`fits_one`]). `default`: what the client takes data_coding 0 for.
    pub fn inbound<'a>(&'a mut self, inbound: &'a Inbound, default: DefaultAlphabet) -> Pdu<'a> {
        self.tlvs.clear();
        let data_coding = for_client(&inbound.body, default, &mut self.text);
        let short = self.text.len() <= SHORT_MESSAGE_MAX;
        if !short {
            self.tlvs.octets(tag::MESSAGE_PAYLOAD, &self.text);
        }
        let short_message = if short { &self.text[..] } else { b"" };
        let sm = self::inbound(inbound, short_message, inbound.body.header_len > 0);
        Pdu::DeliverSm(Sm { data_coding, tlvs: self.tlvs.as_tlvs(), ..sm })
    }
}

/// True if `inbound` goes out as one PDU: it is short, or the peer takes message_payload.
pub fn fits_one(inbound: &Inbound, tlvs_allowed: bool) -> bool {
    inbound.body.octets.len() <= SHORT_MESSAGE_MAX || (tlvs_allowed && inbound.body.octets.len() <= PAYLOAD_MAX)
}

/// A deliver_sm of `inbound` with this text in it.
pub fn inbound<'a>(inbound: &'a Inbound, short_message: &'a [u8], has_header: bool) -> Sm<'a> {
    Sm {
        service_type: &inbound.service_type,
        source: addr(&inbound.source),
        destination: addr(&inbound.destination),
        esm_class: if has_header { ESM_UDHI } else { 0 },
        protocol_id: inbound.protocol_id,
        data_coding: inbound.body.raw_data_coding,
        short_message,
        ..Sm::default()
    }
}

/// An address for the wire.
pub fn addr(address: &Address) -> Addr<'_> {
    Addr { ton: address.ton, npi: address.npi, addr: &address.digits }
}

fn three_digits(n: u8) -> [u8; 3] {
    [b'0' + n / 100, b'0' + n / 10 % 10, b'0' + n % 10]
}

fn error_text<'a>(error: &'a [u8], form: &'a AccountReceipts) -> &'a [u8] {
    if form.error_map.is_empty() {
        return error;
    }
    let mapped = std::str::from_utf8(error).ok().and_then(|error| form.error_map.get(error));
    mapped.map_or(error, |text| text.as_bytes())
}

/// The beginning of the text in characters that mean the same in every alphabet that data_coding 0 may be.
fn quote(text: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    let mut put = |unit: u16| {
        let shared = u8::try_from(unit).is_ok_and(|octet| octet.is_ascii_alphanumeric() || b" !\"#%&'()*+,-./:;<=>?".contains(&octet));
        out.push(if shared { unit as u8 } else { b'.' });
    };
    match encoding {
        Encoding::Gsm7 | Encoding::Latin1 => text.iter().take(20).for_each(|&octet| put(u16::from(octet))),
        Encoding::Ucs2 => text.chunks_exact(2).take(20).for_each(|pair| put(u16::from_be_bytes([pair[0], pair[1]]))),
        Encoding::Binary | Encoding::Opaque => {}
    }
}

/// Dates of receipts repeat within a minute (or second): the last one is kept.
#[derive(Debug)]
struct DateCache {
    unit: u64,
    digits: [u8; 12],
}

impl Default for DateCache {
    fn default() -> Self {
        DateCache { unit: u64::MAX, digits: [b'0'; 12] }
    }
}

impl DateCache {
    /// `YYMMDDhhmm` or `YYMMDDhhmmss` of a wall time in the account's zone. One cache serves one account.
    fn digits(&mut self, wall_ms: u64, form: &AccountReceipts) -> &[u8] {
        let seconds = form.date_digits == 12;
        let unit = if seconds { wall_ms / 1000 } else { wall_ms / 60_000 };
        if unit != self.unit {
            self.unit = unit;
            self.digits = zoned_date(wall_ms, form.zone.tz());
        }
        if seconds { &self.digits } else { &self.digits[..10] }
    }
}

/// `YYMMDDhhmmss` of a wall time in a zone; zeros outside of the calendar.
fn zoned_date(wall_ms: u64, zone: &jiff::tz::TimeZone) -> [u8; 12] {
    let Some(at) = i64::try_from(wall_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) else {
        return [b'0'; 12];
    };
    let local = zone.to_datetime(at);
    let mut out = [b'0'; 12];
    let fields = [(local.year() % 100) as i8, local.month(), local.day(), local.hour(), local.minute(), local.second()];
    for (place, value) in fields.into_iter().enumerate() {
        out[place * 2] = b'0' + value as u8 / 10;
        out[place * 2 + 1] = b'0' + value as u8 % 10;
    }
    out
}

/// final_date of a query_sm_resp: the absolute form of section 7.1.1 in UTC; empty for 0.
pub fn absolute_time(wall_ms: u64) -> ArrayVec<u8, TIME_LEN> {
    if wall_ms == 0 {
        return ArrayVec::new();
    }
    time::format_absolute(wall_ms, 0).map(ArrayVec::from).unwrap_or_default()
}
