//! Bodies between the wire and the engine's encodings, and from one encoding to another. Nothing
//! is replaced or dropped on the way: what doesn't fit is said, and the caller takes another encoding.

use super::data_coding::{self, Alphabet, DefaultAlphabet};
use super::shift::Shifts;
use super::udh::{self, UdhError};
use super::{gsm7, utf16};
use crate::model::{Body, Encoding};

/// The body that stands in a short_message or message_payload. `has_header`: esm_class says so. `default`: what the
/// peer means by data_coding 0. UTF-16 loses its byte order mark (and is swapped if that says so), packed septets are
/// unpacked, UTF-8 becomes GSM 7-bit text or UTF-16; a body in the default alphabet with octets above 0x7F is no GSM
/// 7-bit text and is taken as Latin-1. The error: a header that can't be read.
pub fn from_wire(octets: &[u8], data_coding: u8, has_header: bool, default: DefaultAlphabet) -> Result<Body, UdhError> {
    let header_len = if has_header { udh::parse(octets)?.octets() } else { 0 };
    let (header, text) = octets.split_at(header_len);
    let alphabet = data_coding::read(data_coding).alphabet;
    let encoding = data_coding::encoding(alphabet, default);
    let make = |encoding, text: &[u8]| Body {
        encoding,
        raw_data_coding: data_coding,
        header_len: header_len as u8,
        octets: [header, text].concat().into(),
    };
    Ok(match (alphabet, default) {
        (Alphabet::Default, DefaultAlphabet::PackedGsm7) => {
            let mut septets = Vec::with_capacity(text.len() * 8 / 7);
            gsm7::unpack_all(text, gsm7::fill_bits(header_len), &mut septets);
            make(Encoding::Gsm7, &septets)
        }
        (Alphabet::Default, DefaultAlphabet::Utf8) => from_utf8(text, make),
        (Alphabet::Default, DefaultAlphabet::Gsm7) if !text.is_ascii() => make(Encoding::Latin1, text),
        (Alphabet::Ucs2, _) if utf16::is_swapped(text) => {
            let swapped: Vec<u8> = text[2..].chunks(2).flat_map(|unit| unit.iter().rev()).copied().collect();
            make(encoding, &swapped)
        }
        (Alphabet::Ucs2, _) => make(encoding, text.strip_prefix(&[0xFE, 0xFF]).unwrap_or(text)),
        _ => make(encoding, text),
    })
}

fn from_utf8(text: &[u8], make: impl Fn(Encoding, &[u8]) -> Body) -> Body {
    let Ok(characters) = std::str::from_utf8(text) else { return make(Encoding::Latin1, text) };
    if let Some(septets) = gsm7::encode(characters, Shifts::NONE) {
        return make(Encoding::Gsm7, &septets);
    }
    let mut units = Vec::new();
    utf16::encode_into(characters, &mut units);
    make(Encoding::Ucs2, &units)
}

/// The text of a body; `None` for what isn't text.
pub fn text_of(body: &Body) -> Option<String> {
    match body.encoding {
        Encoding::Gsm7 => Some(gsm7::decode(body.text(), udh::shifts_of(body.header()))),
        Encoding::Latin1 => Some(body.text().iter().map(|&octet| octet as char).collect()),
        Encoding::Ucs2 => Some(utf16::decode(body.text())),
        Encoding::Binary | Encoding::Opaque => None,
    }
}

/// The same text in another encoding; `None` if a character doesn't fit, or it isn't text. Message class and waiting
/// bits are kept where the new alphabet has room for them; a header loses the elements that announce shift tables.
pub fn transcode(body: &Body, to: Encoding) -> Option<Body> {
    if body.encoding == to {
        return Some(body.clone());
    }
    let text = text_of(body)?;
    let mut octets = without_shifts(body.header());
    let header_len = octets.len() as u8;
    match to {
        Encoding::Gsm7 => gsm7::encode_into(&text, Shifts::NONE, &mut octets).ok()?,
        Encoding::Latin1 => {
            for character in text.chars() {
                octets.push(u8::try_from(character).ok()?);
            }
        }
        Encoding::Ucs2 => utf16::encode_into(&text, &mut octets),
        Encoding::Binary | Encoding::Opaque => return None,
    }
    Some(Body { encoding: to, raw_data_coding: data_coding::moved(body.raw_data_coding, to), header_len, octets: octets.into() })
}

