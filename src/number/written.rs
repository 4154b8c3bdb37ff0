//! Numbers as people paste them from chats, spreadsheets and address books: what stands around and between the digits is taken off, then the tables of
//! `normalise` read them. The phone library is asked about what they can't read (old dialling habits of a country).

use super::NumberError;
use super::normalise::{WRITTEN_MAX, by_hand, international};
use super::packed::pack;
use super::plan::{self, HomeRegion};
use arrayvec::ArrayVec;

/// Longest text that may be one number, octets.
const TEXT_MAX: usize = 128;
/// Fewest digits before a `.0` that a spreadsheet has added.
const SPREADSHEET_DIGITS_MIN: usize = 7;

/// The packed E.164 number of a text in UTF-8; `home` is the country of national forms.
#[inline]
pub fn from_text(text: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    if !text.is_empty() && text.len() <= WRITTEN_MAX && text.iter().all(u8::is_ascii_digit) {
        return by_hand(text, home).or_else(|error| asking_library(text, home, error));
    }
    from_odd_text(text, home)
}

/// As [`from_text`], by the tables alone.
pub fn by_tables(text: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    let (digits, plus) = digits_of(&plain(text)?)?;
    by_plus(&digits, plus, home)
}

/// As [`from_text`], by the phone library alone. Slow.
pub fn by_library(text: &[u8], home: HomeRegion) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let region: phonenumber::country::Id = plan::regions(home.code).split(',').next()?.parse().ok()?;
    let parsed = phonenumber::parse(Some(region), text).ok()?;
    let national = parsed.national();
    let zeros = usize::from(national.zeros());
    let digits = format!("{}{:0>zeros$}{}", parsed.country().code(), "", national.value());
    if plan::is_possible(digits.as_bytes()) && plan::is_valid(digits.as_bytes()) { pack(digits.as_bytes()) } else { None }
}

#[cold]
fn asking_library(text: &[u8], home: HomeRegion, error: NumberError) -> Result<u64, NumberError> {
    // Never about letters: it reads them as the keys of a telephone.
    match error {
        NumberError::NotPossible => by_library(text, home).ok_or(error),
        _ => Err(error),
    }
}

fn from_odd_text(text: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    // A plus and digits, with blanks and dashes between them, need no second look; a dot may be a spreadsheet's.
    if let Some((digits, plus)) = digits_of(text).ok().filter(|_| !text.contains(&b'.')) {
        return by_plus(&digits, plus, home).or_else(|error| asking_library(text, home, error));
    }
    let plain = plain(text)?;
    let (digits, plus) = digits_of(&plain)?;
    by_plus(&digits, plus, home).or_else(|error| asking_library(&plain, home, error))
}

fn by_plus(digits: &[u8], plus: bool, home: HomeRegion) -> Result<u64, NumberError> {
    if plus { international(digits) } else { by_hand(digits, home) }
}

/// The text in ASCII where it can be: full-width forms and the many dashes, blanks and quotes that programs put in become plain ones, marks that nobody sees
/// go, and what a spreadsheet does to numbers is undone.
fn plain(text: &[u8]) -> Result<ArrayVec<u8, TEXT_MAX>, NumberError> {
    let text = std::str::from_utf8(text).map_err(|_| NumberError::BadCharacter)?;
    let mut out = ArrayVec::<u8, TEXT_MAX>::new();
    for character in text.chars() {
        let plain = match character {
            // Byte order mark, zero-width and directional marks, soft hyphen.
            '\u{FEFF}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{AD}' => continue,
            '\u{FF01}'..='\u{FF5E}' => (character as u32 - 0xFEE0) as u8,
            '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\t' | '\r' | '\n' => b' ',
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' => b'-',
            '\u{2018}' | '\u{2019}' | '`' => b'\'',
            '\u{201C}' | '\u{201D}' => b'"',
            '\u{3001}' | '\u{3002}' => b',',
            ' '..='~' => character as u8,
            _ => return Err(NumberError::BadCharacter),
        };
        out.try_push(plain).map_err(|_| NumberError::BadCharacter)?;
    }
    let trimmed = around(&out);
    if trimmed.is_empty() {
        return Err(NumberError::Empty);
    }
    let undone = without_fraction(trimmed).map(Ok).or_else(|| exponent(trimmed)).transpose()?;
    Ok(undone.unwrap_or_else(|| trimmed.iter().copied().collect()))
}

