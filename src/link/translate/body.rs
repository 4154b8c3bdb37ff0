//! Texts between PDUs and messages: what a data_coding and a peer's default alphabet make of octets, and the way back for
//! peers whose default isn't GSM 7-bit.

use super::status::of_refusal;
use super::submit::Submitter;
use crate::config::{Account, Alphabet, Profile, Transliterate};
use crate::model::message::Part;
use crate::model::{Body, Encoding, Refusal};
use crate::smpp::tlv::tag;
use crate::smpp::{Sm, Tlvs, check, status};
use crate::text::choose::{Options, choose};
use crate::text::data_coding::{self, DefaultAlphabet};
use crate::text::segment::{self, MAX_PARTS, SegmentRule};
use crate::text::transliterate::Transliteration;
use crate::text::{gsm7, national, transcode, udh};

/// data_coding values from here on say more than an alphabet: message class or waiting indication.
const FIRST_WITH_CLASS: u8 = 0x10;

/// The body of a submission and, if it is one part of a longer text, which.
pub fn submitted(sm: &Sm<'_>, by: &Submitter<'_>) -> Result<(Body, Option<Part>), u32> {
    let octets = check::body(sm)?;
    let has_header = sm.esm_class & check::ESM_UDHI != 0;
    let bad_encoding = of_refusal(Refusal::Encoding, by.version);
    if is_reserved(sm.data_coding) {
        return Err(bad_encoding);
    }
    let default = default_alphabet(by.account.default_alphabet);
    let body = transcode::from_wire(octets, sm.data_coding, has_header, default).map_err(|_| status::ESME_RINVESMCLASS)?;
    if body.encoding == Encoding::Ucs2 && body.text().len() % 2 != 0 {
        return Err(bad_encoding);
    }
    let part = if has_header { udh::parse(body.header()).ok().and_then(|header| header.concatenation()) } else { None };
    let part = part.or_else(|| sar(sm.tlvs));
    let body = if part.is_none() { shortened(body, by.account) } else { body };
    if segment::count(&body, &SegmentRule::default()) > MAX_PARTS {
        return Err(status::ESME_RINVMSGLEN);
    }
    Ok((body, part))
}

/// Codings that SMPP reserves and nobody uses (5.2.19).
fn is_reserved(coding: u8) -> bool {
    matches!(coding, 0x0B | 0x0C | 0x0F | 0x20..=0xBF)
}

/// How far characters may be replaced, from the setting's word to the text layer's.
pub fn transliteration(account: &Account) -> Transliteration {
    match account.transliterate {
        Transliterate::None => Transliteration::None,
        Transliterate::Safe => Transliteration::Safe,
        Transliterate::Lossy => Transliteration::Lossy,
    }
}

/// The text in the short alphabet, where the account allows characters to be replaced for that and it comes out so.
fn shortened(body: Body, account: &Account) -> Body {
    let transliteration = transliteration(account);
    if transliteration == Transliteration::None || body.encoding != Encoding::Ucs2 || body.header_len > 0 {
        return body;
    }
    let Some(text) = transcode::text_of(&body) else { return body };
    match choose(&text, &Options { transliteration, ..Options::default() }) {
        Ok(chosen) if chosen.body.encoding == Encoding::Gsm7 => {
            Body { raw_data_coding: data_coding::moved(body.raw_data_coding, Encoding::Gsm7), ..chosen.body }
        }
        _ => body,
    }
}

/// A peer's default alphabet, from the setting's word to the text layer's.
pub fn default_alphabet(setting: Alphabet) -> DefaultAlphabet {
    match setting {
        Alphabet::Gsm7 | Alphabet::Ucs2 | Alphabet::Binary => DefaultAlphabet::Gsm7,
        Alphabet::Gsm7Packed => DefaultAlphabet::PackedGsm7,
        Alphabet::Latin1 => DefaultAlphabet::Latin1,
        Alphabet::Utf8 => DefaultAlphabet::Utf8,
    }
}

