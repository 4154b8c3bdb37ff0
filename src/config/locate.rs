//! A TOML text with its positions: from a key's path to its line, and from an error's place back to the key.

use super::check::Problem;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One parsed file.
pub(super) struct Document<'i> {
    name: String,
    text: &'i str,
    root: DeTable<'i>,
}

impl<'i> Document<'i> {
    /// Parses `text`; `name` is how the file is called in problems.
    pub fn parse(name: &str, text: &'i str) -> Result<Document<'i>, Problem> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Document { name: name.to_owned(), text, root: root.into_inner() }),
            Err(error) => {
                let line = error.span().map_or(0, |span| line_at(text, span.start));
                // Only the parser's message: its Display quotes the line, which may hold a secret.
                Err(Problem { file: name.to_owned(), line, key: String::new(), what: format!("not TOML: {}", error.message()) })
            }
        }
    }

    /// How the file is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole as a table, to be changed before it is read.
    pub fn root(&self) -> &DeTable<'i> {
        &self.root
    }

    /// Reads `table`, which came out of this document and lies at path `at`, into `T`.
    pub fn read<T: for<'de> Deserialize<'de>>(&self, at: &str, table: DeTable<'_>) -> Result<T, Problem> {
        let spanned = Spanned::new(0..0, DeValue::Table(table));
        T::deserialize(spanned.into_deserializer()).map_err(|error: toml::de::Error| {
            let span = error.span().filter(|span| span.end > 0);
            let key = span.clone().map_or_else(|| at.to_owned(), |span| self.path_at(&span));
            let line = span.map_or_else(|| self.line_of_key(at), |span| line_at(self.text, span.start));
            Problem { file: self.name.clone(), line, key, what: plain(error.message()) }
        })
    }

    /// True if the key of this path is written in the file.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).1
    }

    /// The line of the key at `path`; of the nearest table above it if the key isn't there.
    pub fn line_of_key(&self, path: &str) -> usize {
        line_at(self.text, self.find(path).0)
    }

    /// Offset of the deepest part of `path` that is there, and whether that is all of it.
    fn find(&self, path: &str) -> (usize, bool) {
        let mut offset = 0;
        let mut table = Some(&self.root);
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let (key, index) = split_index(step);
            let Some((name, value)) = table.and_then(|table| table.get_key_value(key)) else { return (offset, false) };
            offset = name.span().start;
            let mut value = value;
            if let Some(index) = index {
                let Some(element) = value.get_ref().as_array().and_then(|array| array.get(index)) else { return (offset, false) };
                offset = element.span().start;
                value = element;
            }
            table = value.get_ref().as_table();
        }
        (offset, true)
    }

    /// The path of the smallest entry whose key or value covers `span`.
    fn path_at(&self, span: &Range<usize>) -> String {
        let mut best = (usize::MAX, String::new());
        visit(&self.root, "", &mut |path, covered| {
            if covered.start <= span.start && span.end <= covered.end && covered.len() <= best.0 {
                best = (covered.len(), path.to_owned());
            }
        });
        best.1
    }
}

/// Walks all entries, giving each one's path and the spans of its key and value.
fn visit(table: &DeTable<'_>, at: &str, found: &mut dyn FnMut(&str, Range<usize>)) {
    for (key, value) in table {
        let path = if at.is_empty() { key.get_ref().to_string() } else { format!("{at}.{}", key.get_ref()) };
        found(&path, key.span());
        visit_value(value, &path, found);
    }
}

fn visit_value(value: &Spanned<DeValue<'_>>, path: &str, found: &mut dyn FnMut(&str, Range<usize>)) {
    found(path, value.span());
    match value.get_ref() {
        DeValue::Table(table) => visit(table, path, found),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                visit_value(element, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// `account[3]` is `account` and 3.
fn split_index(step: &str) -> (&str, Option<usize>) {
    let Some((key, rest)) = step.split_once('[') else { return (step, None) };
    (key, rest.trim_end_matches(']').parse().ok())
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())].iter().filter(|&&octet| octet == b'\n').count()
}

/// serde names Rust's types and says "expected"; an operator is told what is allowed.
fn plain(message: &str) -> String {
    let mut text = message.replace(", expected ", "; allowed: ").replace("; allowed: one of ", "; allowed: ");
    for (rust, words) in [
        ("allowed: u8", "allowed: an integer from 0 to 255"),
        ("allowed: u16", "allowed: an integer from 0 to 65535"),
        ("allowed: u32", "allowed: an integer from 0 to 4294967295"),
        ("allowed: u64", "allowed: an integer from 0 up"),
        ("allowed: f64", "allowed: a number"),
        ("allowed: a boolean", "allowed: true or false"),
        ("unknown field", "unknown key"),
        ("unknown variant", "unknown value"),
        ("missing field", "missing key"),
    ] {
        text = text.replace(rust, words);
    }
    text
}
