//! From characters to a body: which encoding a text gets, and why.

use super::segment::{self, SegmentRule};
use super::shift::{Language, Languages, Shifts};
use super::transliterate::{Transliteration, transliterate};
use super::{gsm7, utf16};
use crate::model::{Body, Encoding};
use std::cmp::Reverse;

/// Which encoding the caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Wanted {
    /// The cheapest that holds the text.
    #[default]
    Auto,
    /// This one or none.
    Gsm7,
    /// This one or none.
    Latin1,
    /// This one.
    Ucs2,
}

impl Wanted {
    /// All, in the order of their names' use.
    pub const ALL: [Wanted; 4] = [Wanted::Auto, Wanted::Gsm7, Wanted::Latin1, Wanted::Ucs2];

    /// The name in settings and the API.
    pub fn name(self) -> &'static str {
        match self {
            Wanted::Auto => "auto",
            Wanted::Gsm7 => "gsm7",
            Wanted::Latin1 => "latin1",
            Wanted::Ucs2 => "ucs2",
        }
    }

    /// The wish of that name.
    pub fn from_name(name: &str) -> Option<Wanted> {
        Wanted::ALL.into_iter().find(|wanted| wanted.name() == name)
    }
}

/// Which national tables may be used where the default alphabet isn't enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tables {
    /// Exactly these (none of them: no national tables).
    Exactly(Shifts),
    /// The cheapest of these; both of one language where it is in both sets.
    CheapestOf {
        /// Languages whose single shift table may be used.
        single: Languages,
        /// Languages whose locking shift table may be used.
        locking: Languages,
    },
}

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The encoding.
    pub wanted: Wanted,
    /// How far characters may be replaced to reach GSM 7-bit text; all or nothing.
    pub transliteration: Transliteration,
    /// National tables.
    pub tables: Tables,
    /// How the text will be cut: decides which tables are cheapest.
    pub rule: SegmentRule,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            wanted: Wanted::Auto,
            transliteration: Transliteration::None,
            tables: Tables::Exactly(Shifts::NONE),
            rule: SegmentRule::default(),
        }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The body, with the header that announces national tables if there are any.
    pub body: Body,
    /// The text as it is sent, if transliteration changed it.
    pub text_sent: Option<String>,
    /// The characters that the default alphabet lacks, each once, at most [`OFFENDING_MAX`]: why the text costs more.
    pub offending: Vec<char>,
}

/// Most characters that are named in [`Chosen::offending`].
pub const OFFENDING_MAX: usize = 16;

/// The wanted encoding can't hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{character:?} (U+{code:04X}) can't be written in {encoding}", code = *character as u32, encoding = wanted.name())]
pub struct DoesNotFit {
    /// The encoding that was asked for.
    pub wanted: Wanted,
    /// The first character that it lacks.
    pub character: char,
}

/// Chooses an encoding for `text`, in this order: default alphabet, transliteration, national
/// tables, UCS-2. What the caller forced is never mangled.
pub fn choose(text: &str, options: &Options) -> Result<Chosen, DoesNotFit> {
    match options.wanted {
        Wanted::Ucs2 => return Ok(ucs2(text)),
        Wanted::Latin1 => return latin1(text),
        Wanted::Auto | Wanted::Gsm7 => {}
    }
    let mut septets = Vec::with_capacity(text.len());
    let Err(first) = gsm7::encode_into(text, Shifts::NONE, &mut septets) else {
        return Ok(Chosen { body: body(Encoding::Gsm7, 0, Shifts::NONE, &septets), text_sent: None, offending: Vec::new() });
    };
    if options.transliteration != Transliteration::None {
        let replaced = transliterate(text, options.transliteration);
        if let Some(septets) = gsm7::encode(&replaced, Shifts::NONE) {
            let body = body(Encoding::Gsm7, 0, Shifts::NONE, &septets);
            return Ok(Chosen { body, text_sent: Some(replaced), offending: offending(text) });
        }
    }
    if let Some(body) = national(text, options) {
        return Ok(Chosen { body, text_sent: None, offending: offending(text) });
    }
    match options.wanted {
        Wanted::Gsm7 => Err(DoesNotFit { wanted: Wanted::Gsm7, character: first }),
        _ => Ok(ucs2(text)),
    }
}

/// The characters that the default alphabet lacks, each once, at most [`OFFENDING_MAX`].
pub fn offending(text: &str) -> Vec<char> {
    let mut found = Vec::new();
    for character in text.chars().filter(|&character| gsm7::septet(character, Shifts::NONE).is_none()) {
        if found.len() == OFFENDING_MAX {
            break;
        }
        if !found.contains(&character) {
            found.push(character);
        }
    }
    found
}

fn ucs2(text: &str) -> Chosen {
    let mut octets = Vec::new();
    utf16::encode_into(text, &mut octets);
    Chosen { body: body(Encoding::Ucs2, 8, Shifts::NONE, &octets), text_sent: None, offending: offending(text) }
}

fn latin1(text: &str) -> Result<Chosen, DoesNotFit> {
    let octets: Result<Vec<u8>, char> = text.chars().map(|character| u8::try_from(character).map_err(|_| character)).collect();
    let octets = octets.map_err(|character| DoesNotFit { wanted: Wanted::Latin1, character })?;
    Ok(Chosen { body: body(Encoding::Latin1, 3, Shifts::NONE, &octets), text_sent: None, offending: offending(text) })
}

