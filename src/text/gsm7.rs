//! GSM 7-bit text (TS 23.038): characters to septets and back, and septets packed into octets. A septet stands in an
//! octet of its own everywhere but between `pack` and `unpack`. Which tables to use is said by the caller.

use super::shift::Shifts;
use super::tables::LATIN_TO_SEPTET;

/// The septet before a character of the extension table.
pub const ESCAPE: u8 = 0x1B;
const CARRIAGE_RETURN: u8 = 0x0D;

/// The text of unpacked septets. See [`decode_into`].
pub fn decode(octets: &[u8], shifts: Shifts) -> String {
    let mut text = String::with_capacity(octets.len());
    decode_into(octets, shifts, &mut text);
    text
}

/// Appends the text of unpacked septets. Escape and a code that the extension table lacks: the basic character;
/// twice escape: a space; a lone escape at the end: nothing; a hole: a space. Octets above 0x7F are no septets
/// (the peer isn't sending this alphabet): they are read as Latin-1.
pub fn decode_into(octets: &[u8], shifts: Shifts, out: &mut String) {
    let basic = shifts.basic();
    let extension = shifts.extension();
    let mut octets = octets.iter();
    while let Some(&octet) = octets.next() {
        if octet == ESCAPE {
            let Some(&next) = octets.next() else { break };
            let code = if next > 0x7F || next == ESCAPE { 0 } else { extension[next as usize] };
            out.push(if code != 0 {
                shown(code)
            } else if next > 0x7F {
                next as char
            } else {
                shown(basic[next as usize])
            });
        } else if octet > 0x7F {
            out.push(octet as char);
        } else {
            out.push(shown(basic[octet as usize]));
        }
    }
}

fn shown(code: u16) -> char {
    if code == 0 { ' ' } else { char::from_u32(u32::from(code)).unwrap_or(' ') }
}

/// The septet of a character: bit 7 set if an escape stands before it; `None` if neither table has it.
pub fn septet(character: char, shifts: Shifts) -> Option<u8> {
    let code = character as u32;
    if shifts.is_default() && code < 256 {
        let septet = LATIN_TO_SEPTET[code as usize];
        return (septet != 0xFF).then_some(septet);
    }
    let code = u16::try_from(code).ok().filter(|&code| code != 0)?;
    let find = |table: &[u16; 128]| table.iter().position(|&other| other == code).map(|at| at as u8);
    find(shifts.basic()).or_else(|| find(shifts.extension()).map(|septet| septet | 0x80))
}

/// Unpacked septets of `text`, or `None` if a character has no septet.
pub fn encode(text: &str, shifts: Shifts) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    encode_into(text, shifts, &mut octets).ok().map(|()| octets)
}

/// Appends the unpacked septets of `text`. The error is the first character that has none; what stands before it has
/// been appended by then.
pub fn encode_into(text: &str, shifts: Shifts, out: &mut Vec<u8>) -> Result<(), char> {
    for character in text.chars() {
        let septet = septet(character, shifts).ok_or(character)?;
        if septet > 0x7F {
            out.extend([ESCAPE, septet & 0x7F]);
        } else {
            out.push(septet);
        }
    }
    Ok(())
}

/// How many septets `text` takes, or the first character that has none.
pub fn septets(text: &str, shifts: Shifts) -> Result<usize, char> {
    text.chars()
        .try_fold(0, |sum, character| septet(character, shifts).map(|septet| sum + if septet > 0x7F { 2 } else { 1 }).ok_or(character))
}

/// Bits to leave free behind a header of `header_octets` (its length octet included) so that the text starts on a
/// septet boundary.
pub fn fill_bits(header_octets: usize) -> usize {
    (7 - (8 * header_octets) % 7) % 7
}

