//! National languages of GSM 7-bit text: which tables a body uses. The tables stand in `tables`.

use super::tables::{BASIC, EXTENSION, LOCKING, SINGLE, Table};

/// A language with a national shift table; the number is the identifier in the header elements 0x24 and 0x25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Language {
    Turkish = 1,
    Spanish = 2,
    Portuguese = 3,
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

impl Language {
    /// All languages in order of their number.
    pub const ALL: [Language; 13] = [
        Language::Turkish,
        Language::Spanish,
        Language::Portuguese,
        Language::Bengali,
        Language::Gujarati,
        Language::Hindi,
        Language::Kannada,
        Language::Malayalam,
        Language::Oriya,
        Language::Punjabi,
        Language::Tamil,
        Language::Telugu,
        Language::Urdu,
    ];

    /// The language of identifier `n`.
    pub fn from_u8(n: u8) -> Option<Language> {
        Language::ALL.get(usize::from(n).checked_sub(1)?).copied()
    }

    /// The name in settings and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Language::Turkish => "turkish",
            Language::Spanish => "spanish",
            Language::Portuguese => "portuguese",
            Language::Bengali => "bengali",
            Language::Gujarati => "gujarati",
            Language::Hindi => "hindi",
            Language::Kannada => "kannada",
            Language::Malayalam => "malayalam",
            Language::Oriya => "oriya",
            Language::Punjabi => "punjabi",
            Language::Tamil => "tamil",
            Language::Telugu => "telugu",
            Language::Urdu => "urdu",
        }
    }

    /// The language of that name.
    pub fn from_name(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == name)
    }

    /// True if it has a locking shift table (all but Spanish).
    pub fn has_locking(self) -> bool {
        self != Language::Spanish
    }
}

/// A set of languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Languages(u16);

impl Languages {
    /// None of them.
    pub const NONE: Languages = Languages(0);

    /// The set with `language` in it.
    #[must_use]
    pub fn with(self, language: Language) -> Languages {
        Languages(self.0 | 1 << language as u16)
    }

    /// True if `language` is in it.
    pub fn has(self, language: Language) -> bool {
        self.0 >> language as u16 & 1 == 1
    }
}

/// The shift tables of one text; none of them by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shifts {
    /// Replaces the extension table.
    pub single: Option<Language>,
    /// Replaces the basic table.
    pub locking: Option<Language>,
}

impl Shifts {
    /// The default alphabet.
    pub const NONE: Shifts = Shifts { single: None, locking: None };

    /// True for the default alphabet.
    pub fn is_default(self) -> bool {
        self == Shifts::NONE
    }

    /// The table for septets without an escape.
    pub fn basic(self) -> &'static Table {
        self.locking.map_or(&BASIC, |language| &LOCKING[language as usize - 1])
    }

    /// The table for septets behind an escape.
    pub fn extension(self) -> &'static Table {
        self.single.map_or(&EXTENSION, |language| &SINGLE[language as usize - 1])
    }

    /// Appends the header elements that announce the tables (0x24 before 0x25), without a length octet.
    pub fn write_elements(self, out: &mut Vec<u8>) {
        if let Some(language) = self.single {
            out.extend([super::udh::SINGLE_SHIFT, 1, language as u8]);
        }
        if let Some(language) = self.locking {
            out.extend([super::udh::LOCKING_SHIFT, 1, language as u8]);
        }
    }
}
