//! Messages as the submit_sm PDUs that one carrier wants (its profile's shaping). Which carrier, when and whether is the engine's to say.

use super::body::{ForCarrier, carrier_data_coding, default_alphabet, for_carrier};
use crate::config::{AddressForm, AddressShape, Concatenation, OctetRule, Profile, Validity};
use crate::model::message::Part;
use crate::model::{Address, Message};
use crate::number::unpack;
use crate::smpp::check::ESM_UDHI;
use crate::smpp::time::{self, TIME_LEN};
use crate::smpp::tlv::tag;
use crate::smpp::{Addr, Pdu, Sm, TlvBuf, Tlvs};
use crate::text::data_coding::DefaultAlphabet;
use crate::text::segment::{self, PART_OCTETS, SHORT_MESSAGE_MAX, SegmentRule, SegmentView};
use crate::text::shift::{Language, Languages};
use crate::text::{transcode, udh};
use arrayvec::ArrayVec;
use std::sync::Arc;

/// An address after shaping: its form may be longer than what came.
type ShapedDigits = ArrayVec<u8, 20>;

/// Numbers of fewer digits are taken for short codes where nobody says what they are.
const SHORT_CODE_BELOW: usize = 9;
/// Writes submissions to one carrier. Keeps its buffers, so that a message of one part costs no allocation.
#[derive(Debug)]
pub struct SubmitWriter {
    profile: Arc<Profile>,
    home_country_code: u16,
    rule: SegmentRule,
    static_tlvs: TlvBuf,
    tlvs: TlvBuf,
    scratch: Vec<u8>,
    part: PartBuffers,
}

/// What the octets of a part are put together in, where they can't be lent as they are.
#[derive(Debug, Default)]
struct PartBuffers {
    with_header: Vec<u8>,
    rewritten: Vec<u8>,
}

/// One request to send parts of a message.
#[derive(Debug, Clone, Copy)]
pub struct Send<'a> {
    /// The message.
    pub message: &'a Message,
    /// First part to send, from 0.
    pub first_part: u8,
    /// Parts in all, as the engine has counted them.
    pub parts: u8,
    /// Of the concatenation, where we cut.
    pub reference: u16,
    /// The engine wants a receipt for it.
    pub ask_receipt: bool,
    /// Wall time, for what is left of the validity.
    pub now_ms: u64,
    /// The peer takes TLVs.
    pub tlvs_allowed: bool,
}

/// How bodies are cut for this carrier. The engine counts parts by the same rule.
pub fn segment_rule(profile: &Profile) -> SegmentRule {
    let concatenation = match profile.shaping.concatenation {
        Concatenation::Udh8 => segment::Concatenation::Udh8,
        Concatenation::Udh16 => segment::Concatenation::Udh16,
        Concatenation::Sar => segment::Concatenation::Sar,
        Concatenation::Payload => segment::Concatenation::Payload,
    };
    let packed = default_alphabet(profile.alphabets.default) == DefaultAlphabet::PackedGsm7;
    let languages = profile.alphabets.national_tables.iter().filter_map(|&language| Language::from_u8(language as u8));
    let national = languages.fold(Languages::NONE, Languages::with);
    SegmentRule { packed, national, ..SegmentRule::new(concatenation) }
}

impl SubmitWriter {
    /// A writer for this profile. `home_country_code`: what the form `national` cuts off; 0 for none.
    pub fn new(profile: Arc<Profile>, home_country_code: u16) -> SubmitWriter {
        let mut static_tlvs = TlvBuf::new();
        for tlv in &profile.shaping.tlvs {
            static_tlvs.octets(tlv.tag, &tlv.value().unwrap_or_default());
        }
        SubmitWriter {
            rule: segment_rule(&profile),
            profile,
            home_country_code,
            static_tlvs,
            tlvs: TlvBuf::new(),
            scratch: Vec::new(),
            part: PartBuffers::default(),
        }
    }

