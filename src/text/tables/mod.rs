//! The character tables, read at compile time from the TSV files beside this one (columns: septet, extension, code
//! point, character, name), so that a file is the only place in which a character stands.

/// One table of 128 septets: the code point of each, 0 for a hole.
pub type Table = [u16; 128];

/// GSM 7-bit default alphabet (TS 23.038 6.2.1); 0x1B is a hole here.
pub static BASIC: Table = read(include_str!("gsm7.tsv"), b'0');
/// Default extension table (TS 23.038 6.2.1.1).
pub static EXTENSION: Table = read(include_str!("gsm7.tsv"), b'1');

/// Septets of the default alphabet for code points below 256: the septet, with bit 7 set if it stands behind an
/// escape; 0xFF if there is none.
pub static LATIN_TO_SEPTET: [u8; 256] = invert(&BASIC, &EXTENSION);

/// Single shift tables by language number minus one (TS 23.038 annex A.2).
pub static SINGLE: [Table; 13] = [
    read(include_str!("shift/01-turkish-single.tsv"), b'1'),
    read(include_str!("shift/02-spanish-single.tsv"), b'1'),
    read(include_str!("shift/03-portuguese-single.tsv"), b'1'),
    read(include_str!("shift/04-bengali-single.tsv"), b'1'),
    read(include_str!("shift/05-gujarati-single.tsv"), b'1'),
    read(include_str!("shift/06-hindi-single.tsv"), b'1'),
    read(include_str!("shift/07-kannada-single.tsv"), b'1'),
    read(include_str!("shift/08-malayalam-single.tsv"), b'1'),
    read(include_str!("shift/09-oriya-single.tsv"), b'1'),
    read(include_str!("shift/10-punjabi-single.tsv"), b'1'),
    read(include_str!("shift/11-tamil-single.tsv"), b'1'),
    read(include_str!("shift/12-telugu-single.tsv"), b'1'),
    read(include_str!("shift/13-urdu-single.tsv"), b'1'),
];

/// Locking shift tables by language number minus one (annex A.3); Spanish has none: the default alphabet stands there.
pub static LOCKING: [Table; 13] = [
    read(include_str!("shift/01-turkish-locking.tsv"), b'0'),
    read(include_str!("gsm7.tsv"), b'0'),
    read(include_str!("shift/03-portuguese-locking.tsv"), b'0'),
    read(include_str!("shift/04-bengali-locking.tsv"), b'0'),
    read(include_str!("shift/05-gujarati-locking.tsv"), b'0'),
    read(include_str!("shift/06-hindi-locking.tsv"), b'0'),
    read(include_str!("shift/07-kannada-locking.tsv"), b'0'),
    read(include_str!("shift/08-malayalam-locking.tsv"), b'0'),
    read(include_str!("shift/09-oriya-locking.tsv"), b'0'),
    read(include_str!("shift/10-punjabi-locking.tsv"), b'0'),
    read(include_str!("shift/11-tamil-locking.tsv"), b'0'),
    read(include_str!("shift/12-telugu-locking.tsv"), b'0'),
    read(include_str!("shift/13-urdu-locking.tsv"), b'0'),
];

/// Reads the rows whose second column is `kind`. A row is `0xSS<TAB>K<TAB>U+HHHH<TAB>...`; the escape is left out.
const fn read(tsv: &str, kind: u8) -> Table {
    let text = tsv.as_bytes();
    let mut table = [0u16; 128];
    let mut at = 0;
    while at < text.len() {
        if text.len() - at > 12 && text[at] == b'0' && text[at + 1] == b'x' && text[at + 5] == kind {
            let septet = hex(text[at + 2]) * 16 + hex(text[at + 3]);
            let mut code = 0;
            let mut digit = at + 9;
            while digit < text.len() && text[digit] != b'\t' {
                code = code * 16 + hex(text[digit]);
                digit += 1;
            }
            assert!(septet < 128 && code <= 0xFFFF, "a septet's character is in the basic plane");
            if septet != 0x1B {
                table[septet as usize] = code as u16;
            }
        }
        while at < text.len() && text[at] != b'\n' {
            at += 1;
        }
        at += 1;
    }
    table
}

pub(super) const fn hex(digit: u8) -> u32 {
    match digit {
        b'0'..=b'9' => (digit - b'0') as u32,
        b'A'..=b'F' => (digit - b'A' + 10) as u32,
        _ => panic!("not an upper-case hexadecimal digit"),
    }
}

const fn invert(basic: &Table, extension: &Table) -> [u8; 256] {
    let mut inverse = [0xFF; 256];
    let mut septet = 128;
    // Downwards, and the basic table last: the lowest and shortest code wins.
    while septet > 0 {
        septet -= 1;
        let code = extension[septet] as usize;
        if code != 0 && code < 256 {
            inverse[code] = septet as u8 | 0x80;
        }
    }
    let mut septet = 128;
    while septet > 0 {
        septet -= 1;
        let code = basic[septet] as usize;
        if code != 0 && code < 256 {
            inverse[code] = septet as u8;
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_alphabet_has_127_characters_and_ten_more_behind_the_escape() {
        assert_eq!(BASIC.iter().filter(|&&c| c != 0).count(), 127);
        assert_eq!(EXTENSION.iter().filter(|&&c| c != 0).count(), 10);
        assert_eq!(BASIC[0], '@' as u16);
        assert_eq!(EXTENSION[0x65], '€' as u16);
        assert_eq!(LATIN_TO_SEPTET['a' as usize], 0x61);
        assert_eq!(LATIN_TO_SEPTET['{' as usize], 0x80 | 0x28);
        assert_eq!(LATIN_TO_SEPTET['`' as usize], 0xFF);
    }

    #[test]
    fn every_shift_file_was_read_to_its_last_row() {
        for table in SINGLE.iter().chain(&LOCKING) {
            assert!(table.iter().filter(|&&c| c != 0).count() >= 16);
            assert!(table[0x40..].iter().any(|&c| c != 0));
        }
        assert_eq!(SINGLE[0][0x73], 'ş' as u16);
        assert_eq!(LOCKING[6][0x24], 0x0CA1, "the corrected Kannada code");
    }
}