fn body(encoding: Encoding, raw_data_coding: u8, shifts: Shifts, text: &[u8]) -> Body {
    let mut elements = Vec::new();
    shifts.write_elements(&mut elements);
    let mut octets = Vec::with_capacity(text.len() + elements.len() + 1);
    super::udh::write(None, false, &elements, &mut octets);
    let header_len = octets.len() as u8;
    octets.extend_from_slice(text);
    Body { encoding, raw_data_coding, header_len, octets: octets.into() }
}

/// The cheapest body with national tables, by parts, then by septets left in the last one.
fn national(text: &str, options: &Options) -> Option<Body> {
    let candidates: Vec<Shifts> = match options.tables {
        Tables::Exactly(shifts) if shifts.is_default() => return None,
        Tables::Exactly(shifts) => vec![shifts],
        Tables::CheapestOf { single, locking } => {
            let may_single = |language: Language| Some(language).filter(|&language| single.has(language));
            let may_lock = |language: Language| Some(language).filter(|&language| locking.has(language) && language.has_locking());
            let singles = Language::ALL.into_iter().filter_map(may_single).map(|l| Shifts { single: Some(l), locking: None });
            let lockings = Language::ALL.into_iter().filter_map(may_lock).map(|l| Shifts { single: None, locking: Some(l) });
            let both = Language::ALL.into_iter().filter_map(may_single).filter_map(may_lock);
            singles.chain(lockings).chain(both.map(|l| Shifts { single: Some(l), locking: Some(l) })).collect()
        }
    };
    candidates.into_iter().filter_map(|shifts| Some(body(Encoding::Gsm7, 0, shifts, &gsm7::encode(text, shifts)?))).min_by_key(|body| {
        let counted = count(body, &options.rule);
        (counted.parts, Reverse(counted.left))
    })
}

/// What a body costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Septets, UTF-16 units or octets of the whole text, headers left out.
    pub units: usize,
    /// Parts, 1 or more.
    pub parts: usize,
    /// Units that the last part has room for; 0 where the carrier cuts the text.
    pub left: usize,
}

/// Counts a body under a rule.
pub fn count(body: &Body, rule: &SegmentRule) -> Counted {
    let unit = if body.encoding == Encoding::Ucs2 { 2 } else { 1 };
    let units = body.text().len().div_ceil(unit);
    let parts = segment::count(body, rule);
    // Packing changes octets, not units.
    let rule = SegmentRule { packed: false, ..*rule };
    let mut left = 0;
    segment::for_each(body, &rule, 0, &mut Vec::new(), |view| {
        let header = if view.has_header { view.octets[0] as usize + 1 } else { 0 };
        // With sar_ TLVs the carrier puts a header in: 7 octets, or 6 more beside ours.
        let hidden = if view.sar.is_none() { 0 } else { 6 + usize::from(header == 0) };
        left = segment::capacity(body.encoding, header + hidden).saturating_sub(view.octets.len() - header) / unit;
    });
    Counted { units, parts, left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(wanted: Wanted) -> Options {
        Options { wanted, ..Options::default() }
    }

    #[test]
    fn a_forced_encoding_refuses_what_does_not_fit() {
        assert_eq!(choose("añ中", &with(Wanted::Gsm7)), Err(DoesNotFit { wanted: Wanted::Gsm7, character: '中' }));
        assert_eq!(choose("é€", &with(Wanted::Latin1)), Err(DoesNotFit { wanted: Wanted::Latin1, character: '€' }));
        assert_eq!(&*choose("çé", &with(Wanted::Latin1)).unwrap().body.octets, [0xE7, 0xE9]);
        let error = choose("中", &with(Wanted::Gsm7)).unwrap_err();
        assert_eq!(error.to_string(), "'中' (U+4E2D) can't be written in gsm7");
    }

    #[test]
    fn the_characters_that_cost_are_named_once() {
        assert_eq!(choose("a中b中国", &with(Wanted::Auto)).unwrap().offending, ['中', '国']);
        assert!(choose("abc", &with(Wanted::Auto)).unwrap().offending.is_empty());
    }

    #[test]
    fn the_cheapest_tables_are_taken() {
        let some = Languages::default().with(Language::Spanish).with(Language::Turkish);
        let options = Options { tables: Tables::CheapestOf { single: some, locking: some }, ..Options::default() };
        let shifts = |text: &str| super::super::udh::shifts_of(choose(text, &options).unwrap().body.header());
        assert_eq!(shifts("plain"), Shifts::NONE);
        // One odd letter: two septets, but the same header; many: the locking table.
        assert_eq!(shifts("acción"), Shifts { single: Some(Language::Spanish), locking: None });
        assert_eq!(shifts("ığışığış"), Shifts { single: None, locking: Some(Language::Turkish) });
        assert_eq!(shifts("中"), Shifts::NONE);
    }

    #[test]
    fn what_is_left_in_the_last_part_is_told() {
        let counted = |text: &str| count(&choose(text, &Options::default()).unwrap().body, &SegmentRule::default());
        assert_eq!(counted(""), Counted { units: 0, parts: 1, left: 160 });
        assert_eq!(counted(&"a".repeat(161)), Counted { units: 161, parts: 2, left: 143 });
        assert_eq!(counted("中"), Counted { units: 1, parts: 1, left: 69 });
        let sar = SegmentRule::new(segment::Concatenation::Sar);
        assert_eq!(count(&choose(&"a".repeat(161), &Options::default()).unwrap().body, &sar), Counted { units: 161, parts: 2, left: 143 });
    }
}
