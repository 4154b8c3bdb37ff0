//! The range table from the configuration's files.

use crate::config::Ranges;
use crate::number::range_file::{Vocabulary, read_operators, read_ported, read_ranges};
use crate::number::ranges::TableBuilder;
use crate::number::{HomeRegion, RangeTable, TableError};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The table that `ranges` names. `home` is the country of ported numbers without a country code.
pub fn load(ranges: &Ranges, home: HomeRegion) -> Result<Arc<RangeTable>, TableError> {
    if *ranges == Ranges::default() {
        return Ok(RangeTable::shipped());
    }
    let (mut builder, vocabulary) = begin(ranges, home);
    for path in &ranges.files {
        open(path, &mut builder, |builder, name, file| read_ranges(builder, name, file, &vocabulary));
    }
    for path in &ranges.ported {
        open(path, &mut builder, |builder, name, file| read_ported(builder, name, file, &vocabulary));
    }
    builder.build().map(Arc::new)
}

/// The table of these files alone, over the shipped one, with the operators and zones of `ranges`: a file is of ported numbers if its header says so.
pub fn of_files(files: &[PathBuf], ranges: &Ranges, home: HomeRegion) -> Result<RangeTable, TableError> {
    let (mut builder, vocabulary) = begin(ranges, home);
    for path in files {
        open(path, &mut builder, |builder, name, file| {
            let read = if is_of_ported(path) { read_ported } else { read_ranges };
            read(builder, name, file, &vocabulary);
        });
    }
    builder.build()
}

/// The shipped rows, and the operators that further rows may name.
fn begin(ranges: &Ranges, home: HomeRegion) -> (TableBuilder, Vocabulary) {
    let zones: BTreeMap<String, String> = ranges.zones.iter().map(|(country, zone)| (country.clone(), zone.name().to_owned())).collect();
    let mut builder = TableBuilder::shipped_with(&zones);
    for country in zones.keys().filter(|country| HomeRegion::from_iso(country).is_none()) {
        builder.problems.add(
            "ranges.zones",
            0,
            format!("'{country}' is no country with a numbering plan; allowed: ISO 3166 letters (US, BR ...)"),
        );
    }
    let mut vocabulary = Vocabulary::new(home);
    for path in &ranges.operators {
        open(path, &mut builder, |builder, name, file| read_operators(builder, name, file, &mut vocabulary));
    }
    (builder, vocabulary)
}

fn open(path: &Path, builder: &mut TableBuilder, read: impl FnOnce(&mut TableBuilder, &str, File)) {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read(builder, &name, file),
        Err(error) => builder.problems.add(&name, 0, format!("can't be opened: {error}")),
    }
}

/// True if the header has a column `number`.
fn is_of_ported(path: &Path) -> bool {
    let Ok(Ok(mut records)) = File::open(path).map(crate::number::records::Records::open) else { return false };
    loop {
        match records.read() {
            Ok(Some(record)) if record.raw.first() == Some(&b'#') => {}
            Ok(Some(record)) => return (0..record.len()).any(|at| record.text(at).eq_ignore_ascii_case("number")),
            _ => return false,
        }
    }
}