/// The part that the three sar_ TLVs name; without all three, or with impossible numbers, there is none (5.3.2.22 to 24).
pub fn sar(tlvs: Tlvs<'_>) -> Option<Part> {
    if tlvs.is_empty() {
        return None;
    }
    let reference = tlvs.u16(tag::SAR_MSG_REF_NUM)?;
    let total = tlvs.u8(tag::SAR_TOTAL_SEGMENTS)?;
    let number = tlvs.u8(tag::SAR_SEGMENT_SEQNUM)?;
    (number >= 1 && number <= total).then_some(Part { reference, total, number })
}

/// data_coding towards a carrier: what upstream wrote where it says more than an alphabet, else the carrier's word for the encoding.
pub fn carrier_data_coding(body: &Body, profile: &Profile) -> u8 {
    if body.raw_data_coding >= FIRST_WITH_CLASS {
        return body.raw_data_coding;
    }
    profile.alphabets.data_coding(body.encoding).unwrap_or(body.raw_data_coding)
}

/// How a body must be changed for a carrier.
#[derive(Debug)]
pub enum ForCarrier {
    /// It goes as it is.
    AsIs,
    /// The text of each part is rewritten in the carrier's default alphabet.
    Default(DefaultAlphabet),
    /// This one goes in its place.
    Instead(Body),
}

/// A text that national tables make shorter goes in those that the rule allows; GSM 7-bit text for a carrier whose data_coding 0 is something else goes in that, or as UTF-16 where it doesn't fit; Latin-1 for
/// a carrier that takes none goes as UTF-16 if that needs as many parts as the engine has counted, else as it is.
pub fn for_carrier(body: &Body, profile: &Profile, rule: &SegmentRule, parts: u8) -> ForCarrier {
    if let Some(other) = national::shorter(body, rule) {
        return ForCarrier::Instead(other);
    }
    let default = default_alphabet(profile.alphabets.default);
    match body.encoding {
        Encoding::Gsm7 => {
            let plain = matches!(default, DefaultAlphabet::Gsm7 | DefaultAlphabet::PackedGsm7) || carrier_data_coding(body, profile) != 0;
            if plain {
                ForCarrier::AsIs
            } else if transcode::fits_default(body, default) {
                ForCarrier::Default(default)
            } else {
                transcode::transcode(body, Encoding::Ucs2).map_or(ForCarrier::AsIs, ForCarrier::Instead)
            }
        }
        Encoding::Latin1 if !profile.alphabets.use_latin1 && body.header_len == 0 => match transcode::transcode(body, Encoding::Ucs2) {
            Some(other) if segment::count(&other, rule) == usize::from(parts) => ForCarrier::Instead(other),
            _ => ForCarrier::AsIs,
        },
        _ => ForCarrier::AsIs,
    }
}

/// Writes a body as a client reads it into `out` (header and text) and returns its data_coding.
pub fn for_client(body: &Body, default: DefaultAlphabet, out: &mut Vec<u8>) -> u8 {
    out.clear();
    if body.encoding == Encoding::Gsm7 && default != DefaultAlphabet::Gsm7 {
        out.extend_from_slice(body.header());
        if default == DefaultAlphabet::PackedGsm7 {
            gsm7::pack(body.text(), gsm7::fill_bits(out.len()), true, out);
            return client_data_coding(body);
        }
        if transcode::fits_default(body, default) && transcode::to_default(body.text(), default, out) {
            return client_data_coding(body);
        }
        if let Some(other) = transcode::transcode(body, Encoding::Ucs2) {
            out.clear();
            out.extend_from_slice(&other.octets);
            return client_data_coding(&other);
        }
        out.clear();
    }
    out.extend_from_slice(&body.octets);
    client_data_coding(body)
}

fn client_data_coding(body: &Body) -> u8 {
    match (body.encoding, body.raw_data_coding) {
        (_, raw @ FIRST_WITH_CLASS..) | (Encoding::Opaque, raw) | (Encoding::Binary, raw @ 0x02) | (Encoding::Latin1, raw @ 0x01) => raw,
        (Encoding::Gsm7, _) => 0x00,
        (Encoding::Latin1, _) => 0x03,
        (Encoding::Ucs2, _) => 0x08,
        (Encoding::Binary, _) => 0x04,
    }
}
