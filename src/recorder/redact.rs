//! Makes a recorded PDU harmless, octet for octet of the same length: texts become `x`, phone numbers become others, passwords too. What carriers' habits show in
//! (ids, states, dates, alphabets, headers of long texts, statuses) stays.
//!
//! Numbers of nine digits and more keep all but their last eight digits, which become others that depend on a key: the same number becomes the same one
//! throughout a recording, in whatever form it is written, so receipts still belong to their messages. Names and short codes stay.

use super::LIMITS;
use crate::smpp::pdu::Sm;
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Destination, Pdu, Tlvs, decode};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Digits of a number that become others.
const HIDDEN: usize = 8;
/// Octets up to which the value of a TLV says nothing about people.
const SMALL: usize = 4;

/// What stands between words and fields; says nothing by itself.
fn separates(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == 0 || b",;|&".contains(&octet)
}

/// What becomes of a range of octets.
enum What {
    Number,
    /// Octets, each for itself.
    Octets,
    /// UTF-16.
    Units,
}

/// Hides what is personal in PDUs. Keep one for all recordings that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Redactor {
    key: u64,
}

impl Redactor {
    /// Of a key that nobody else knows.
    pub fn new(key: u64) -> Redactor {
        Redactor { key }
    }

    /// Hides what is personal in `pdu`. One that can't be read loses everything printable behind its header.
    pub fn redact(&self, pdu: &mut [u8]) {
        let found = match decode(pdu, &LIMITS) {
            Ok((_, decoded)) => ranges(pdu, &decoded),
            Err(_) => {
                pdu.iter_mut().skip(16).filter(|octet| **octet > 0x20).for_each(|octet| *octet = b'x');
                return;
            }
        };
        for (range, what) in found {
            let place = &mut pdu[range];
            match what {
                What::Number => self.number(place),
                What::Octets => place.iter_mut().filter(|octet| !separates(**octet)).for_each(|octet| *octet = b'x'),
                What::Units => {
                    let hidden = place.chunks_exact_mut(2).filter(|unit| unit[0] != 0 || !separates(unit[1]));
                    hidden.for_each(|unit| unit.copy_from_slice(&[0, b'x']));
                }
            }
        }
    }

    /// Passwords only: of what may be told plainly otherwise.
    pub fn passwords(pdu: &mut [u8]) {
        let range = match decode(pdu, &LIMITS) {
            Ok((_, Pdu::BindTransceiver(bind) | Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind))) => within(pdu, bind.password),
            Ok((_, Pdu::Outbind(bind))) => within(pdu, bind.password),
            _ => None,
        };
        range.into_iter().for_each(|range| pdu[range].fill(b'x'));
    }

    fn number(&self, number: &mut [u8]) {
        let digits: Vec<usize> = (0..number.len()).filter(|&at| number[at].is_ascii_digit()).collect();
        let is_number = digits.len() + usize::from(number.first() == Some(&b'+')) == number.len();
        if !is_number || digits.len() <= HIDDEN {
            return;
        }
        let hidden = &digits[digits.len() - HIDDEN..];
        let last: Vec<u8> = hidden.iter().map(|&at| number[at]).collect();
        let other = format!("{:08}", xxh3_64_with_seed(&last, self.key) % 100_000_000);
        hidden.iter().zip(other.bytes()).for_each(|(&at, digit)| number[at] = digit);
    }
}

/// Where `part` lies in `whole`, if it is a part of it.
fn within(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (!part.is_empty() && start + part.len() <= whole.len()).then(|| start..start + part.len())
}

