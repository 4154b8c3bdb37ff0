//! How a configuration is refused: every problem at once, each with file, line, key and what is allowed.

use super::locate::Document;
use std::fmt;
use std::ops::RangeInclusive;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Line in it, from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// The key, as a path: `account[0].window`. Empty if no key is meant.
    pub key: String,
    /// What is wrong and what is allowed. Never holds a secret's value.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Everything that was found, at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// Gathers problems of one checked file. Keys are paths in it; lines are found when a problem is written down.
pub(super) struct Checks<'d> {
    documents: Vec<(&'d Document<'d>, String)>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
}

impl<'d> Checks<'d> {
    /// Checks of values that stand in `document`.
    pub fn new(document: &'d Document<'d>) -> Checks<'d> {
        Checks { documents: vec![(document, String::new())], problems: Vec::new(), warnings: Vec::new() }
    }

    /// From now on keys below `prefix` are looked for in `document` (without the prefix) where the first doesn't have them.
    pub fn also_in(&mut self, document: &'d Document<'d>, prefix: String) {
        self.documents.push((document, prefix));
    }

    /// Writes a problem down at key `key` below `at`.
    pub fn problem(&mut self, at: &str, key: &str, what: impl Into<String>) {
        let path = join(at, key);
        let mut place = &self.documents[0];
        let mut local = path.as_str();
        if !place.0.has(&path) {
            for other in &self.documents[1..] {
                let below = path.strip_prefix(other.1.as_str()).map(|rest| rest.trim_start_matches('.'));
                if let Some(below) = below.filter(|below| other.0.has(below)) {
                    (place, local) = (other, below);
                }
            }
        }
        let line = place.0.line_of_key(local);
        self.problems.push(Problem { file: place.0.name().to_owned(), line, key: local.to_owned(), what: what.into() });
    }

    /// `value` must lie in `allowed`.
    pub fn range<T: PartialOrd + fmt::Display>(&mut self, at: &str, key: &str, value: T, allowed: RangeInclusive<T>) {
        if !allowed.contains(&value) {
            self.problem(at, key, format!("{value} is out of range; allowed: {} to {}", allowed.start(), allowed.end()));
        }
    }

    /// A string's length in octets must lie in `allowed`. The string itself is not shown.
    pub fn length(&mut self, at: &str, key: &str, text: &str, allowed: RangeInclusive<usize>) {
        if !allowed.contains(&text.len()) {
            self.problem(at, key, format!("has {} characters; allowed: {} to {}", text.len(), allowed.start(), allowed.end()));
        } else if text.bytes().any(|octet| octet == 0 || !octet.is_ascii()) {
            self.problem(at, key, "has characters outside ASCII; allowed: printable ASCII");
        }
    }

    /// An interface_version must be one that we speak.
    pub fn version(&mut self, at: &str, key: &str, version: u8) {
        let known = matches!(version, 0x33 | 0x34 | 0x50);
        self.require(at, key, known, &format!("{version:#04x} is unknown"), "0x33, 0x34 or 0x50");
    }

    /// `holds`, or a problem of this wording.
    pub fn require(&mut self, at: &str, key: &str, holds: bool, what: &str, allowed: &str) {
        if !holds {
            self.problem(at, key, format!("{what}; allowed: {allowed}"));
        }
    }

    /// Something allowed that looks like a mistake.
    pub fn warn(&mut self, at: &str, key: &str, what: &str) {
        let path = join(at, key);
        let document = self.documents[0].0;
        self.warnings.push(format!("{}:{}: {path}: {what}", document.name(), document.line_of_key(&path)));
    }
}

fn join(at: &str, key: &str) -> String {
    match (at.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (_, true) => at.to_owned(),
        _ => format!("{at}.{key}"),
    }
}

/// True for a name that may stand in logs, metrics and on disk: 1 to 40 of a-z, 0-9, - and _.
pub fn is_name(name: &str) -> bool {
    (1..=40).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_')
}

impl Checks<'_> {
    /// A name that stands in logs, metrics and on disk.
    pub fn name(&mut self, at: &str, key: &str, name: &str) {
        self.require(at, key, is_name(name), &format!("'{name}' is no name"), "1 to 40 of a-z, 0-9, - and _");
    }
}
