//! What a carrier delivers, as the engine knows it: receipts in its dialect, messages from phones.

use super::body::{default_alphabet, sar};
use super::submit::address;
use crate::config::{IdSource, Profile};
use crate::engine::port::{InboundPart, ReceiptFacts, Received};
use crate::model::Body;
use crate::number::pack;
use crate::smpp::check::ESM_UDHI;
use crate::smpp::pdu::DataSm;
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Sm};
use crate::text::data_coding::DefaultAlphabet;
use crate::text::receipt::{self, Dialect, ParsedReceipt, ReceiptInput, Source};
use crate::text::{transcode, udh};
use arrayvec::ArrayVec;

/// How one carrier's deliveries are read; made once per bind.
#[derive(Debug, Clone)]
pub struct Reader {
    dialect: Dialect,
    zone: jiff::tz::TimeZone,
    default_alphabet: DefaultAlphabet,
}

impl Reader {
    /// The reader of this profile.
    pub fn new(profile: &Profile) -> Reader {
        let habits = &profile.receipts;
        let source = if habits.id_source == IdSource::Text { Source::Text } else { Source::Tlv };
        let dialect = Dialect {
            id_from: source,
            accepted_is_final: habits.accepted_is_final,
            unknown_is_final: habits.unknown_is_final,
            packed: default_alphabet(profile.alphabets.default) == DefaultAlphabet::PackedGsm7,
            ..Dialect::default()
        };
        Reader { dialect, zone: habits.zone.tz().clone(), default_alphabet: default_alphabet(profile.alphabets.default) }
    }

    /// What a deliver_sm is.
    pub fn deliver(&self, sm: &Sm<'_>, now_ms: u64) -> Received {
        let body = sm.body();
        let input = ReceiptInput {
            esm_class: sm.esm_class,
            data_coding: sm.data_coding,
            body,
            receipted_message_id: sm.tlvs.first(tag::RECEIPTED_MESSAGE_ID),
            message_state: sm.tlvs.u8(tag::MESSAGE_STATE),
            network_error_code: sm.tlvs.first(tag::NETWORK_ERROR_CODE),
        };
        if let Some(parsed) = receipt::parse(&input, &self.dialect) {
            return Received::Receipt(Box::new(self.facts(&parsed, sm, now_ms)));
        }
        // An ordinary message; acknowledgements by a phone's user are waited for by nobody.
        if sm.esm_class & 0x3C != 0 {
            return Received::Ignored;
        }
        self.inbound(sm, body).map_or(Received::Ignored, |part| Received::Inbound(Box::new(part)))
    }

    /// What a data_sm is: the same, with the text in message_payload.
    pub fn data(&self, data: &DataSm<'_>, now_ms: u64) -> Received {
        self.deliver(&data.as_sm(), now_ms)
    }

    fn facts(&self, parsed: &ParsedReceipt<'_>, sm: &Sm<'_>, now_ms: u64) -> ReceiptFacts {
        let wall_ms = |date: Option<crate::text::date::ReceiptDate>| date.and_then(|date| date.wall_ms(self.offset_min(now_ms)));
        ReceiptFacts {
            id: cut(&parsed.id),
            other_id: cut(&parsed.other_id),
            state: parsed.state,
            stat: parsed.stat.as_deref().map_or_else(|| cut(parsed.state.stat().as_bytes()), cut),
            is_final: parsed.is_final,
            error: parsed.error.as_deref().map_or_else(|| cut(b"000"), cut),
            network_error: parsed.network_error,
            done_ms: wall_ms(parsed.done_date),
            submit_ms: wall_ms(parsed.submit_date),
            numbers: [packed(sm.source), packed(sm.destination)],
        }
    }

    /// How far the carrier's clock is ahead of UTC by now. The dates of receipts are at most some days old; one that crosses
    /// a change of summer time is an hour off.
    fn offset_min(&self, now_ms: u64) -> i32 {
        let at = i64::try_from(now_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        self.zone.to_offset(at).seconds() / 60
    }

    /// `None` if an address is longer than any that we keep: nobody could own it.
    fn inbound(&self, sm: &Sm<'_>, octets: &[u8]) -> Option<InboundPart> {
        let has_header = sm.esm_class & ESM_UDHI != 0;
        // A header that can't be read is shown as text rather than lost.
        let mut body = transcode::from_wire(octets, sm.data_coding, has_header, self.default_alphabet)
            .or_else(|_| transcode::from_wire(octets, sm.data_coding, false, self.default_alphabet))
            .ok()?;
        let mut part = None;
        if let Ok(header) = udh::parse(body.header()) {
            part = header.concatenation();
            if part.is_some() && header.elements().count() == 1 {
                body = Body { header_len: 0, octets: body.text().into(), ..body };
            }
        }
        Some(InboundPart {
            source: address(sm.source)?,
            destination: address(sm.destination)?,
            body,
            part: part.or_else(|| sar(sm.tlvs)),
            service_type: cut(sm.service_type),
            protocol_id: sm.protocol_id,
        })
    }
}

/// As much of `octets` as fits.
fn cut<const MAX: usize>(octets: &[u8]) -> ArrayVec<u8, MAX> {
    octets.iter().copied().take(MAX).collect()
}

/// The digits of an address as a number, without `+` or `00`; 0 if there are other characters or too many.
fn packed(addr: Addr<'_>) -> u64 {
    let digits = addr.addr.strip_prefix(b"+").or_else(|| addr.addr.strip_prefix(b"00")).unwrap_or(addr.addr);
    pack(digits).unwrap_or(0)
}
