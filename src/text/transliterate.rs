//! Replacing characters that GSM 7-bit text lacks, in two levels; the table is `tables/translit.tsv`.
//! Whether the outcome is used is decided in `choose`.

use super::gsm7;
use super::shift::Shifts;
use unicode_normalization::UnicodeNormalization;

/// How far replacing may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Transliteration {
    /// Nothing is replaced.
    #[default]
    None,
    /// Signs that mean the same: quotes, dashes, blanks.
    Safe,
    /// Letters without their accents too.
    Lossy,
}

impl Transliteration {
    /// All levels.
    pub const ALL: [Transliteration; 3] = [Transliteration::None, Transliteration::Safe, Transliteration::Lossy];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Transliteration::None => "none",
            Transliteration::Safe => "safe",
            Transliteration::Lossy => "lossy",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Transliteration> {
        Transliteration::ALL.into_iter().find(|level| level.name() == name)
    }
}

const TABLE: &str = include_str!("tables/translit.tsv");
const COUNT: usize = count_rows();
static ROWS: [Row; COUNT] = rows();

#[derive(Clone, Copy)]
struct Row {
    code: u32,
    lossy: bool,
    /// Where the replacement stands in the file.
    start: usize,
    end: usize,
}

/// `text` composed (NFC) and with every character replaced that the default alphabet lacks and this level may replace.
/// What has no replacement stays.
pub fn transliterate(text: &str, level: Transliteration) -> String {
    if level == Transliteration::None {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    for character in text.nfc() {
        match replacement(character, level).filter(|_| gsm7::septet(character, Shifts::NONE).is_none()) {
            Some(replacement) => out.push_str(replacement),
            None => out.push(character),
        }
    }
    out
}

fn replacement(character: char, level: Transliteration) -> Option<&'static str> {
    let row = ROWS.iter().find(|row| row.code == character as u32 && (!row.lossy || level == Transliteration::Lossy))?;
    Some(match &TABLE[row.start..row.end] {
        "<SP>" => " ",
        "<LF>" => "\n",
        replacement => replacement,
    })
}

const fn count_rows() -> usize {
    let text = TABLE.as_bytes();
    let (mut at, mut lines) = (0, 0);
    while at < text.len() {
        if text[at] == b'\n' {
            lines += 1;
        }
        at += 1;
    }
    // The first line names the columns: level, code point, character, replacement, name.
    lines - 1
}

const fn rows() -> [Row; COUNT] {
    let text = TABLE.as_bytes();
    let mut rows = [Row { code: 0, lossy: false, start: 0, end: 0 }; COUNT];
    let mut at = column_end(text, 0, b'\n') + 1;
    let mut n = 0;
    while n < COUNT {
        let level_end = column_end(text, at, b'\t');
        let code_end = column_end(text, level_end + 1, b'\t');
        let mut code = 0;
        // Behind the tab and "U+".
        let mut digit = level_end + 3;
        while digit < code_end {
            code = code * 16 + super::tables::hex(text[digit]);
            digit += 1;
        }
        let start = column_end(text, code_end + 1, b'\t') + 1;
        let end = column_end(text, start, b'\t');
        rows[n] = Row { code, lossy: text[at] == b'l', start, end };
        at = column_end(text, end, b'\n') + 1;
        n += 1;
    }
    rows
}

const fn column_end(text: &[u8], mut at: usize, mark: u8) -> usize {
    while text[at] != mark {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_replacement_is_in_the_default_alphabet() {
        for row in &ROWS {
            let character = char::from_u32(row.code).unwrap();
            let replacement = replacement(character, Transliteration::Lossy).unwrap();
            assert!(gsm7::septets(replacement, Shifts::NONE).is_ok(), "{character:?} {replacement:?}");
        }
        assert_eq!(ROWS.len(), 175);
    }

    #[test]
    fn the_safe_level_touches_signs_only() {
        let safe = |text| transliterate(text, Transliteration::Safe);
        assert_eq!(safe("“a”\u{2028}b\t…©"), "\"a\"\nb ...(c)");
        assert_eq!(safe("ó\u{3000}一€"), "ó\u{3000}一€");
        assert_eq!(safe("e\u{301}"), "é", "composed first");
        assert_eq!(transliterate("ó – ñ Œ", Transliteration::Lossy), "o - ñ OE");
        assert_eq!(transliterate("“", Transliteration::None), "“");
    }
}