/// Without what people leave around a number: blanks, quotes, the apostrophe that keeps a spreadsheet from calculating, the separator of a list.
fn around(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|octet| !matches!(octet, b' ' | b'\'' | b'"' | b'=')).unwrap_or(text.len());
    let text = text.get(start..).unwrap_or_default();
    let text = if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"tel:")) { &text[4..] } else { text };
    let end = text.iter().rposition(|octet| !matches!(octet, b' ' | b'\'' | b'"' | b',' | b';')).map_or(0, |at| at + 1);
    &text[..end]
}

/// `13800138000.0` is a number that went through a calculation.
fn without_fraction(text: &[u8]) -> Option<ArrayVec<u8, TEXT_MAX>> {
    let at = text.iter().position(|&octet| octet == b'.')?;
    let (whole, zeros) = (&text[..at], &text[at + 1..]);
    let digits = whole.strip_prefix(b"+").unwrap_or(whole);
    let calculated = digits.len() >= SPREADSHEET_DIGITS_MIN && digits.iter().all(u8::is_ascii_digit) && matches!(zeros, b"0" | b"00");
    calculated.then(|| whole.iter().copied().collect())
}

/// `1.3800138000E+10` has all its digits; `1.38E+10` has lost some. Nothing if it isn't written so.
fn exponent(text: &[u8]) -> Option<Result<ArrayVec<u8, TEXT_MAX>, NumberError>> {
    let at = text.iter().position(|octet| matches!(octet, b'e' | b'E'))?;
    let (mantissa, power) = (&text[..at], &text[at + 1..]);
    let power: usize = std::str::from_utf8(power.strip_prefix(b"+").unwrap_or(power)).ok()?.parse().ok()?;
    let (first, fraction) = mantissa.split_first()?;
    let fraction = if fraction.is_empty() { fraction } else { fraction.strip_prefix(b".")? };
    if !first.is_ascii_digit() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if fraction.len() != power {
        return Some(Err(NumberError::Rounded));
    }
    Some(Ok(std::iter::once(*first).chain(fraction.iter().copied()).collect()))
}

