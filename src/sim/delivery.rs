//! What a simulated carrier delivers: receipts and messages from phones, and how they are written into a deliver_sm.

use super::behaviour::{Behaviour, IdForm, ReceiptPlace, scramble};
use crate::config::{SimulatedGrammar, SimulatedWords};
use crate::model::state::ReceiptState;
use crate::smpp::TlvBuf;
use crate::smpp::tlv::tag;
use crate::text::gsm7;
use arrayvec::ArrayVec;

/// A message id as written; at most 64 octets, without terminator.
pub type IdText = ArrayVec<u8, 64>;

/// Writes `id` in `form`.
pub fn write_id(id: u64, form: IdForm) -> IdText {
    let mut out = IdText::new();
    match form {
        IdForm::Decimal => push_decimal(&mut out, id, 1),
        IdForm::Padded => push_decimal(&mut out, id, 10),
        IdForm::Hex => push_hex(&mut out, id, 1, b"0123456789abcdef"),
        IdForm::HexUpper => push_hex(&mut out, id, 1, b"0123456789ABCDEF"),
        IdForm::HexPadded => push_hex(&mut out, id, 8, b"0123456789ABCDEF"),
        IdForm::Uuid => {
            let mut digits: ArrayVec<u8, 32> = ArrayVec::new();
            push_hex(&mut digits, scramble(id), 16, b"0123456789abcdef");
            push_hex(&mut digits, scramble(!id), 16, b"0123456789abcdef");
            for (place, digit) in digits.into_iter().enumerate() {
                if matches!(place, 8 | 12 | 16 | 20) {
                    out.push(b'-');
                }
                out.push(digit);
            }
        }
    }
    out
}

fn push_decimal<const N: usize>(out: &mut ArrayVec<u8, N>, mut number: u64, at_least: usize) {
    let mut digits = [0u8; 20];
    let mut from = digits.len();
    while number > 0 || digits.len() - from < at_least {
        from -= 1;
        digits[from] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend(digits[from..].iter().copied());
}

fn push_hex<const N: usize>(out: &mut ArrayVec<u8, N>, number: u64, at_least: u32, digits: &[u8; 16]) {
    let width = (64 - number.leading_zeros()).div_ceil(4).max(at_least);
    out.extend((0..width).rev().map(|place| digits[(number >> (4 * place)) as usize & 15]));
}

/// A receipt or a message from a phone that waits to be delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Who it seems to come from: for a receipt, the phone.
    pub source: Party,
    /// Whom it goes to.
    pub destination: Party,
    /// What it is.
    pub what: What,
    /// How often it was handed out.
    pub tries: u8,
    /// The text: of a receipt the first octets of the message, else the message. Quoted as it is.
    pub text: ArrayVec<u8, 40>,
}

/// What a [`Delivery`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A report of `state` on message `id`.
    Receipt {
        /// The message's number.
        id: u64,
        /// What is reported.
        state: ReceiptState,
        /// When the message was submitted, wall ms.
        submit_ms: u64,
        /// When it got the state, wall ms.
        done_ms: u64,
    },
    /// A message from a phone, or a part of one.
    Inbound {
        /// The text begins with a user data header.
        has_header: bool,
    },
}

/// An address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// Its characters; cut to twenty.
    pub digits: ArrayVec<u8, 20>,
}

impl Party {
    /// An address of these parts, cut to twenty octets.
    pub fn new(ton: u8, npi: u8, digits: &[u8]) -> Self {
        let mut kept = ArrayVec::new();
        kept.extend(digits.iter().copied().take(20));
        Party { ton, npi, digits: kept }
    }
}

/// What of a deliver_sm differs from one delivery to the next; buffers are reused.
#[derive(Debug, Default)]
pub struct Written {
    /// esm_class.
    pub esm_class: u8,
    /// data_coding.
    pub data_coding: u8,
    /// short_message.
    pub text: ArrayVec<u8, 254>,
    /// The TLV section.
    pub tlvs: TlvBuf,
    /// It goes by data_sm.
    pub data_sm: bool,
}

/// Writes deliveries; remembers the last dates, because most receipts of one batch share them.
#[derive(Debug, Default)]
pub struct Writer {
    dates: [(u64, [u8; 12]); 2],
}