/// A header without shift elements; empty if nothing else was in it. An unreadable one is kept.
fn without_shifts(header: &[u8]) -> Vec<u8> {
    match udh::parse(header) {
        Ok(udh) if !udh.shifts().is_default() => {
            let mut elements = Vec::with_capacity(header.len());
            udh::write_kept(header, |id| !matches!(id, udh::SINGLE_SHIFT | udh::LOCKING_SHIFT), &mut elements);
            let mut kept = Vec::with_capacity(elements.len() + 1);
            udh::write(None, false, &elements, &mut kept);
            kept
        }
        _ => header.to_vec(),
    }
}

/// True if GSM 7-bit text can be sent behind data_coding 0 to a peer with this default alphabet. False also for text
/// with shift tables where that isn't GSM 7-bit: send UCS-2 instead. Other encodings have a data_coding of their own.
pub fn fits_default(body: &Body, default: DefaultAlphabet) -> bool {
    body.encoding != Encoding::Gsm7 || write_default(body.text(), udh::shifts_of(body.header()), default, None)
}

/// Appends a segment's GSM 7-bit text in the peer's default alphabet. Cut first, then call this for each segment's
/// text: the network counts septets, whatever stands on this wire. Packing is done by `segment` itself, so the packed
/// alphabet is copied here. False if a character doesn't fit; ask [`fits_default`] before cutting.
pub fn to_default(septets: &[u8], default: DefaultAlphabet, out: &mut Vec<u8>) -> bool {
    write_default(septets, Shifts::NONE, default, Some(out))
}