    /// Hands the submit_sm of each part from `send.first_part` on to `take`, in order, until that says false. Nothing is handed out where
    /// the text would need another number of parts here than the engine has counted.
    pub fn write(&mut self, send: &Send<'_>, mut take: impl FnMut(&Pdu<'_>, u8) -> bool) {
        let SubmitWriter { profile, home_country_code, rule, static_tlvs, tlvs, scratch, part: buffers } = self;
        let message = send.message;
        let shaping = &profile.shaping;
        let change = for_carrier(&message.body, profile, rule, send.parts);
        let body = match &change {
            ForCarrier::Instead(other) if segment::count(other, rule) != usize::from(send.parts) => return,
            ForCarrier::Instead(other) => other,
            ForCarrier::AsIs | ForCarrier::Default(_) => &message.body,
        };
        let default = if let ForCarrier::Default(default) = change { Some(default) } else { None };
        let source = shaped_source(message, shaping);
        let destination = shaped_destination(message, &shaping.destination, *home_country_code);
        let validity = validity(message.expires_ms, send.now_ms, shaping.validity);
        let template = Sm {
            service_type: shaping.service_type.as_ref().map_or(&message.service_type[..], |fixed| fixed.as_bytes()),
            source: source.addr(),
            destination: destination.addr(),
            protocol_id: octet(shaping.protocol_id, message.protocol_id),
            priority_flag: octet(shaping.priority, message.priority),
            validity_period: &validity,
            registered_delivery: registered_delivery(message, shaping.registered_delivery, send.ask_receipt),
            data_coding: carrier_data_coding(body, profile),
            ..Sm::default()
        };
        let outer = upstream_sar(message);
        let mut part = 0u8;
        let mut wanted = true;
        segment::for_each(body, rule, send.reference, scratch, |view| {
            let index = part;
            part = part.saturating_add(1);
            if index < send.first_part || !wanted {
                return;
            }
            let shape = PartShape { profile, view, outer, default, passed: &message.tlvs, static_tlvs, tlvs_allowed: send.tlvs_allowed };
            wanted = take(&shape.pdu(template, tlvs, buffers), index);
        });
    }
}

/// What one part of a message adds to the template of all.
struct PartShape<'a> {
    profile: &'a Profile,
    view: SegmentView<'a>,
    /// The part that upstream named by sar_ TLVs, with no header in the body.
    outer: Option<Part>,
    /// The text is to be rewritten in this alphabet.
    default: Option<DefaultAlphabet>,
    passed: &'a [u8],
    static_tlvs: &'a TlvBuf,
    tlvs_allowed: bool,
}

impl PartShape<'_> {
    fn pdu<'b>(&'b self, template: Sm<'b>, tlvs: &'b mut TlvBuf, buffers: &'b mut PartBuffers) -> Pdu<'b> {
        let PartBuffers { with_header, rewritten } = buffers;
        tlvs.clear();
        let mut octets = self.view.octets;
        let mut has_header = self.view.has_header;
        let mut sar = self.view.sar;
        if let Some(part) = self.outer {
            if self.takes_sar(part, octets.len()) {
                sar = Some((part.reference, part.total, part.number));
            } else {
                let wide = part.reference > 0xFF || self.profile.shaping.concatenation != Concatenation::Udh8;
                with_header.clear();
                let elements = if has_header { &octets[1..=usize::from(octets[0])] } else { &[][..] };
                let text = if has_header { &octets[1 + usize::from(octets[0])..] } else { octets };
                udh::write(Some(part), wide, elements, with_header);
                with_header.extend_from_slice(text);
                octets = with_header;
                has_header = true;
            }
        }
        if let Some(default) = self.default {
            let header_len = if has_header { 1 + usize::from(octets[0]) } else { 0 };
            rewritten.clear();
            rewritten.extend_from_slice(&octets[..header_len]);
            // It fits: `for_carrier` has looked.
            transcode::to_default(&octets[header_len..], default, rewritten);
            octets = rewritten;
        }
        if let Some((reference, total, number)) = sar {
            tlvs.u16(tag::SAR_MSG_REF_NUM, reference);
            tlvs.u8(tag::SAR_TOTAL_SEGMENTS, total);
            tlvs.u8(tag::SAR_SEGMENT_SEQNUM, number);
        }
        let payload = self.tlvs_allowed && (self.view.payload || octets.len() > SHORT_MESSAGE_MAX);
        if payload {
            tlvs.octets(tag::MESSAGE_PAYLOAD, octets);
        }
        append(tlvs, self.static_tlvs.as_tlvs());
        self.append_passed(tlvs);
        let esm_class = if has_header { ESM_UDHI } else { 0 };
        Pdu::SubmitSm(Sm { esm_class, short_message: if payload { b"" } else { octets }, tlvs: tlvs.as_tlvs(), ..template })
    }

    /// Whether upstream's sar_ TLVs stay what they are: the carrier wants them so, or a header has no room.
    fn takes_sar(&self, part: Part, octets: usize) -> bool {
        let header = if part.reference > 0xFF { 7 } else { 6 };
        self.tlvs_allowed && (self.profile.shaping.concatenation == Concatenation::Sar || octets + header > PART_OCTETS)
    }

    fn append_passed(&self, tlvs: &mut TlvBuf) {
        let allowed = &self.profile.shaping.pass_tlvs;
        if self.passed.is_empty() || allowed.is_empty() {
            return;
        }
        if let Ok(passed) = Tlvs::from_raw(self.passed) {
            for tlv in passed.iter().filter(|tlv| allowed.contains(&tlv.tag)) {
                tlvs.octets(tlv.tag, tlv.value);
            }
        }
    }
}