/// The digits of a plain text, and whether a plus stood before them.
#[inline]
fn digits_of(plain: &[u8]) -> Result<(ArrayVec<u8, WRITTEN_MAX>, bool), NumberError> {
    let mut digits = ArrayVec::new();
    let mut plus = false;
    for &octet in plain {
        match octet {
            b'0'..=b'9' => digits.try_push(octet).map_err(|_| NumberError::BadCharacter)?,
            b'+' if digits.is_empty() && !plus => plus = true,
            b' ' | b'-' | b'.' | b'(' | b')' | b'[' | b']' | b'/' | b'~' | b'_' => {}
            _ => return Err(NumberError::BadCharacter),
        }
    }
    if digits.is_empty() { Err(NumberError::Empty) } else { Ok((digits, plus)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::unpack;
    use phonenumber::metadata::DATABASE;

    fn read(text: &str, region: &str) -> Result<String, NumberError> {
        let home = HomeRegion::from_iso(region).unwrap();
        from_text(text.as_bytes(), home).map(|packed| String::from_utf8(unpack(packed).to_vec()).unwrap())
    }

    #[test]
    fn whatever_is_pasted_is_the_same_number() {
        for text in [
            "13800138000",
            "+8613800138000",
            "008613800138000",
            "86 138 0013 8000",
            "(+86) 138-0013-8000",
            "+86(0)138.0013.8000",
            "（＋８６）１３８－００１３－８０００",
            "'13800138000",
            "\u{2019}13800138000",
            "=\"13800138000\"",
            "\u{FEFF}13800138000",
            "\u{202A}+86 138 0013 8000\u{202C}",
            "138\u{2011}0013\u{2013}8000",
            "138\u{A0}0013\u{3000}8000\r\n",
            "13800138000.0",
            "8613800138000.00",
            "1.3800138000E+10",
            "8.613800138000e12",
            "013800138000",
            "13800138000,",
            "13800138000；",
            "tel:+86-138-0013-8000",
            "[86]13800138000",
            "0086-0138-0013-8000",
        ] {
            assert_eq!(read(text, "CN").as_deref(), Ok("8613800138000"), "{text}");
        }
    }

    #[test]
    fn national_forms_follow_the_region() {
        for (text, region, expected) in [
            ("(212) 555-0123", "US", "12125550123"),
            ("1-212-555-0123", "US", "12125550123"),
            ("011 44 7911 123456", "US", "447911123456"),
            ("07911 123456", "GB", "447911123456"),
            ("0011 61 412 345 678", "AU", "61412345678"),
            ("8 (916) 123-45-67", "RU", "79161234567"),
            ("810 44 7911 123456", "RU", "447911123456"),
            ("06 12 34 56 78", "FR", "33612345678"),
            ("0151/23456789", "DE", "4915123456789"),
            // The national prefix and the 15 of mobiles as people write them: only the library knows.
            ("0 11 15-2345-6789", "AR", "5491123456789"),
            ("020 7946 0000", "GB", "442079460000"),
        ] {
            assert_eq!(read(text, region).as_deref(), Ok(expected), "{text} {region}");
        }
    }

    #[test]
    fn what_is_no_number_says_why() {
        for (text, error) in [
            ("", NumberError::Empty),
            ("  '\" ", NumberError::Empty),
            ("\u{FEFF}", NumberError::Empty),
            ("1.38E+10", NumberError::Rounded),
            ("8.61380013E+12", NumberError::Rounded),
            ("zhangsan", NumberError::BadCharacter),
            ("138001380OO", NumberError::BadCharacter),
            ("电话13800138000", NumberError::BadCharacter),
            ("10086", NumberError::ShortCode),
            ("138001380", NumberError::NotPossible),
            ("+99913800138000", NumberError::NotPossible),
            ("010-88886666 ext. 5", NumberError::BadCharacter),
            ("13800138000 13900139000", NumberError::NotPossible),
            ("13800138000/13900139000/13900139001", NumberError::BadCharacter),
        ] {
            assert_eq!(read(text, "CN"), Err(error), "{text}");
        }
        assert_eq!(from_text(b"138\xFF00138000", HomeRegion::CHINA), Err(NumberError::BadCharacter));
        assert_eq!(from_text(&[b'1'; 5000], HomeRegion::CHINA), Err(NumberError::BadCharacter));
    }

    /// Examples of all countries in all forms: where both read a number, they read the same, and the tables read nearly all of them.
    #[test]
    fn the_tables_and_the_phone_library_agree() {
        let (mut both, mut only_library) = (0, Vec::new());
        let mut differ = Vec::new();
        for plan in DATABASE.iter().filter(|plan| plan.id() != "001" && plan.is_main_country_for_code() | (plan.country_code() != 1)) {
            let home = HomeRegion::from_iso(plan.id()).unwrap();
            let kinds = plan.descriptors();
            let examples = [kinds.mobile(), kinds.fixed_line()].into_iter().flatten().filter_map(|kind| kind.example());
            // Six digits and fewer are short codes for us.
            for example in examples.filter(|example| example.len() > 6) {
                let (head, tail) = example.split_at(example.len() / 2);
                for text in [
                    format!("+{}{example}", home.code),
                    format!("+{} {head} {tail}", home.code),
                    format!("(+{}) {head}-{tail}", home.code),
                    format!("＋{}{example}", home.code),
                    format!("{}{}{example}", home.international.split(',').next().unwrap(), home.code),
                    format!("{}{example}", home.trunk),
                    format!("{} {head}.{tail}", home.trunk),
                    example.to_owned(),
                ] {
                    let tables = by_tables(text.as_bytes(), home).ok();
                    let library = by_library(&plain(text.as_bytes()).unwrap(), home);
                    match (tables, library) {
                        (Some(tables), Some(library)) if tables == library => both += 1,
                        (Some(tables), Some(library)) => {
                            let digits = |packed| String::from_utf8(unpack(packed).to_vec()).unwrap();
                            differ.push(format!("{} {text}: {} and {}", plan.id(), digits(tables), digits(library)));
                        }
                        (None, Some(_)) => only_library.push(format!("{} {text}", plan.id())),
                        (_, None) => {}
                    }
                }
            }
        }
        assert!(both > 3000, "{both}");
        assert_eq!((differ, only_library), (vec![], vec![]));
    }
}