/// What is personal in a PDU.
fn ranges(whole: &[u8], pdu: &Pdu<'_>) -> Vec<(Range<usize>, What)> {
    let mut found = Vec::new();
    let mut put = |part: &[u8], what: What| {
        if let Some(range) = within(whole, part) {
            found.push((range, what));
        }
    };
    match pdu {
        Pdu::BindTransceiver(bind) | Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) => put(bind.password, What::Octets),
        Pdu::Outbind(bind) => put(bind.password, What::Octets),
        Pdu::SubmitSm(sm) | Pdu::DeliverSm(sm) => of_sm(sm, matches!(pdu, Pdu::DeliverSm(_)), &mut put),
        Pdu::DataSm(data) => of_sm(&data.as_sm(), true, &mut put),
        Pdu::SubmitMulti(multi) => {
            for destination in multi.destinations() {
                if let Destination::Sme(addr) = destination {
                    put(addr.addr, What::Number);
                }
            }
            of_sm(&multi.sm, false, &mut put);
        }
        Pdu::SubmitMultiResp(Some(resp)) => resp.unsuccess.iter().for_each(|one| put(one.destination.addr, What::Number)),
        Pdu::QuerySm(query) => put(query.source.addr, What::Number),
        Pdu::CancelSm(cancel) => [cancel.source, cancel.destination].iter().for_each(|addr: &Addr<'_>| put(addr.addr, What::Number)),
        Pdu::ReplaceSm(replace) => {
            put(replace.source.addr, What::Number);
            put(replace.short_message, What::Octets);
            of_tlvs(&replace.tlvs, &mut put);
        }
        Pdu::AlertNotification(alert) => [alert.source, alert.esme].iter().for_each(|addr: &Addr<'_>| put(addr.addr, What::Number)),
        other => of_tlvs(&other.tlvs(), &mut put),
    }
    found
}

fn of_sm(sm: &Sm<'_>, may_be_receipt: bool, put: &mut dyn FnMut(&[u8], What)) {
    put(sm.source.addr, What::Number);
    put(sm.destination.addr, What::Number);
    of_text(sm.short_message, sm, may_be_receipt, put);
    for tlv in sm.tlvs.iter().filter(|tlv| tlv.tag == tag::MESSAGE_PAYLOAD) {
        of_text(tlv.value, sm, may_be_receipt, put);
    }
    of_tlvs(&sm.tlvs, put);
}

/// A text behind its header; of a receipt all but what is known to be harmless.
fn of_text(body: &[u8], sm: &Sm<'_>, may_be_receipt: bool, put: &mut dyn FnMut(&[u8], What)) {
    let header = if sm.esm_class & 0x40 != 0 { body.first().map_or(0, |length| usize::from(*length) + 1).min(body.len()) } else { 0 };
    let text = &body[header..];
    let wide = sm.data_coding == 8 || sm.data_coding & 0xFC == 0x18;
    let (size, what): (usize, fn() -> What) = if wide { (2, || What::Units) } else { (1, || What::Octets) };
    let narrow: Vec<u8> = match wide {
        true => text.chunks_exact(2).map(|unit| if unit[0] == 0 { unit[1].to_ascii_lowercase() } else { b'?' }).collect(),
        false => text.to_ascii_lowercase(),
    };
    let has = |word: &[u8]| narrow.windows(word.len()).any(|place| place == word);
    let says_so = sm.esm_class >> 2 & 0x0F != 0;
    // What says that it is a receipt and doesn't look like one may be anything: packed text, for example.
    if !(may_be_receipt && has(b"stat") && (says_so || has(b"id"))) {
        return put(text, what());
    }
    let mut from = 0;
    for kept in harmless(&narrow) {
        put(&text[from * size..kept.start * size], what());
        from = kept.end;
    }
    put(&text[(from * size).min(text.len())..], what());
}

/// Labels of a receipt whose value is kept, and those of dates, which may hold a blank.
const LABELS: [&[u8]; 8] = [b"id", b"sub", b"dlvrd", b"dlvd", b"stat", b"status", b"err", b"error"];
const DATES: [&[u8]; 2] = [b"submit", b"done"];

/// Where the known fields of a receipt stand, each with its label, up to the quote of the message. What stands between them may be anything.
fn harmless(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let blanks = |at: usize, also: &[u8]| text[at..].iter().take_while(|c| **c == b' ' || also.contains(c)).count();
    let mut at = 0;
    while at < text.len() {
        if at > 0 && !separates(text[at - 1]) {
            at += 1;
            continue;
        }
        let rest = &text[at..];
        let plain = LABELS.iter().filter(|label| rest.starts_with(label)).map(|label| (label.len(), false));
        let dates = DATES.iter().filter(|label| rest.starts_with(label)).filter_map(|label| {
            let gap = blanks(at + label.len(), b"_\x11");
            rest[label.len() + gap..].starts_with(b"date").then_some((label.len() + gap + 4, true))
        });
        let quote = [&b"text"[..], b"txt"].iter().filter(|label| rest.starts_with(label)).map(|label| (label.len(), false)).next();
        let signed = |&(length, _): &(usize, bool)| matches!(text.get(at + length + blanks(at + length, b"")), Some(b':' | b'='));
        if let Some((length, _)) = quote.filter(|label| signed(label)) {
            found.push(at..at + length + blanks(at + length, b"") + 1);
            return found;
        }
        let Some((length, is_date)) = plain.chain(dates).find(signed) else {
            at += 1;
            continue;
        };
        let sign = at + length + blanks(at + length, b"");
        let value = sign + 1 + blanks(sign + 1, b"");
        let word = |from: usize| from + text[from..].iter().take_while(|&&c| !separates(c)).count();
        let mut end = word(value);
        // 2026-03-01 08:30
        if is_date && end - value == 10 && text[value..end].contains(&b'-') && text.get(end + 3) == Some(&b':') {
            end = word(end + 1);
        }
        found.push(at..end);
        at = end.max(at + 1);
    }
    found
}

/// TLVs that may say something about people.
fn of_tlvs(tlvs: &Tlvs<'_>, put: &mut dyn FnMut(&[u8], What)) {
    let harmless = [tag::MESSAGE_PAYLOAD, tag::RECEIPTED_MESSAGE_ID];
    for tlv in tlvs.iter().filter(|tlv| tlv.value.len() > SMALL && !harmless.contains(&tlv.tag)) {
        put(tlv.value, What::Octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::{Bind, TlvBuf, encode};
    use bytes::BytesMut;

    fn written(pdu: &Pdu<'_>) -> Vec<u8> {
        let mut out = BytesMut::new();
        encode(0, 7, pdu, &mut out);
        out.to_vec()
    }

    /// The PDU after redaction; it has the same length and can still be read.
    fn redacted(pdu: &Pdu<'_>) -> Vec<u8> {
        let before = written(pdu);
        let mut after = before.clone();
        Redactor::new(9).redact(&mut after);
        assert_eq!(before.len(), after.len());
        decode(&after, &LIMITS).unwrap();
        after
    }

    fn holds(octets: &[u8], text: &[u8]) -> bool {
        octets.windows(text.len()).any(|place| place == text)
    }

    fn sm<'a>(number: &'a [u8], text: &'a [u8]) -> Sm<'a> {
        let source = Addr { ton: 5, npi: 0, addr: b"SHOP" };
        Sm { source, destination: Addr { ton: 1, npi: 1, addr: number }, short_message: text, ..Sm::default() }
    }

    #[test]
    fn texts_and_numbers_go_and_names_headers_and_lengths_stay() {
        let mut one = sm(b"8613800138000", b"\x05\x00\x03\x07\x02\x01your code is 4711");
        one.esm_class = 0x40;
        let after = redacted(&Pdu::SubmitSm(one));
        assert!(holds(&after, b"SHOP") && holds(&after, b"\x05\x00\x03\x07\x02\x01xxxx xxxx xx xxxx"));
        assert!(!holds(&after, b"00138000") && !holds(&after, b"4711") && holds(&after, b"86138"));
        let wide: Vec<u8> = "你好 4711".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let after = redacted(&Pdu::SubmitSm(Sm { data_coding: 8, ..sm(b"8613800138000", &wide) }));
        let hidden: Vec<u8> = "xx xxxx".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(holds(&after, &hidden));
    }

    #[test]
    fn the_same_number_becomes_the_same_one_however_it_is_written() {
        let number = |text: &[u8]| {
            let mut number = text.to_vec();
            Redactor::new(9).number(&mut number);
            String::from_utf8(number).unwrap()
        };
        let other = number(b"8613800138000");
        assert!(other.starts_with("86138") && other.len() == 13 && other != "8613800138000", "{other}");
        assert_eq!((number(b"+8613800138000"), number(b"13800138000")), (format!("+{other}"), other[2..].to_owned()));
        assert_eq!((number(b"10690001"), number(b"SHOP 8613800138000")), ("10690001".to_owned(), "SHOP 8613800138000".to_owned()));
    }

    #[test]
    fn a_receipt_keeps_all_but_the_quote_and_the_phone() {
        let text = b"id:0A1 sub:001 dlvrd:001 submit date:2603010830 to:8613800138000 stat:DELIVRD err:0A3 Text:your code is 4711";
        let source = Addr { ton: 1, npi: 1, addr: b"8613800138000" };
        let mut tlvs = TlvBuf::new();
        tlvs.c_octet(tag::RECEIPTED_MESSAGE_ID, b"0A1-long-id");
        let receipt = Sm { source, short_message: text, tlvs: tlvs.as_tlvs(), ..Sm::default() };
        for esm_class in [0, 4] {
            let after = redacted(&Pdu::DeliverSm(Sm { esm_class, ..receipt }));
            assert!(holds(
                &after,
                b"id:0A1 sub:001 dlvrd:001 submit date:2603010830 xxxxxxxxxxxxxxxx stat:DELIVRD err:0A3 Text:xxxx xxxx xx xxxx"
            ));
            assert!(holds(&after, b"0A1-long-id"));
        }
        let wide: Vec<u8> = "id:1 stat:DELIVRD text:你好".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let kept: Vec<u8> = "id:1 stat:DELIVRD text:xx".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(holds(&redacted(&Pdu::DeliverSm(Sm { esm_class: 4, data_coding: 8, short_message: &wide, ..receipt })), &kept));
        let packed = redacted(&Pdu::DeliverSm(Sm { esm_class: 4, short_message: b"\xe9\x32\x1d packed", ..receipt }));
        assert!(holds(&packed, b"xxx xxxxxx"), "what can't be read is hidden");
        let odd = b"id=7,stat=UNDELIV,submit_date=2026-03-01 08:30,err=MA:0001,note=Ada txt=hi";
        let after = redacted(&Pdu::DeliverSm(Sm { esm_class: 4, short_message: odd, ..receipt }));
        assert!(holds(&after, b"id=7,stat=UNDELIV,submit_date=2026-03-01 08:30,err=MA:0001,xxxxxxxx txt=xx"));
        let from_phone = redacted(&Pdu::DeliverSm(Sm { short_message: b"stat: my text", ..receipt }));
        assert!(holds(&from_phone, b"xxxxx xx xxxx"));
    }

    #[test]
    fn passwords_and_long_tlvs_go_even_from_what_can_not_be_read() {
        let bind = Pdu::BindTransceiver(Bind { system_id: b"shop", password: b"s3cret", ..Bind::default() });
        assert!(holds(&redacted(&bind), b"shop\0xxxxxx\0"));
        let mut plain = written(&bind);
        Redactor::passwords(&mut plain);
        assert!(holds(&plain, b"shop\0xxxxxx\0"));
        let mut tlvs = TlvBuf::new();
        tlvs.octets(0x1401, b"who it is");
        let after = redacted(&Pdu::SubmitSm(Sm { tlvs: tlvs.as_tlvs(), ..sm(b"8613800138000", b"x") }));
        assert!(holds(&after, b"xxx xx xx"));
        let mut broken = written(&bind);
        broken.truncate(30);
        broken[3] = 30;
        Redactor::new(1).redact(&mut broken);
        assert!(broken[16..].iter().all(|octet| *octet == b'x' || *octet <= 0x20), "{broken:?}");
    }
}
