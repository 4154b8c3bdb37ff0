//! What a phone sees of long texts: all parts of one under one reference and, while nothing goes wrong, from one carrier; two texts of one sender never
//! under the same within ten minutes.

use std::collections::BTreeMap;

/// How long a phone waits for parts, milliseconds.
const WAITS_MS: u64 = 600_000;

/// A text in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// A message that the gateway cuts, by its number.
    Own(usize),
    /// A set that upstream cut.
    Passed(usize),
}

/// A part on its way to a phone.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// The phone.
    pub digits: &'a str,
    /// Of which text.
    pub text: Text,
    /// The reference that it has.
    pub reference: u16,
    /// The carrier that took it.
    pub carrier: usize,
    /// When, virtual milliseconds.
    pub at_ms: u64,
    /// Which life of the gateway sent it; the last of all numbers where nobody knows.
    pub life: u64,
}

/// All phones.
#[derive(Debug, Default)]
pub struct Phones {
    /// Phone and reference → the text that used it last, when, and in which life.
    used: BTreeMap<(String, u16), (Text, u64, u64)>,
    /// Set → reference, carrier and life of its last part.
    sets: BTreeMap<usize, (u16, usize, u64)>,
}

impl Phones {
    /// A part comes to a phone; the error says what it must not do.
    pub fn gets(&mut self, part: Leaving<'_>) -> Result<(), String> {
        let Leaving { digits, text, reference, carrier, at_ms, life } = part;
        if let Some((other, last_ms, in_life)) = self.used.insert((digits.to_owned(), reference), (text, at_ms, life)) {
            // Which reference a text of ours left with is known only once its being sent is on record.
            let forgotten = (in_life != life || life == u64::MAX) && (matches!(text, Text::Own(_)) || matches!(other, Text::Own(_)));
            if other != text && at_ms < last_ms + WAITS_MS && !forgotten {
                return Err(format!("a part of {text:?} comes under reference {reference}, which {other:?} has"));
            }
        }
        let Text::Passed(set) = text else { return Ok(()) };
        if let Some((other, from, in_life)) = self.sets.insert(set, (reference, carrier, life)) {
            if other != reference {
                return Err(format!("a part of set {set} comes under reference {reference}, another came under {other}"));
            }
            if in_life == life && life != u64::MAX && from != carrier {
                return Err(format!("a part of set {set} comes from carrier {carrier}, another came from {from}"));
            }
        }
        Ok(())
    }
}
