//! Phrases that a text must not have. A list of ten thousand is one automaton, made with the plan; a text costs one pass over it, whatever the list's length.

use crate::model::Body;
use crate::text::fold::fold;
use crate::text::transcode::text_of;
use aho_corasick::AhoCorasick;
use std::collections::BTreeMap;

/// Phrases of one list that metrics count by themselves, the first of the list; all further ones are counted together.
pub const PHRASES_COUNTED: usize = 50;

/// A list of phrases.
#[derive(Debug, Clone)]
pub struct Phrases {
    written: Vec<String>,
    automaton: AhoCorasick,
}

impl Phrases {
    /// The list of `written`; case, width and invisible characters don't count. Empty phrases are passed over.
    ///
    /// # Errors
    /// Says in words why no automaton can be made of it: it is too large.
    pub fn new(written: impl IntoIterator<Item = String>) -> Result<Phrases, String> {
        let written: Vec<String> = written.into_iter().filter(|phrase| !fold(phrase).trim().is_empty()).collect();
        let folded = written.iter().map(|phrase| fold(phrase).trim().to_owned());
        let automaton = AhoCorasick::new(folded).map_err(|error| error.to_string())?;
        Ok(Phrases { written, automaton })
    }

    /// The place of a phrase that the text of `body` has; `None` for none, and for what is no text.
    pub fn find(&self, body: &Body) -> Option<usize> {
        let text = text_of(body)?;
        self.automaton.find(&fold(&text)).map(|found| found.pattern().as_usize())
    }

    /// As it was written.
    pub fn phrase(&self, place: usize) -> &str {
        self.written.get(place).map_or("", String::as_str)
    }

    /// Phrases in it.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }
}

/// How often phrases of one list were found. By phrase, so that a list that is read anew goes on counting.
#[derive(Debug, Clone, Default)]
pub struct Hits {
    first: BTreeMap<String, u64>,
    others: u64,
}

impl Hits {
    pub(super) fn count(&mut self, list: &Phrases, place: usize) {
        let phrase = list.phrase(place);
        let is_new = !self.first.contains_key(phrase);
        if place >= PHRASES_COUNTED || (is_new && self.first.len() >= PHRASES_COUNTED * 2) {
            self.others += 1;
        } else {
            *self.first.entry(phrase.to_owned()).or_default() += 1;
        }
    }

    /// Each of the first phrases of `list` with its count, and the others together as `other`.
    pub fn of<'a>(&'a self, list: &'a Phrases) -> impl Iterator<Item = (&'a str, u64)> {
        let count = |phrase: &str| self.first.get(phrase).copied().unwrap_or(0);
        let first = (0..list.len().min(PHRASES_COUNTED)).map(move |place| (list.phrase(place), count(list.phrase(place))));
        first.chain((list.len() > PHRASES_COUNTED).then_some(("other", self.others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Encoding;

    fn body(text: &str) -> Body {
        let septets = crate::text::gsm7::encode(text, crate::text::shift::Shifts::NONE);
        let (encoding, octets) = match septets {
            Some(septets) => (Encoding::Gsm7, septets.to_vec()),
            None => (Encoding::Ucs2, text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        };
        Body { encoding, raw_data_coding: 0, header_len: 0, octets: octets.into() }
    }

    #[test]
    fn a_phrase_is_found_however_it_is_written_and_encoded() {
        let phrases = Phrases::new(["Free Money", "代开发票", "  ", "É"].map(String::from)).unwrap();
        assert_eq!(phrases.len(), 3, "an empty phrase would be in every text");
        for (text, found) in [
            ("get FREE money now", Some("Free Money")),
            ("ｆｒｅｅ　ｍｏｎｅｙ", Some("Free Money")),
            ("可代开\u{200B}发票", Some("代开发票")),
            ("été", Some("É")),
            ("free  money", None),
            ("发票", None),
            ("", None),
        ] {
            assert_eq!(phrases.find(&body(text)).map(|place| phrases.phrase(place)), found, "{text}");
        }
        let latin = Body { encoding: Encoding::Latin1, octets: Box::from(&b"FREE MONEY"[..]), ..body("") };
        assert!(phrases.find(&latin).is_some());
        let binary = Body { encoding: Encoding::Binary, octets: Box::from(&b"free money"[..]), ..body("") };
        assert_eq!(phrases.find(&binary), None, "octets that are no text have no phrases");
    }

    #[test]
    fn ten_thousand_phrases_are_one_list_and_the_first_fifty_are_counted_by_name() {
        let phrases = Phrases::new((0..10_000).map(|n| format!("违禁词{n:05}"))).unwrap();
        let mut hits = Hits::default();
        for n in [7, 7, 49, 50, 9_999] {
            hits.count(&phrases, phrases.find(&body(&format!("买违禁词{n:05}吧"))).unwrap());
        }
        let told: Vec<(&str, u64)> = hits.of(&phrases).filter(|(_, count)| *count > 0).collect();
        assert_eq!(told, [("违禁词00007", 2), ("违禁词00049", 1), ("other", 2)]);
        assert_eq!(hits.of(&phrases).count(), 51);
    }
}
