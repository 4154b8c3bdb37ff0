//! From what people write to the canonical form. Ordinary forms take a table and no allocation;
//! the phone library is asked only where two readings are possible.

use super::packed::{pack, unpack};
use super::plan::{self, HomeRegion};
use arrayvec::ArrayVec;

/// Why something isn't a number to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NumberError {
    /// Nothing but blanks and signs.
    #[error("the number is empty")]
    Empty,
    /// A character that belongs to no number, or too many of them.
    #[error("the number has a character that no number has")]
    BadCharacter,
    /// Network specific, subscriber or abbreviated: a short code, to be routed as such.
    #[error("a short code is not an international number")]
    ShortCode,
    /// Alphanumeric: never a destination.
    #[error("a name is not a number")]
    Alphanumeric,
    /// A type of number that doesn't exist.
    #[error("unknown type of number")]
    UnknownType,
    /// No country has a number of this length, or no country has this code.
    #[error("no country has such a number")]
    NotPossible,
    /// A spreadsheet has shortened it (`8.61E+12`): digits are lost.
    #[error("a spreadsheet has shortened the number and lost digits: format the column as text")]
    Rounded,
}

/// Most digits that are looked at, before prefixes are dropped.
pub(super) const WRITTEN_MAX: usize = 24;
/// Prefixes of Chinese call-by-call services.
const CHINA_CALL_PREFIXES: [&[u8]; 2] = [b"17951", b"12593"];
/// Shorter than any subscriber's number: a short code where the type of number doesn't say.
const SHORT_CODE_MAX: usize = 6;

/// The packed E.164 number of a destination as written (ASCII or UTF-8). `ton`: 0 guess, 1 international, 2 national;
/// 3, 4 and 6 are short codes. `home`: the country of national forms.
pub fn normalise(written: &[u8], ton: u8, home: HomeRegion) -> Result<u64, NumberError> {
    match ton {
        0..=2 => {}
        3 | 4 | 6 => return Err(NumberError::ShortCode),
        5 => return Err(NumberError::Alphanumeric),
        _ => return Err(NumberError::UnknownType),
    }
    if !written.is_empty() && written.len() <= WRITTEN_MAX && written.iter().all(u8::is_ascii_digit) {
        return by_type(written, ton, home);
    }
    let (digits, plus) = clean(written)?;
    if plus { international(&digits) } else { by_type(&digits, ton, home) }
}

/// Drops what people write between digits. Says whether a plus stood before them.
fn clean(written: &[u8]) -> Result<(ArrayVec<u8, WRITTEN_MAX>, bool), NumberError> {
    let mut digits = ArrayVec::new();
    let mut plus = false;
    let mut rest = written;
    while let [first, after @ ..] = rest {
        let (octet, after) = match rest {
            // Full-width digits and plus, U+FF10-FF19 and U+FF0B, in UTF-8.
            [0xEF, 0xBC, last @ 0x90..=0x99, after @ ..] => (last - 0x90 + b'0', after),
            [0xEF, 0xBC, 0x8B, after @ ..] => (b'+', after),
            // No-break and ideographic space.
            [0xC2, 0xA0, after @ ..] | [0xE3, 0x80, 0x80, after @ ..] => (b' ', after),
            _ => (*first, after),
        };
        rest = after;
        match octet {
            b'0'..=b'9' => digits.try_push(octet).map_err(|_| NumberError::BadCharacter)?,
            b'+' if digits.is_empty() && !plus => plus = true,
            b' ' | b'\t' | b'\r' | b'\n' | b'-' | b'.' | b'(' | b')' | b'/' => {}
            _ => return Err(NumberError::BadCharacter),
        }
    }
    if digits.is_empty() { Err(NumberError::Empty) } else { Ok((digits, plus)) }
}

fn by_type(digits: &[u8], ton: u8, home: HomeRegion) -> Result<u64, NumberError> {
    if let Some(found) = home.without_international(digits).and_then(|rest| international(rest).ok()) {
        return Ok(found);
    }
    match ton {
        1 => international(digits),
        2 => national(digits, home),
        _ => guess(digits, home),
    }
}