impl Writer {
    /// Writes `delivery` in the manner of `behaviour`.
    pub fn write(&mut self, delivery: &Delivery, behaviour: &Behaviour, out: &mut Written) {
        out.text.clear();
        out.tlvs.clear();
        out.data_coding = 0;
        out.data_sm = false;
        let What::Receipt { id, state, submit_ms, done_ms } = delivery.what else {
            let has_header = delivery.what == What::Inbound { has_header: true };
            out.esm_class = if has_header { 0x40 } else { 0 };
            let header = if has_header { delivery.text.first().map_or(0, |length| usize::from(*length) + 1) } else { 0 };
            let (header, text) = delivery.text.split_at(header.min(delivery.text.len()));
            out.text.extend(header.iter().chain(text).copied());
            pack_text(header.len(), behaviour, &mut out.text);
            return;
        };
        let intermediate = matches!(state, ReceiptState::Enroute | ReceiptState::Scheduled);
        out.esm_class = if intermediate { 0x20 } else { behaviour.receipt_esm_class };
        if behaviour.receipt_place != ReceiptPlace::Text {
            out.tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, &write_id(id, behaviour.id_tlv));
            out.tlvs.u8(tag::MESSAGE_STATE, state as u8);
        }
        if behaviour.receipt_place == ReceiptPlace::Tlv {
            out.data_sm = behaviour.receipt_data_sm;
            return;
        }
        let dates = [self.date(0, submit_ms, behaviour), self.date(1, done_ms, behaviour)];
        let quote = behaviour.receipt_quote.then(|| &delivery.text[..delivery.text.len().min(20)]);
        match behaviour.receipt_grammar {
            SimulatedGrammar::Standard => standard(id, state, &dates, quote, behaviour, &mut out.text),
            SimulatedGrammar::Reordered => reordered(id, state, &dates, quote, behaviour, &mut out.text),
            SimulatedGrammar::Joined => joined(id, state, &dates, quote, behaviour, &mut out.text),
        }
        if behaviour.receipt_data_coding == 8 {
            out.data_coding = 8;
            let narrow = std::mem::take(&mut out.text);
            out.text.extend(narrow.into_iter().flat_map(|octet| [0, octet]).take(254));
        } else {
            pack_text(0, behaviour, &mut out.text);
        }
        out.data_sm = behaviour.receipt_data_sm;
        if behaviour.receipt_payload || out.data_sm {
            out.tlvs.octets(tag::MESSAGE_PAYLOAD, &out.text);
            out.text.clear();
        }
    }

    /// A date on the carrier's clock.
    fn date(&mut self, slot: usize, wall_ms: u64, behaviour: &Behaviour) -> ArrayVec<u8, 14> {
        let second = (wall_ms / 1000).saturating_add_signed(i64::from(behaviour.zone_min) * 60);
        // Minute 0 is 1970; stands for "never used".
        let minute = second / 60;
        let (known, year_to_minute) = &mut self.dates[slot];
        if *known != minute {
            *known = minute;
            *year_to_minute = write_date(minute);
        }
        let mut out = ArrayVec::new();
        let century = if behaviour.receipt_date_digits == 14 { 0 } else { 2 };
        out.extend(year_to_minute[century..].iter().copied());
        if behaviour.receipt_date_digits >= 12 {
            let second = (second % 60) as u8;
            out.extend([b'0' + second / 10, b'0' + second % 10]);
        }
        out
    }
}

/// The word for a state, and the error that goes with it.
fn word(state: ReceiptState, behaviour: &Behaviour) -> (&[u8], &[u8]) {
    let failed = !matches!(state, ReceiptState::Delivered | ReceiptState::Enroute | ReceiptState::Scheduled | ReceiptState::Accepted);
    let word: &[u8] = match (behaviour.receipt_words, state) {
        (SimulatedWords::Codes, _) if failed => b"MK:0012",
        (SimulatedWords::Long, ReceiptState::Delivered) => b"DELIVERED",
        (SimulatedWords::Long, ReceiptState::Undeliverable) => b"UNDELIVERABLE",
        (SimulatedWords::Long, ReceiptState::Accepted) => b"ACCEPTED",
        (SimulatedWords::Long, ReceiptState::Rejected) => b"REJECTED",
        _ => state.stat().as_bytes(),
    };
    (word, behaviour.receipt_errors[usize::from(failed)].as_bytes())
}