fn append(tlvs: &mut TlvBuf, more: Tlvs<'_>) {
    for tlv in more {
        tlvs.octets(tlv.tag, tlv.value);
    }
}

/// The part that upstream named by TLVs: the body's own header doesn't name one.
fn upstream_sar(message: &Message) -> Option<Part> {
    let part = message.part?;
    let in_header = message.body.header_len > 0 && udh::parse(message.body.header()).is_ok_and(|header| header.concatenation().is_some());
    (!in_header).then_some(part)
}

fn octet(rule: OctetRule, upstream: u8) -> u8 {
    match rule {
        OctetRule::Fixed(value) => value,
        OctetRule::Keep | OctetRule::Auto => upstream,
    }
}

fn registered_delivery(message: &Message, rule: OctetRule, ask_receipt: bool) -> u8 {
    match rule {
        OctetRule::Fixed(value) => value,
        OctetRule::Auto => u8::from(ask_receipt),
        OctetRule::Keep if !ask_receipt => 0,
        OctetRule::Keep => {
            let final_report = match (message.report.on_success, message.report.on_failure) {
                _ if message.ask_receipt => 1,
                (true, false) => 3,
                (false, true) => 2,
                (true, true) => 1,
                (false, false) => 0,
            };
            final_report | if message.report.intermediate { 0x10 } else { 0 }
        }
    }
}

/// An address in the form of one carrier.
struct Shaped {
    ton: u8,
    npi: u8,
    digits: ShapedDigits,
}

impl Shaped {
    fn addr(&self) -> Addr<'_> {
        Addr { ton: self.ton, npi: self.npi, addr: &self.digits }
    }

    fn of(address: &Address) -> Shaped {
        Shaped { ton: address.ton, npi: address.npi, digits: address.digits.clone() }
    }
}

/// What the characters of an address are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    International,
    National,
    ShortCode,
    Name,
}

fn kind(address: &Address) -> Kind {
    let digits = address.as_bytes();
    let plain = digits.strip_prefix(b"+").unwrap_or(digits);
    if address.ton == 5 || plain.is_empty() || !plain.iter().all(u8::is_ascii_digit) {
        return Kind::Name;
    }
    match address.ton {
        1 => Kind::International,
        2 => Kind::National,
        3 | 6 => Kind::ShortCode,
        _ if plain.len() < digits.len() || digits.starts_with(b"00") || plain.len() >= SHORT_CODE_BELOW => Kind::International,
        _ => Kind::ShortCode,
    }
}

fn shaped_source(message: &Message, shaping: &crate::config::Shaping) -> Shaped {
    let shape = &shaping.source;
    if message.source.digits.is_empty() {
        let sender = Address::new(0, 0, shaping.default_sender.as_bytes()).unwrap_or_default();
        return if sender.digits.is_empty() { Shaped::of(&message.source) } else { shaped(&sender, shape, 0, None) };
    }
    shaped(&message.source, shape, 0, None)
}

