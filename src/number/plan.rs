//! National plans: which lengths a country code allows, its trunk and international prefixes, the account's home.
//! `plans.tsv` was made from libphonenumber's metadata (a test compares them); the library itself is asked only where
//! a number could be read in two ways.

use phonenumber::metadata::{DATABASE, Metadata};

const PLANS: &str = include_str!("plans.tsv");

/// Bit n of entry c: country code c has subscriber numbers of n digits. 0: no such code.
static LENGTHS: [u16; 1000] = lengths();
/// Country codes with the trunk prefix 0, which people write behind the code (`+44 (0)20 ...`).
static TRUNK_ZERO: [bool; 1000] = trunk_zero();

/// The country whose national numbers an account may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeRegion {
    /// Country code.
    pub code: u16,
    /// Trunk prefix, dropped from national numbers; empty if there is none.
    pub trunk: &'static str,
    /// What stands before an international number when dialled from here, longest first, separated by commas.
    pub international: &'static str,
}

impl HomeRegion {
    /// China.
    pub const CHINA: HomeRegion = HomeRegion { code: 86, trunk: "0", international: "00" };

    /// The region of an ISO 3166 code (`CN`, `US` ...), upper case.
    pub fn from_iso(region: &str) -> Option<HomeRegion> {
        rows().find(|row| row.regions.split(',').any(|other| other == region) && region != "001").map(|row| HomeRegion {
            code: row.code,
            trunk: if row.trunk == "-" { "" } else { row.trunk },
            international: row.international,
        })
    }

    /// The region of a country code.
    pub fn from_code(code: u16) -> Option<HomeRegion> {
        rows().find(|row| row.code == code).and_then(|row| HomeRegion::from_iso(row.regions.split(',').next()?))
    }

    /// What `digits` have left behind an international prefix of this region; nothing if none stands there.
    pub(crate) fn without_international<'a>(&self, digits: &'a [u8]) -> Option<&'a [u8]> {
        self.international.split(',').find_map(|prefix| digits.strip_prefix(prefix.as_bytes()))
    }
}

impl Default for HomeRegion {
    fn default() -> Self {
        HomeRegion::CHINA
    }
}

struct Row {
    code: u16,
    trunk: &'static str,
    international: &'static str,
    regions: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    PLANS.lines().skip(1).filter_map(|line| {
        let mut columns = line.split('\t');
        let code = columns.next()?.parse().ok()?;
        let _lengths = columns.next()?;
        Some(Row { code, trunk: columns.next()?, international: columns.next()?, regions: columns.next()? })
    })
}

/// The regions (ISO 3166) of a country code, the main one first; empty if there is none.
pub fn regions(code: u16) -> &'static str {
    rows().find(|row| row.code == code).map_or("", |row| row.regions)
}

/// The country code at the start of `digits`, and its length in digits.
#[inline]
pub fn country_code(digits: &[u8]) -> Option<(u16, usize)> {
    let mut code = 0usize;
    if digits.first() == Some(&b'0') {
        return None;
    }
    for (at, &octet) in digits.iter().take(3).enumerate() {
        code = code * 10 + usize::from(octet.wrapping_sub(b'0') % 10);
        // Country codes are free of prefixes: the first that exists is the one.
        if LENGTHS[code] != 0 {
            return Some((code as u16, at + 1));
        }
    }
    None
}

/// True if `digits` (all ASCII digits, country code first) have a length that their country allows.
#[inline]
pub fn is_possible(digits: &[u8]) -> bool {
    let Some((code, length)) = country_code(digits) else { return false };
    if !(7..=15).contains(&digits.len()) {
        return false;
    }
    let national = digits.len() - length;
    if code == 86 && matches!(digits[2..4], [b'1', b'3'..=b'9']) {
        // Chinese mobiles have 11 digits; numbers of things have 13, and are in no library's plan.
        return national == 11 || (national == 13 && digits[3] == b'4');
    }
    LENGTHS[code as usize] >> national & 1 == 1
}

/// Digits of the longest numbers that begin with these, country code included; 15 where no country is known.
pub(crate) fn longest(digits: &[u8]) -> usize {
    let Some((code, length)) = country_code(digits) else { return 15 };
    if code == 86 && matches!(digits.get(2..4), Some([b'1', b'3'..=b'9'])) {
        return 13;
    }
    (length + (15 - LENGTHS[code as usize].leading_zeros() as usize)).min(15)
}

/// True if people write the trunk prefix 0 behind this country code though it doesn't belong there.
#[inline]
pub(crate) fn drops_zero(code: u16) -> bool {
    TRUNK_ZERO[code as usize % 1000]
}