type Dates = [ArrayVec<u8, 14>; 2];

/// Puts pieces behind each other, as far as there is room.
fn put(out: &mut ArrayVec<u8, 254>, pieces: &[&[u8]]) {
    let room = out.remaining_capacity();
    out.extend(pieces.iter().flat_map(|piece| piece.iter().copied()).take(room));
}

fn counts(state: ReceiptState) -> &'static [u8] {
    if state == ReceiptState::Delivered { b"001" } else { b"000" }
}

fn standard(id: u64, state: ReceiptState, dates: &Dates, quote: Option<&[u8]>, behaviour: &Behaviour, out: &mut ArrayVec<u8, 254>) {
    let (word, error) = word(state, behaviour);
    put(out, &[b"id:", &write_id(id, behaviour.id_receipt)]);
    if behaviour.receipt_sub_dlvrd {
        put(out, &[b" sub:001 dlvrd:", counts(state)]);
    }
    put(out, &[b" submit date:", &dates[0], b" done date:", &dates[1], b" stat:", word, b" err:", error]);
    // In UCS-2 there is room for half as much; half a label would be read as a part of the error.
    let room = if behaviour.receipt_data_coding == 8 { 127 } else { 254 };
    if let Some(quote) = quote.filter(|_| out.len() + b" text:".len() <= room) {
        put(out, &[b" text:", quote]);
    }
}

fn reordered(id: u64, state: ReceiptState, dates: &Dates, quote: Option<&[u8]>, behaviour: &Behaviour, out: &mut ArrayVec<u8, 254>) {
    let (word, error) = word(state, behaviour);
    put(out, &[b"Stat:", word, b" Err:", error, b" Done Date:", &dates[1], b" Submit Date:", &dates[0]]);
    if behaviour.receipt_sub_dlvrd {
        put(out, &[b" Dlvrd:", counts(state), b" Sub:001"]);
    }
    put(out, &[b" Id:", &write_id(id, behaviour.id_receipt)]);
    if let Some(quote) = quote {
        // Labels in what it quotes are no fields.
        put(out, &[b" Text:", quote, b" id:0 stat:EXPIRED"]);
    }
}

fn joined(id: u64, state: ReceiptState, dates: &Dates, quote: Option<&[u8]>, behaviour: &Behaviour, out: &mut ArrayVec<u8, 254>) {
    let (word, error) = word(state, behaviour);
    put(out, &[b"id=", &write_id(id, behaviour.id_receipt)]);
    if behaviour.receipt_sub_dlvrd {
        put(out, &[b";sub=1;dlvd=", counts(state)]);
    }
    put(out, &[b";submit_date=", &dates[0], b";done_date=", &dates[1], b";status=", word, b";error=", error]);
    if let Some(quote) = quote {
        put(out, &[b";txt=", quote]);
    }
    put(out, &[b"\r\n"]);
}

/// Text in the default alphabet, behind a header of so many octets, as the carrier packs it.
fn pack_text(header: usize, behaviour: &Behaviour, text: &mut ArrayVec<u8, 254>) {
    if behaviour.packed_text {
        let mut packed = text[..header].to_vec();
        gsm7::pack(&text[header..], gsm7::fill_bits(header), true, &mut packed);
        text.clear();
        text.extend(packed.into_iter().take(254));
    }
}