/// Appends `septets` packed, eight in seven octets, behind `fill` zero bits. `pad_return`: where exactly seven bits
/// stay free a CR fills them, for readers that don't know the number of septets and would see an @.
pub fn pack(septets: &[u8], fill: usize, pad_return: bool, out: &mut Vec<u8>) {
    let mut held = 0u32;
    let mut bits = fill;
    let mut push = |septet: u8, held: &mut u32, bits: &mut usize| {
        *held |= u32::from(septet & 0x7F) << *bits;
        *bits += 7;
        while *bits >= 8 {
            out.push(*held as u8);
            *held >>= 8;
            *bits -= 8;
        }
    };
    for &septet in septets {
        push(septet, &mut held, &mut bits);
    }
    if bits == 1 && pad_return && !septets.is_empty() {
        push(CARRIAGE_RETURN, &mut held, &mut bits);
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

/// How many whole septets `octets` packed octets hold behind `fill` bits.
pub fn packed_septets(octets: usize, fill: usize) -> usize {
    (octets * 8).saturating_sub(fill) / 7
}

/// Appends `count` septets unpacked from `octets`, skipping `fill` bits; fewer where the octets end before.
pub fn unpack(octets: &[u8], fill: usize, count: usize, out: &mut Vec<u8>) {
    for index in 0..count.min(packed_septets(octets.len(), fill)) {
        let bit = fill + index * 7;
        let low = u16::from(octets[bit / 8]);
        let high = u16::from(octets.get(bit / 8 + 1).copied().unwrap_or(0));
        out.push(((low | high << 8) >> (bit % 8)) as u8 & 0x7F);
    }
}

/// Unpacks octets that come without a count of septets: all that fit; a CR that only fills the last octet is dropped.
pub fn unpack_all(octets: &[u8], fill: usize, out: &mut Vec<u8>) {
    let count = packed_septets(octets.len(), fill);
    unpack(octets, fill, count, out);
    if count > 0 && octets.len() * 8 - fill == count * 7 && out.last() == Some(&CARRIAGE_RETURN) {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::shift::Language;

    #[test]
    fn odd_escapes_are_read_as_the_standard_says() {
        let read = |octets: &[u8]| decode(octets, Shifts::NONE);
        assert_eq!(read(b"\x1b\x65"), "€");
        assert_eq!(read(b"\x1bA"), "A", "missing in the extension table: the basic character");
        assert_eq!(read(b"a\x1b\x1bb"), "a b");
        assert_eq!(read(b"a\x1b"), "a");
        assert_eq!(read(b"\x1b\r"), "\r");
        assert_eq!(read(&[0, 0xE9]), "@é", "above 0x7F: Latin-1");
    }

    #[test]
    fn every_language_reads_back_what_it_writes() {
        for language in Language::ALL {
            let shifts = Shifts { single: Some(language), locking: language.has_locking().then_some(language) };
            for table in [shifts.basic(), shifts.extension()] {
                let text: String = table.iter().filter(|&&c| c != 0).map(|&c| shown(c)).collect();
                let octets = encode(&text, shifts).unwrap();
                assert_eq!(decode(&octets, shifts), text, "{}", language.name());
            }
        }
    }

    #[test]
    fn packing_leaves_fill_bits_and_gives_the_septets_back() {
        let mut packed = Vec::new();
        pack(b"hellohello", 0, false, &mut packed);
        assert_eq!(packed, [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37]);
        for length in 0..40 {
            for header in [0, 3, 6, 7, 9] {
                let septets: Vec<u8> = (0..length).map(|n| (n * 37 % 128) as u8).collect();
                let mut packed = Vec::new();
                pack(&septets, fill_bits(header), false, &mut packed);
                let mut back = Vec::new();
                unpack(&packed, fill_bits(header), septets.len(), &mut back);
                assert_eq!(back, septets);
            }
        }
    }

    #[test]
    fn seven_free_bits_are_filled_with_a_return_that_the_reader_drops() {
        let mut packed = Vec::new();
        pack(b"1234567", 0, true, &mut packed);
        assert_eq!(packed.len(), 7);
        let mut back = Vec::new();
        unpack_all(&packed, 0, &mut back);
        assert_eq!(back, b"1234567");
    }

    #[test]
    fn the_first_character_without_a_septet_is_named() {
        assert_eq!(septets("añb€ç", Shifts::NONE), Err('ç'));
        assert_eq!(septets("añb€", Shifts::NONE), Ok(5));
        assert_eq!(encode("Α", Shifts::NONE), None, "Greek capital alpha isn't folded");
    }
}