/// True if libphonenumber's patterns know a number like this. Slow (regular expressions): off the ordinary path.
pub fn is_valid(digits: &[u8]) -> bool {
    let Some((code, length)) = country_code(digits) else { return false };
    let Ok(national) = std::str::from_utf8(&digits[length..]) else { return false };
    DATABASE.by_code(&code).is_some_and(|plans| plans.into_iter().any(|plan| kind_in(plan, national).is_some()))
}

/// What kind of number this is by libphonenumber's patterns, and in which region.
pub fn describe(digits: &[u8]) -> Option<(&'static str, &'static str)> {
    let (code, length) = country_code(digits)?;
    let national = std::str::from_utf8(&digits[length..]).ok()?;
    // Where a code is shared, the main country's patterns are asked first: the small ones' overlap with them.
    let mut plans = DATABASE.by_code(&code)?;
    plans.sort_by_key(|plan| !plan.is_main_country_for_code());
    plans.into_iter().find_map(|plan| kind_in(plan, national).map(|kind| (plan.id(), kind)))
}

fn kind_in(plan: &Metadata, national: &str) -> Option<&'static str> {
    let kinds = plan.descriptors();
    [
        (kinds.mobile(), "mobile"),
        (kinds.fixed_line(), "fixed-line"),
        (kinds.toll_free(), "toll-free"),
        (kinds.premium_rate(), "premium-rate"),
        (kinds.shared_cost(), "shared-cost"),
        (kinds.personal_number(), "personal"),
        (kinds.voip(), "voip"),
        (kinds.pager(), "pager"),
        (kinds.uan(), "universal-access"),
    ]
    .into_iter()
    .find_map(|(kind, name)| kind.filter(|kind| kind.is_match(national)).map(|_| name))
}

const fn lengths() -> [u16; 1000] {
    let text = PLANS.as_bytes();
    let mut table = [0u16; 1000];
    let mut at = next_line(text, 0);
    while at < text.len() {
        let (code, after) = number(text, at);
        at = after;
        while text[at] != b'\n' && text[at] == (if table[code] == 0 { b'\t' } else { b',' }) {
            let (length, after) = number(text, at + 1);
            table[code] |= 1 << length;
            at = after;
        }
        at = next_line(text, at);
    }
    table
}

const fn trunk_zero() -> [bool; 1000] {
    let text = PLANS.as_bytes();
    let mut table = [false; 1000];
    let mut at = next_line(text, 0);
    while at < text.len() {
        let (code, after) = number(text, at);
        at = after + 1;
        while text[at] != b'\t' {
            at += 1;
        }
        table[code] = text[at + 1] == b'0' && text[at + 2] == b'\t';
        at = next_line(text, at);
    }
    table
}

const fn number(text: &[u8], mut at: usize) -> (usize, usize) {
    let mut value = 0;
    while text[at].is_ascii_digit() {
        value = value * 10 + (text[at] - b'0') as usize;
        at += 1;
    }
    (value, at)
}

const fn next_line(text: &[u8], mut at: usize) -> usize {
    while at < text.len() && text[at] != b'\n' {
        at += 1;
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_phone_library() {
        for plan in DATABASE.iter().filter(|plan| plan.id() != "001") {
            let code = plan.country_code();
            let home = HomeRegion::from_iso(plan.id()).unwrap_or_else(|| panic!("{} is missing", plan.id()));
            assert_eq!(home.code, code);
            let kinds = plan.descriptors();
            for kind in [kinds.fixed_line(), kinds.mobile()].into_iter().flatten() {
                let room = 15 - code.to_string().len() as u16;
                for length in kind.possible_length().iter().filter(|&&length| length <= room) {
                    assert_eq!(LENGTHS[code as usize] >> length & 1, 1, "{} {length}", plan.id());
                }
            }
        }
        let known: Vec<_> = rows().map(|row| row.code).collect();
        assert!(known.len() > 200 && known.is_sorted());
        assert_eq!((0..1000).filter(|&code| LENGTHS[code] != 0).count(), known.len());
    }

    #[test]
    fn every_example_of_the_phone_library_is_possible() {
        let mut examples = 0;
        for plan in DATABASE.iter().filter(|plan| plan.id() != "001") {
            let kinds = plan.descriptors();
            for example in [kinds.fixed_line(), kinds.mobile()].into_iter().flatten().filter_map(|kind| kind.example()) {
                let digits = format!("{}{example}", plan.country_code());
                assert!(is_possible(digits.as_bytes()), "{digits}");
                assert!(is_valid(digits.as_bytes()), "{digits}");
                examples += 1;
            }
        }
        assert!(examples > 300);
    }

    #[test]
    fn country_codes_are_found_by_prefix() {
        assert_eq!(country_code(b"8613800138000"), Some((86, 2)));
        assert_eq!(country_code(b"12125551234"), Some((1, 1)));
        assert_eq!(country_code(b"85291234567"), Some((852, 3)));
        assert_eq!(country_code(b"0"), None);
        assert_eq!(country_code(b"999123"), None);
    }
}