fn write_default(septets: &[u8], shifts: Shifts, default: DefaultAlphabet, mut out: Option<&mut Vec<u8>>) -> bool {
    let limit = match default {
        DefaultAlphabet::Gsm7 | DefaultAlphabet::PackedGsm7 => {
            if let Some(out) = out {
                out.extend_from_slice(septets);
            }
            return true;
        }
        _ if !shifts.is_default() => return false,
        DefaultAlphabet::Ascii => 0x7F,
        DefaultAlphabet::Latin1 => 0xFF,
        DefaultAlphabet::Utf8 => u32::MAX,
    };
    let text = gsm7::decode(septets, shifts);
    if text.chars().any(|character| character as u32 > limit) {
        return false;
    }
    if let Some(out) = &mut out {
        match default {
            DefaultAlphabet::Utf8 => out.extend_from_slice(text.as_bytes()),
            _ => out.extend(text.chars().map(|character| character as u8)),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(octets: &[u8], data_coding: u8, default: DefaultAlphabet) -> Body {
        from_wire(octets, data_coding, false, default).unwrap()
    }

    #[test]
    fn each_default_alphabet_is_read_as_itself() {
        let read = |octets: &[u8], default| {
            let body = body(octets, 0, default);
            (body.encoding, text_of(&body).unwrap())
        };
        assert_eq!(read(&[0, 0x11, 0x02], DefaultAlphabet::Gsm7), (Encoding::Gsm7, "@_$".into()));
        assert_eq!(read("@_é".as_bytes(), DefaultAlphabet::Utf8), (Encoding::Gsm7, "@_é".into()));
        assert_eq!(read("中".as_bytes(), DefaultAlphabet::Utf8), (Encoding::Ucs2, "中".into()));
        assert_eq!(read(&[0x40, 0xE9], DefaultAlphabet::Latin1), (Encoding::Latin1, "@é".into()));
        assert_eq!(read(b"@", DefaultAlphabet::Ascii), (Encoding::Latin1, "@".into()));
        assert_eq!(read(&[0xE8, 0x32, 0x9B, 0xFD, 0x06], DefaultAlphabet::PackedGsm7), (Encoding::Gsm7, "hello".into()));
        assert_eq!(read(&[0x41, 0xE9], DefaultAlphabet::Gsm7), (Encoding::Latin1, "Aé".into()), "no septets: the guess was wrong");
    }

    #[test]
    fn utf16_is_cleaned_and_other_alphabets_are_kept() {
        assert_eq!(&*body(&[0xFE, 0xFF, 0x4E, 0x2D], 8, DefaultAlphabet::Gsm7).octets, [0x4E, 0x2D]);
        assert_eq!(&*body(&[0xFF, 0xFE, 0x2D, 0x4E], 0x18, DefaultAlphabet::Gsm7).octets, [0x4E, 0x2D]);
        assert_eq!(&*body(&[0x4E, 0x2D, 0x4E], 8, DefaultAlphabet::Gsm7).octets, [0x4E, 0x2D, 0x4E], "an odd octet is kept");
        let japanese = body(&[1, 2, 0xFF], 5, DefaultAlphabet::Gsm7);
        assert_eq!((japanese.encoding, japanese.raw_data_coding, text_of(&japanese)), (Encoding::Opaque, 5, None));
        assert_eq!(body(&[1, 0xFF], 0xF5, DefaultAlphabet::Gsm7).encoding, Encoding::Binary);
    }

    #[test]
    fn a_header_is_kept_apart_and_a_bad_one_is_refused() {
        let part = from_wire(&[5, 0, 3, 1, 2, 1, b'a'], 0, true, DefaultAlphabet::Gsm7).unwrap();
        assert_eq!((part.header_len, part.text()), (6, &b"a"[..]));
        assert_eq!(from_wire(&[9, 0], 0, true, DefaultAlphabet::Gsm7), Err(UdhError::TooShort));
    }

    #[test]
    fn transcoding_keeps_the_text_or_says_no() {
        let latin = body("naïve".chars().map(|c| c as u8).collect::<Vec<_>>().as_slice(), 3, DefaultAlphabet::Gsm7);
        assert_eq!(transcode(&latin, Encoding::Gsm7), None, "no i with diaeresis");
        let wide = transcode(&latin, Encoding::Ucs2).unwrap();
        assert_eq!((text_of(&wide).as_deref(), wide.raw_data_coding), (Some("naïve"), 8));
        assert_eq!(transcode(&wide, Encoding::Latin1).unwrap().octets, latin.octets);
        assert_eq!(transcode(&body(&[1], 4, DefaultAlphabet::Gsm7), Encoding::Ucs2), None);
        let flash = transcode(&body(b"x", 0x10, DefaultAlphabet::Gsm7), Encoding::Ucs2).unwrap();
        assert_eq!(flash.raw_data_coding, 0x18);
        let waiting = transcode(&body(b"x", 0xD8, DefaultAlphabet::Gsm7), Encoding::Ucs2).unwrap();
        assert_eq!(waiting.raw_data_coding, 0xE8);
    }

    #[test]
    fn shift_elements_go_with_the_septets_they_explain() {
        let octets = [8, 0x24, 1, 1, 0, 3, 9, 2, 1, 0x1B, 0x73];
        let turkish = from_wire(&octets, 0, true, DefaultAlphabet::Gsm7).unwrap();
        assert_eq!(text_of(&turkish).as_deref(), Some("ş"));
        let wide = transcode(&turkish, Encoding::Ucs2).unwrap();
        assert_eq!((wide.header(), wide.text()), (&[5, 0, 3, 9, 2, 1][..], &[0x01, 0x5F][..]));
    }

    #[test]
    fn a_peers_default_alphabet_is_written_or_refused() {
        let written = |septets: &[u8], default| {
            let mut out = Vec::new();
            to_default(septets, default, &mut out).then_some(out)
        };
        assert_eq!(written(&[0, 0x05], DefaultAlphabet::Latin1), Some(vec![0x40, 0xE9]));
        assert_eq!(written(&[0x1B, 0x28], DefaultAlphabet::Ascii), Some(b"{".to_vec()));
        assert_eq!(written(&[0x1B, 0x65], DefaultAlphabet::Latin1), None);
        assert_eq!(written(&[0x1B, 0x65], DefaultAlphabet::Utf8), Some("€".into()));
        assert_eq!(written(&[0], DefaultAlphabet::Gsm7), Some(vec![0]));
        assert!(!fits_default(&body(&[0x1B, 0x65], 0, DefaultAlphabet::Gsm7), DefaultAlphabet::Latin1));
        assert!(fits_default(&body(&[0x4E, 0x2D], 8, DefaultAlphabet::Gsm7), DefaultAlphabet::Ascii));
    }
}
