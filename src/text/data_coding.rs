//! What a data_coding says (SMPP v3.4 5.2.19, TS 23.038 section 4): alphabet, message class,
//! message waiting. Which alphabet stands behind "default" is a setting of each peer.

use crate::model::Encoding;

/// The alphabet of a data_coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// The MC's default: see [`DefaultAlphabet`].
    Default,
    /// IA5 (data_coding 1).
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big-endian.
    Ucs2,
    /// Octets.
    Binary,
    /// An alphabet that we don't read (JIS, Cyrillic, Hebrew ..., or reserved).
    Other,
}

/// What a peer means by the default alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DefaultAlphabet {
    /// GSM 7-bit, one septet per octet.
    #[default]
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// ASCII.
    Ascii,
    /// UTF-8.
    Utf8,
    /// GSM 7-bit, eight septets in seven octets.
    PackedGsm7,
}

impl DefaultAlphabet {
    /// All, the usual first.
    pub const ALL: [DefaultAlphabet; 5] =
        [DefaultAlphabet::Gsm7, DefaultAlphabet::Latin1, DefaultAlphabet::Ascii, DefaultAlphabet::Utf8, DefaultAlphabet::PackedGsm7];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            DefaultAlphabet::Gsm7 => "gsm7",
            DefaultAlphabet::Latin1 => "latin1",
            DefaultAlphabet::Ascii => "ascii",
            DefaultAlphabet::Utf8 => "utf8",
            DefaultAlphabet::PackedGsm7 => "packed-gsm7",
        }
    }

    /// The alphabet of that name.
    pub fn from_name(name: &str) -> Option<DefaultAlphabet> {
        DefaultAlphabet::ALL.into_iter().find(|alphabet| alphabet.name() == name)
    }
}

/// Message waiting indication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// The text is to be kept (groups 0xD and 0xE), not thrown away (0xC).
    pub store: bool,
    /// Switch the indication on, not off.
    pub active: bool,
    /// 0 voicemail, 1 fax, 2 e-mail, 3 other.
    pub kind: u8,
}

/// A data_coding, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataCoding {
    /// Its alphabet.
    pub alphabet: Alphabet,
    /// Message class: 0 flash, 1 ME, 2 SIM, 3 TE.
    pub class: Option<u8>,
    /// Message waiting indication.
    pub waiting: Option<Waiting>,
}

/// Reads a data_coding. 0x10 to 0x1F are read as the GSM general group: reserved by SMPP, but widely sent so.
pub fn read(data_coding: u8) -> DataCoding {
    let plain = |alphabet| DataCoding { alphabet, class: None, waiting: None };
    let waiting = |alphabet, store| {
        let waiting = Waiting { store, active: data_coding & 0x08 != 0, kind: data_coding & 0x03 };
        DataCoding { waiting: Some(waiting), ..plain(alphabet) }
    };
    match data_coding {
        0x00 => plain(Alphabet::Default),
        0x01 => plain(Alphabet::Ascii),
        0x02 | 0x04 => plain(Alphabet::Binary),
        0x03 => plain(Alphabet::Latin1),
        0x08 => plain(Alphabet::Ucs2),
        0x10..=0x1F => DataCoding {
            alphabet: match data_coding >> 2 & 3 {
                0 => Alphabet::Default,
                1 => Alphabet::Binary,
                2 => Alphabet::Ucs2,
                _ => Alphabet::Other,
            },
            class: Some(data_coding & 0x03),
            waiting: None,
        },
        0xC0..=0xCF => waiting(Alphabet::Default, false),
        0xD0..=0xDF => waiting(Alphabet::Default, true),
        0xE0..=0xEF => waiting(Alphabet::Ucs2, true),
        0xF0..=0xFF => DataCoding {
            alphabet: if data_coding & 0x04 != 0 { Alphabet::Binary } else { Alphabet::Default },
            class: Some(data_coding & 0x03),
            waiting: None,
        },
        _ => plain(Alphabet::Other),
    }
}

/// How the engine holds text of this alphabet, given what the peer's default is. ASCII and UTF-8 have no encoding of
/// their own there: `transcode::from_wire` turns their octets into one of these.
pub fn encoding(alphabet: Alphabet, default: DefaultAlphabet) -> Encoding {
    match alphabet {
        Alphabet::Default => match default {
            DefaultAlphabet::Gsm7 | DefaultAlphabet::PackedGsm7 => Encoding::Gsm7,
            DefaultAlphabet::Latin1 | DefaultAlphabet::Ascii | DefaultAlphabet::Utf8 => Encoding::Latin1,
        },
        Alphabet::Ascii | Alphabet::Latin1 => Encoding::Latin1,
        Alphabet::Ucs2 => Encoding::Ucs2,
        Alphabet::Binary => Encoding::Binary,
        Alphabet::Other => Encoding::Opaque,
    }
}

/// The data_coding for `encoding` that keeps the message class and waiting bits of `raw`, as far as there is one:
/// Latin-1 has none, and a message to be thrown away (group 0xC) has none in UCS-2. Binary and opaque bodies keep `raw`.
pub fn moved(raw: u8, encoding: Encoding) -> u8 {
    let coding = read(raw);
    match (encoding, coding.class, coding.waiting) {
        (Encoding::Binary | Encoding::Opaque, _, _) => raw,
        (Encoding::Latin1, _, _) => 3,
        (Encoding::Gsm7, Some(class), _) => 0x10 | class,
        (Encoding::Ucs2, Some(class), _) => 0x18 | class,
        (Encoding::Gsm7, None, Some(waiting)) => (if waiting.store { 0xD0 } else { 0xC0 }) | raw & 0x0F,
        (Encoding::Ucs2, None, Some(Waiting { store: true, .. })) => 0xE0 | raw & 0x0F,
        (Encoding::Gsm7, None, None) => 0,
        (Encoding::Ucs2, None, _) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_class_changes_the_alphabet_bits() {
        for (data_coding, alphabet, class) in [
            (0x10, Alphabet::Default, 0),
            (0xF0, Alphabet::Default, 0),
            (0x18, Alphabet::Ucs2, 0),
            (0x15, Alphabet::Binary, 1),
            (0xF6, Alphabet::Binary, 2),
            (0xF3, Alphabet::Default, 3),
        ] {
            assert_eq!(read(data_coding), DataCoding { alphabet, class: Some(class), waiting: None });
        }
    }

    #[test]
    fn message_waiting_groups_name_what_waits() {
        let read = |data_coding| {
            let coding = read(data_coding);
            (coding.alphabet, coding.waiting.unwrap())
        };
        assert_eq!(read(0xC8), (Alphabet::Default, Waiting { store: false, active: true, kind: 0 }));
        assert_eq!(read(0xD2), (Alphabet::Default, Waiting { store: true, active: false, kind: 2 }));
        assert_eq!(read(0xE9), (Alphabet::Ucs2, Waiting { store: true, active: true, kind: 1 }));
    }

    #[test]
    fn what_nobody_reads_stays_opaque() {
        for data_coding in [0x05, 0x06, 0x07, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x20, 0xBF] {
            assert_eq!(encoding(read(data_coding).alphabet, DefaultAlphabet::Gsm7), Encoding::Opaque);
        }
    }
}
