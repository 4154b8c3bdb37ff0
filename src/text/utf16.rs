//! UTF-16 as it stands in bodies: big-endian, sometimes with a byte order mark, sometimes with an
//! odd octet at the end. Decoding never fails; encoding gives clean UTF-16BE.

/// True if the octets start with the mark of little-endian UTF-16: a broken peer, the octets must be swapped.
pub fn is_swapped(octets: &[u8]) -> bool {
    octets.starts_with(&[0xFF, 0xFE])
}

/// The characters: a leading byte order mark is dropped (and obeyed), lone surrogates and an odd last octet become
/// U+FFFD.
pub fn characters(octets: &[u8]) -> impl Iterator<Item = char> + '_ {
    let swapped = is_swapped(octets);
    let octets = if swapped || octets.starts_with(&[0xFE, 0xFF]) { &octets[2..] } else { octets };
    let (pairs, rest) = octets.as_chunks::<2>();
    let units = pairs.iter().map(move |&pair| if swapped { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) });
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .chain(rest.iter().map(|_| char::REPLACEMENT_CHARACTER))
}

/// The text; see [`characters`].
pub fn decode(octets: &[u8]) -> String {
    characters(octets).collect()
}

/// Appends `text` as UTF-16BE without a mark.
pub fn encode_into(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() * 2);
    out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_obeyed_and_dropped() {
        assert_eq!(decode(&[0xFE, 0xFF, 0x4E, 0x2D]), "中");
        assert_eq!(decode(&[0xFF, 0xFE, 0x2D, 0x4E]), "中");
        assert_eq!(decode(&[0x4E, 0x2D, 0xFE, 0xFF]), "中\u{FEFF}", "only at the start");
    }

    #[test]
    fn what_is_broken_shows_as_a_replacement() {
        assert_eq!(decode(&[0x4E, 0x2D, 0x4E]), "中\u{FFFD}");
        assert_eq!(decode(&[0xD8, 0x3D, 0x00, 0x41]), "\u{FFFD}A");
        assert_eq!(decode(&[0xD8, 0x3D, 0xDE, 0x00]), "😀");
        assert_eq!(decode(&[]), "");
    }

    #[test]
    fn characters_beyond_the_basic_plane_take_two_units() {
        let mut octets = Vec::new();
        encode_into("a😀", &mut octets);
        assert_eq!(octets, [0, 0x61, 0xD8, 0x3D, 0xDE, 0]);
    }
}