fn shaped_destination(message: &Message, shape: &AddressShape, home: u16) -> Shaped {
    let number = (message.number != 0).then_some(message.number);
    shaped(&message.destination, shape, home, number)
}

/// `number`: the E.164 digits where they are known.
fn shaped(address: &Address, shape: &AddressShape, home: u16, number: Option<u64>) -> Shaped {
    let kind = if number.is_some() { Kind::International } else { kind(address) };
    let mut national = kind == Kind::National;
    let digits = if kind == Kind::International && shape.form != AddressForm::Keep {
        let plain = number.map_or_else(|| plain_digits(address), |number| unpack(number).iter().copied().collect());
        let (form, is_national) = formed(&plain, shape, home);
        national = is_national;
        form
    } else {
        prefixed(&shape.prefix, kind != Kind::Name, address.as_bytes())
    };
    let (auto_ton, auto_npi) = match kind {
        Kind::Name => (5, 0),
        Kind::ShortCode => (shape.short_code_ton, 1),
        Kind::International | Kind::National => (if national { 2 } else { 1 }, 1),
    };
    let empty_name = kind == Kind::Name && digits.is_empty();
    Shaped {
        ton: resolved(shape.ton, address.ton, if empty_name { 0 } else { auto_ton }),
        npi: resolved(shape.npi, address.npi, auto_npi),
        digits,
    }
}

fn resolved(rule: OctetRule, upstream: u8, auto: u8) -> u8 {
    match rule {
        OctetRule::Keep => upstream,
        OctetRule::Auto => auto,
        OctetRule::Fixed(value) => value,
    }
}

/// International digits without `+` or `00`.
fn plain_digits(address: &Address) -> ShapedDigits {
    let digits = address.as_bytes();
    let plain = digits.strip_prefix(b"+").or_else(|| digits.strip_prefix(b"00")).unwrap_or(digits);
    plain.iter().copied().collect()
}

/// Digits in the wanted form, and whether they are national now.
fn formed(plain: &[u8], shape: &AddressShape, home: u16) -> (ShapedDigits, bool) {
    let mut lead: &[u8] = b"";
    let mut rest = plain;
    let mut national = false;
    match shape.form {
        AddressForm::Keep | AddressForm::Digits => {}
        AddressForm::Plus => lead = b"+",
        AddressForm::Zeros => lead = b"00",
        AddressForm::National => {
            if let Some(local) = without_code(plain, home) {
                rest = local;
                national = true;
            }
        }
    }
    let mut out = prefixed(&shape.prefix, true, lead);
    out.extend(rest.iter().copied().take(out.remaining_capacity()));
    (out, national)
}

/// What follows the country code `home`, if the number begins with it.
fn without_code(plain: &[u8], home: u16) -> Option<&[u8]> {
    let mut digits = ArrayVec::<u8, 5>::new();
    let mut rest = home;
    while rest > 0 {
        digits.push(b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    digits.reverse();
    plain.strip_prefix(&digits[..]).filter(|local| home != 0 && !local.is_empty())
}

fn prefixed(prefix: &str, is_number: bool, digits: &[u8]) -> ShapedDigits {
    let mut out = ShapedDigits::new();
    if is_number {
        out.extend(prefix.bytes());
    }
    out.extend(digits.iter().copied().take(out.remaining_capacity()));
    out
}

/// validity_period as the carrier wants it: what is left after the time in our queue (at least a second).
fn validity(expires_ms: u64, now_ms: u64, form: Validity) -> ArrayVec<u8, TIME_LEN> {
    match form {
        Validity::Relative if expires_ms != 0 => ArrayVec::from(time::format_relative(expires_ms.saturating_sub(now_ms).max(1_000))),
        Validity::Absolute if expires_ms != 0 => time::format_absolute(expires_ms, 0).map(ArrayVec::from).unwrap_or_default(),
        _ => ArrayVec::new(),
    }
}