/// A number with its country code first.
pub(super) fn international(digits: &[u8]) -> Result<u64, NumberError> {
    let Some((code, length)) = plan::country_code(digits) else { return Err(NumberError::NotPossible) };
    if digits.get(length) == Some(&b'0') && plan::drops_zero(code) {
        let mut kept = ArrayVec::<u8, WRITTEN_MAX>::new();
        kept.try_extend_from_slice(&digits[..length])
            .and_then(|()| kept.try_extend_from_slice(&digits[length + 1..]))
            .map_err(|_| NumberError::NotPossible)?;
        return possible(&kept);
    }
    possible(digits)
}

fn possible(digits: &[u8]) -> Result<u64, NumberError> {
    if plan::is_possible(digits) { pack(digits).ok_or(NumberError::NotPossible) } else { Err(NumberError::NotPossible) }
}

/// A number of the home country, with or without its trunk prefix.
fn national(digits: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    if home.code == 86
        && let Some(found) = chinese_mobile(digits)
    {
        return possible(&found);
    }
    if digits.len() <= SHORT_CODE_MAX {
        return Err(NumberError::ShortCode);
    }
    let without_trunk = if home.trunk.is_empty() { None } else { digits.strip_prefix(home.trunk.as_bytes()) };
    // A 1 or an 8 may be a trunk prefix or the number's first digit; a 0 is always the former.
    [without_trunk, Some(digits).filter(|_| without_trunk.is_none() || home.trunk != "0")]
        .into_iter()
        .flatten()
        .find_map(|rest| with_code(home, rest).filter(|number| plan::is_possible(number)))
        .and_then(|number| pack(&number))
        .ok_or(NumberError::NotPossible)
}

fn with_code(home: HomeRegion, national: &[u8]) -> Option<ArrayVec<u8, WRITTEN_MAX>> {
    let mut number = ArrayVec::new();
    let mut place = 100;
    while place > 0 {
        if home.code >= place {
            number.push(b'0' + (home.code / place % 10) as u8);
        }
        place /= 10;
    }
    number.try_extend_from_slice(national).ok().map(|()| number)
}

/// Eleven digits that start with 1, perhaps behind a 0 or a call-by-call prefix.
fn chinese_mobile(digits: &[u8]) -> Option<ArrayVec<u8, WRITTEN_MAX>> {
    let rest = CHINA_CALL_PREFIXES.iter().find_map(|prefix| digits.strip_prefix(*prefix)).unwrap_or(digits);
    let rest = if rest.len() == 12 { rest.strip_prefix(b"0").unwrap_or(rest) } else { rest };
    (rest.len() == 11 && rest[0] == b'1').then(|| with_code(HomeRegion::CHINA, rest)).flatten()
}

/// Digits that a person has written, no plus before them: as [`guess`], but a valid number at home is one at home, however it would read abroad.
pub(super) fn by_hand(digits: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    if let Some(found) = home.without_international(digits).and_then(|rest| international(rest).ok()) {
        return Ok(found);
    }
    let read = guess_with(digits, home, |_, at_home| plan::is_valid(&unpack(at_home)));
    read.map_err(|error| if digits.len() <= SHORT_CODE_MAX { NumberError::ShortCode } else { error })
}

/// No type of number: a valid international number stays as it is, all else is national.
fn guess(digits: &[u8], home: HomeRegion) -> Result<u64, NumberError> {
    guess_with(digits, home, |abroad, _| !plan::is_valid(&unpack(abroad)))
}

