//! The record files on disk: a folder an hour (UTC), in it files that are complete, each named by when it was written: the number of
//! that time. A file is written under a name that begins with a dot, synced, renamed; what the database of places doesn't count in yet is removed at the next
//! start. So each finished message is in exactly one file, whatever is killed.
//!
//! `2026-11-27T01/{first}-{last}.parquet`: ended in that hour, written by these writes. Once an hour has passed, its small files become one: the
//! new folder is built aside and takes the old one's place in one step, so that whoever reads `*/*.parquet` sees each message once at any moment.

use super::columns::{Columns, properties};
use super::{filters, footers};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Milliseconds of an hour.
pub const HOUR_MS: u64 = 3_600_000;

/// One file that is complete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordFile {
    /// Hours since 1970.
    pub hour: u64,
    /// The first write that is in it.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// The folder of an hour.
pub fn hour_name(hour: u64) -> String {
    let at = jiff::Timestamp::from_second((hour * 3_600) as i64).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H").to_string()
}

/// The hour of a folder, if it is one.
pub fn hour_of(name: &str) -> Option<u64> {
    let at: jiff::civil::DateTime = format!("{name}:00:00").parse().ok()?;
    let seconds = at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    (name.len() == 13).then_some(seconds as u64 / 3_600)
}

impl RecordFile {
    /// Where it is, below the folder of all records.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(hour_name(self.hour)).join(self.name())
    }

    /// Its name in the folder of its hour.
    pub(super) fn name(&self) -> String {
        format!("{:010}-{:010}.parquet", self.first, self.last)
    }

    fn of(hour: u64, name: &str) -> Option<RecordFile> {
        let (first, last) = name.strip_suffix(".parquet")?.split_once('-')?;
        Some(RecordFile { hour, first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

fn told(doing: &str, path: &Path) -> impl Fn(io::Error) -> String {
    let said = format!("{doing} {}", path.display());
    move |error| format!("{said}: {error}")
}

pub(super) fn sync_directory(path: &Path) -> Result<(), String> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(told("syncing", path))
}

/// All complete files, by hour and write; what is in folders that are no hour's is passed over.
///
/// # Errors
/// The folder can't be read.
pub fn list(root: &Path) -> Result<Vec<RecordFile>, String> {
    let mut files = Vec::new();
    for entry in entries(root)? {
        let Some(hour) = entry.file_name().and_then(|name| hour_of(name.to_str()?)) else { continue };
        let names = entries(&entry)?;
        files.extend(names.iter().filter_map(|path| RecordFile::of(hour, path.file_name()?.to_str()?)));
    }
    files.sort();
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(told("reading", folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(told("reading", folder))).collect()
}

/// Removes what a crash left: files that are not complete or not counted in (`writes`: how many are), folders that were being built.
///
/// # Errors
/// In words.
pub fn tidy(root: &Path, writes: u64) -> Result<(), String> {
    fs::create_dir_all(root).map_err(told("creating", root))?;
    for entry in entries(root)? {
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if entry.is_dir() && name.starts_with('.') {
            fs::remove_dir_all(&entry).map_err(told("removing", &entry))?;
            continue;
        }
        let Some(hour) = hour_of(&name) else { continue };
        for path in entries(&entry)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ahead = RecordFile::of(hour, name).is_some_and(|file| file.last > writes);
            if ahead || name.starts_with('.') {
                fs::remove_file(&path).map_err(told("removing", &path))?;
            }
        }
    }
    Ok(())
}

/// Writes a file of these rows, sorted by id; it is durable and in its place on return.
///
/// # Errors
/// In words; nothing is in its place then.
pub fn write(root: &Path, file: &RecordFile, columns: &mut Columns) -> Result<u64, String> {
    let folder = root.join(hour_name(file.hour));
    if !folder.is_dir() {
        fs::create_dir_all(&folder).map_err(told("creating", &folder))?;
        sync_directory(root)?;
    }
    let aside = folder.join(format!(".{}", file.name()));
    let octets = write_to(&aside, file, columns)?;
    let path = file.path(root);
    fs::rename(&aside, &path).map_err(told("renaming", &aside))?;
    sync_directory(&folder)?;
    Ok(octets)
}

/// Writes a file and syncs it.
fn write_to(path: &Path, file: &RecordFile, columns: &mut Columns) -> Result<u64, String> {
    let batch = columns.finish()?;
    let mut writer = begin(path, file)?;
    let fault = |error: parquet::errors::ParquetError| format!("writing {}: {error}", path.display());
    writer.write(&batch).map_err(fault)?;
    let handle = finish(writer).map_err(|error| format!("writing {}: {error}", path.display()))?;
    handle.metadata().map(|found| found.len()).map_err(told("reading", path))
}

/// Removes the files of one write.
///
/// # Errors
/// In words.
pub fn take_back(root: &Path, write: u64) -> Result<(), String> {
    for file in list(root)?.into_iter().filter(|file| (file.first, file.last) == (write, write)) {
        let path = file.path(root);
        fs::remove_file(&path).map_err(told("removing", &path))?;
    }
    Ok(())
}

/// Begins a file.
pub(super) fn begin(path: &Path, file: &RecordFile) -> Result<ArrowWriter<File>, String> {
    // Read too: its filters are, before it is finished.
    let handle = File::options().read(true).write(true).create(true).truncate(true).open(path).map_err(told("creating", path))?;
    let about = vec![
        ("hongyan.writes.first".to_owned(), file.first.to_string()),
        ("hongyan.writes.last".to_owned(), file.last.to_string()),
        ("hongyan.hour".to_owned(), hour_name(file.hour)),
    ];
    ArrowWriter::try_new(handle, super::columns::schema(), Some(properties(about))).map_err(|error| format!("{}: {error}", path.display()))
}

/// Ends a file: what look-ups read of it, its footer; it is on disk on return.
///
/// # Errors
/// In words.
pub(super) fn finish(mut writer: ArrowWriter<File>) -> Result<File, String> {
    filters::append(&mut writer)?;
    footers::append(&mut writer)?;
    let handle = writer.into_inner().map_err(|error| error.to_string())?;
    handle.sync_all().map_err(|error| error.to_string())?;
    Ok(handle)
}

/// Removes the folders of hours before `hour`; how many.
///
/// # Errors
/// In words.
pub fn remove_before(root: &Path, hour: u64) -> Result<usize, String> {
    let mut removed = 0;
    for entry in entries(root)? {
        let is = entry.file_name().and_then(|name| hour_of(name.to_str()?)).is_some_and(|found| found < hour);
        if is {
            // Out of sight first: a reader sees all of the hour or nothing.
            let aside = root.join(format!(".gone-{}", entry.file_name().and_then(|name| name.to_str()).unwrap_or_default()));
            fs::rename(&entry, &aside).map_err(told("removing", &entry))?;
            fs::remove_dir_all(&aside).map_err(told("removing", &aside))?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_have_names_and_names_have_hours() {
        assert_eq!(hour_name(494_401), "2026-05-27T01");
        assert_eq!(hour_of("2026-05-27T01"), Some(494_401));
        for no in ["2026-05-27", "x", ".2026-05-27T01", "2026-13-27T01", "2026-05-27T01:00"] {
            assert_eq!(hour_of(no), None, "{no}");
        }
        let file = RecordFile { hour: 1, first: 7, last: 90 };
        assert_eq!(RecordFile::of(1, &file.name()), Some(file));
    }
}