/// `YYYYMMDDhhmm` of a minute since 1970.
fn write_date(minute: u64) -> [u8; 12] {
    let (day, of_day) = (minute / 1440, minute % 1440);
    // Days to a civil date with the year beginning in March, so that the leap day is its last.
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let mut out = [b'0'; 12];
    for (place, value) in [year / 100 % 100, year % 100, month, of_month, of_day / 60, of_day % 60].into_iter().enumerate() {
        out[2 * place] = b'0' + (value / 10) as u8;
        out[2 * place + 1] = b'0' + (value % 10) as u8;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_in_every_form() {
        let written = |form| String::from_utf8(write_id(1_048_715, form).to_vec()).unwrap();
        assert_eq!(written(IdForm::Decimal), "1048715");
        assert_eq!(written(IdForm::Padded), "0001048715");
        assert_eq!(written(IdForm::Hex), "10008b");
        assert_eq!(written(IdForm::HexUpper), "10008B");
        assert_eq!(written(IdForm::HexPadded), "0010008B");
        let uuid = written(IdForm::Uuid);
        assert_eq!((uuid.len(), uuid.matches('-').count()), (36, 4));
        assert_eq!(write_id(0, IdForm::Decimal).as_slice(), b"0");
        assert_eq!(write_id(u64::MAX, IdForm::Decimal).as_slice(), u64::MAX.to_string().as_bytes());
    }

    #[test]
    fn dates_are_civil_dates() {
        assert_eq!(&write_date(0), b"197001010000");
        assert_eq!(&write_date(1_709_164_740 / 60), b"202402282359");
        assert_eq!(&write_date(1_709_251_140 / 60), b"202402292359");
        assert_eq!(&write_date(1_767_225_599 / 60), b"202512312359");
    }

    #[test]
    fn every_grammar_is_one_that_is_met_in_practice() {
        let what = What::Receipt { id: 255, state: ReceiptState::Undeliverable, submit_ms: 1_709_164_740_000, done_ms: 1_709_164_800_000 };
        let delivery =
            Delivery { source: Party::new(1, 1, b"86"), destination: Party::new(0, 0, b"1"), what, tries: 0, text: ArrayVec::new() };
        let written = |grammar, words, data_sm| {
            let behaviour = Behaviour {
                receipt_grammar: grammar,
                receipt_words: words,
                receipt_errors: ["000".into(), "0A3".into()],
                receipt_place: ReceiptPlace::Text,
                receipt_data_sm: data_sm,
                ..Behaviour::default()
            };
            let mut written = Written::default();
            Writer::default().write(&delivery, &behaviour, &mut written);
            let text = if data_sm { written.tlvs.as_tlvs().first(tag::MESSAGE_PAYLOAD).unwrap_or_default() } else { &written.text };
            (String::from_utf8(text.to_vec()).unwrap(), written.text.is_empty())
        };
        let reordered =
            "Stat:UNDELIVERABLE Err:0A3 Done Date:2402290000 Submit Date:2402282359 Dlvrd:000 Sub:001 Id:255 Text: id:0 stat:EXPIRED";
        assert_eq!(written(SimulatedGrammar::Reordered, SimulatedWords::Long, false), (reordered.to_owned(), false));
        let joined = "id=255;sub=1;dlvd=000;submit_date=2402282359;done_date=2402290000;status=MK:0012;error=0A3;txt=\r\n";
        assert_eq!(written(SimulatedGrammar::Joined, SimulatedWords::Codes, true), (joined.to_owned(), true));
    }

    #[test]
    fn a_receipt_is_written_in_text_and_tlvs() {
        let what = What::Receipt { id: 255, state: ReceiptState::Delivered, submit_ms: 1_709_164_740_000, done_ms: 1_709_164_800_000 };
        let mut text = ArrayVec::new();
        text.extend(*b"abcd0000000000000001 and more");
        let delivery =
            Delivery { source: Party::new(1, 1, b"8613800000001"), destination: Party::new(0, 0, b"1069"), what, tries: 0, text };
        let mut behaviour = Behaviour { id_receipt: IdForm::HexUpper, id_tlv: IdForm::HexUpper, zone_min: 480, ..Behaviour::default() };
        let mut written = Written::default();
        Writer::default().write(&delivery, &behaviour, &mut written);
        assert_eq!(
            String::from_utf8(written.text.to_vec()).unwrap(),
            "id:FF sub:001 dlvrd:001 submit date:2402290759 done date:2402290800 stat:DELIVRD err:000 text:abcd0000000000000001"
        );
        assert_eq!(written.tlvs.as_tlvs().raw(), b"\x00\x1e\x00\x03FF\0\x04\x27\x00\x01\x02");
        assert_eq!(written.esm_class, 4);
        behaviour.receipt_place = ReceiptPlace::Tlv;
        Writer::default().write(&delivery, &behaviour, &mut written);
        assert!(written.text.is_empty() && !written.tlvs.as_tlvs().is_empty());
    }
}