/// Reads what may be international or national; where it could be both, `at_home` decides between the two (packed).
fn guess_with(digits: &[u8], home: HomeRegion, at_home: impl Fn(u64, u64) -> bool) -> Result<u64, NumberError> {
    if home.code == 86
        && digits.len() != 13
        && let Some(found) = chinese_mobile(digits)
    {
        return possible(&found);
    }
    let abroad = international(digits);
    if abroad.is_ok() && plan::country_code(digits).is_some_and(|(code, _)| code == home.code) {
        return abroad;
    }
    match (abroad, national(digits, home)) {
        (Ok(abroad), Ok(national)) => Ok(if at_home(abroad, national) { national } else { abroad }),
        (Ok(abroad), Err(_)) => Ok(abroad),
        (Err(_), national) => national,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::unpack;

    fn read(written: &str, ton: u8, region: &str) -> Result<String, NumberError> {
        let home = HomeRegion::from_iso(region).unwrap();
        normalise(written.as_bytes(), ton, home).map(|packed| String::from_utf8(unpack(packed).to_vec()).unwrap())
    }

    #[test]
    fn chinese_forms_all_mean_the_same_number() {
        for (written, ton) in [
            ("13800138000", 0),
            ("013800138000", 0),
            ("8613800138000", 0),
            ("8613800138000", 1),
            ("13800138000", 2),
            ("+8613800138000", 0),
            ("008613800138000", 0),
            ("00 86 138-0013-8000", 1),
            ("+86 0 138 0013 8000", 0),
            ("1795113800138000", 0),
            ("1259313800138000", 2),
            ("＋８６１３８００１３８０００", 0),
            (" 138.0013.8000 ", 0),
        ] {
            assert_eq!(read(written, ton, "CN").as_deref(), Ok("8613800138000"), "{written}");
        }
    }

    #[test]
    fn each_country_has_its_own_prefixes() {
        for (written, ton, region, expected) in [
            ("07911123456", 0, "GB", "447911123456"),
            ("7911123456", 0, "GB", "447911123456"),
            ("+44 (0)7911 123456", 0, "CN", "447911123456"),
            ("2125551234", 0, "US", "12125551234"),
            ("3102345678", 0, "US", "13102345678"),
            ("12125551234", 0, "US", "12125551234"),
            ("011447911123456", 0, "US", "447911123456"),
            ("89161234567", 0, "RU", "79161234567"),
            ("9161234567", 2, "RU", "79161234567"),
            ("810447911123456", 0, "RU", "447911123456"),
            ("0612345678", 2, "IT", "390612345678"),
            ("0151 23456789", 0, "DE", "4915123456789"),
            ("4915123456789", 0, "DE", "4915123456789"),
            ("06201234567", 0, "HU", "36201234567"),
            ("85291234567", 0, "CN", "85291234567"),
            ("0707123456", 0, "CI", "2250707123456"),
            ("8614001234567890".get(..15).unwrap(), 1, "CN", "861400123456789"),
        ] {
            assert_eq!(read(written, ton, region).as_deref(), Ok(expected), "{written} {ton} {region}");
        }
    }

    #[test]
    fn what_is_no_subscribers_number_says_why() {
        assert_eq!(read("", 0, "CN"), Err(NumberError::Empty));
        assert_eq!(read(" - ", 0, "CN"), Err(NumberError::Empty));
        assert_eq!(read("1380013800a", 0, "CN"), Err(NumberError::BadCharacter));
        assert_eq!(read("86+13800138000", 0, "CN"), Err(NumberError::BadCharacter));
        assert_eq!(read("1".repeat(30).as_str(), 0, "CN"), Err(NumberError::BadCharacter));
        assert_eq!(read("10086", 3, "CN"), Err(NumberError::ShortCode));
        assert_eq!(read("10086", 0, "CN"), Err(NumberError::ShortCode));
        assert_eq!(read("13800138000", 5, "CN"), Err(NumberError::Alphanumeric));
        assert_eq!(read("13800138000", 9, "CN"), Err(NumberError::UnknownType));
        assert_eq!(read("86138001380001234", 1, "CN"), Err(NumberError::NotPossible));
        assert_eq!(read("99912345678", 1, "CN"), Err(NumberError::NotPossible));
        assert_eq!(read("013800138000", 1, "CN"), Err(NumberError::NotPossible));
    }

    #[test]
    fn the_table_and_the_phone_library_agree_on_ordinary_numbers() {
        for (region, national) in
            [("CN", "13800138000"), ("GB", "7911123456"), ("DE", "015123456789"), ("FR", "612345678"), ("IN", "9812345678")]
        {
            let home = HomeRegion::from_iso(region).unwrap();
            let country = region.parse().unwrap();
            let bare = national.trim_start_matches('0');
            for written in [national.to_string(), format!("{}{bare}", home.code), format!("+{}{bare}", home.code)] {
                let theirs = phonenumber::parse(Some(country), &written).unwrap();
                let theirs = format!("{}{}", theirs.country().code(), theirs.national().value());
                assert_eq!(read(&written, 0, region), Ok(theirs), "{written}");
            }
        }
    }
}
