//! Lines of a file that are not sent: counted by reason, the first ones kept for the screen, all of them in a file if one is wanted.

use crate::number::records::Record;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

/// Lines that are shown.
const SHOWN_MAX: usize = 10;
/// Octets of a line that the file repeats.
const REPEATED_MAX: usize = 500;

/// What became of lines that weren't sent.
pub(super) struct Rejects<'p> {
    file: Option<(&'p Path, csv::Writer<BufWriter<File>>)>,
    counts: BTreeMap<String, u64>,
    shown: Vec<(u64, String, String)>,
}

/// A line as it was written, for the file.
pub(super) fn written(record: &Record<'_>) -> String {
    record.raw_text().chars().take(REPEATED_MAX).collect()
}

impl<'p> Rejects<'p> {
    /// `path`: where all of them are written.
    pub(super) fn new(path: Option<&'p Path>) -> Result<Rejects<'p>, String> {
        let file = match path {
            None => None,
            Some(path) => {
                let mut rows = csv::Writer::from_writer(BufWriter::new(File::create(path).map_err(unwritten(path))?));
                rows.write_record(["line", "reason", "detail", "written"]).map_err(|error| unwritten(path)(error.into()))?;
                Some((path, rows))
            }
        };
        Ok(Rejects { file, counts: BTreeMap::new(), shown: Vec::new() })
    }

    /// The file holds the lines as they were written: whoever collects them must keep that text.
    pub(super) fn wants_text(&self) -> bool {
        self.file.is_some()
    }

    /// A line is not sent.
    pub(super) fn add(&mut self, line: u64, reason: &str, detail: &str, written: &str) -> Result<(), String> {
        match self.counts.get_mut(reason) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(reason.to_owned(), 1);
            }
        }
        // Duplicates are many, and nobody's mistake.
        if self.shown.len() < SHOWN_MAX && reason != super::DUPLICATE {
            self.shown.push((line, reason.to_owned(), detail.to_owned()));
        }
        let Some((path, rows)) = &mut self.file else { return Ok(()) };
        rows.write_record([&line.to_string(), reason, detail, written]).map_err(|error| unwritten(path)(error.into()))
    }

    /// All of them.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Those of one reason.
    pub(super) fn of(&self, reason: &str) -> u64 {
        self.counts.get(reason).copied().unwrap_or(0)
    }

    /// By reason.
    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// The first of them: line, reason, detail.
    pub(super) fn shown(&self) -> &[(u64, String, String)] {
        &self.shown
    }

    /// The same for JSON.
    pub(super) fn to_json(&self) -> Value {
        let first: Vec<Value> =
            self.shown.iter().map(|(line, reason, detail)| json!({ "line": line, "reason": reason, "detail": detail })).collect();
        json!({ "total": self.total(), "by_reason": self.counts, "first": first })
    }

    /// All of it is in the file.
    pub(super) fn close(&mut self) -> Result<(), String> {
        match &mut self.file {
            Some((path, rows)) => rows.flush().map_err(unwritten(path)),
            None => Ok(()),
        }
    }
}

fn unwritten(path: &Path) -> impl Fn(io::Error) -> String + use<'_> {
    move |error| format!("{} can't be written: {error}", path.display())
}
