//! Small files of an hour become one. A thread of its own writes it into a folder aside; the keeper, who alone adds files, then puts that folder in the place of
//! the hour's in one step, with the files that were not merged linked into it.

use super::files::{self, HOUR_MS, RecordFile, hour_name};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A file of fewer rows is small.
const SMALL_ROWS: u64 = 128 << 10;
/// Rows that become one file: all of them are in memory at once.
const MERGED_ROWS: u64 = 4 * SMALL_ROWS;
/// Small files of the hour that runs at which it is not waited for its end.
const MANY: usize = 64;
/// An hour is over so long after its end: ends are written with some delay.
const AFTER_MS: u64 = 120_000;

/// Files that are to become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub hour: u64,
    pub inputs: Vec<RecordFile>,
}

impl Job {
    /// The file that they become.
    pub fn output(&self) -> RecordFile {
        let first = self.inputs.iter().map(|file| file.first).min().unwrap_or(0);
        let last = self.inputs.iter().map(|file| file.last).max().unwrap_or(0);
        RecordFile { hour: self.hour, first, last }
    }

    fn folder(&self, root: &Path) -> PathBuf {
        root.join(format!(".merge-{}", hour_name(self.hour)))
    }
}

/// What is to be merged next, of files with their rows, at wall time `now_ms`.
pub(super) fn next(files: &[(RecordFile, u64)], now_ms: u64) -> Option<Job> {
    let mut hours: BTreeMap<u64, Vec<(&RecordFile, u64)>> = BTreeMap::new();
    for (file, rows) in files.iter().filter(|(_, rows)| *rows < SMALL_ROWS) {
        hours.entry(file.hour).or_default().push((file, *rows));
    }
    let (hour, mut small) = hours.into_iter().find(|(hour, small)| {
        let is_over = (hour + 1) * HOUR_MS + AFTER_MS < now_ms;
        small.len() >= if is_over { 2 } else { MANY }
    })?;
    small.sort();
    let mut sum = 0;
    let fitting = small.into_iter().take_while(|(_, rows)| {
        sum += rows;
        sum <= MERGED_ROWS
    });
    let inputs: Vec<RecordFile> = fitting.map(|(file, _)| file.clone()).collect();
    (inputs.len() >= 2).then_some(Job { hour, inputs })
}

/// Begins to write the merged file, aside.
pub(super) fn begin(root: PathBuf, job: Job) -> Result<JoinHandle<Result<Job, String>>, String> {
    let run = move || {
        // On Linux this is the thread's own.
        let _ = rustix::process::setpriority_process(None, 15);
        write(&root, &job).map(|()| job)
    };
    std::thread::Builder::new().name("records-merge".into()).spawn(run).map_err(|error| error.to_string())
}

fn write(root: &Path, job: &Job) -> Result<(), String> {
    let folder = job.folder(root);
    let fault = |error: &dyn std::fmt::Display| format!("merging {}: {error}", folder.display());
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| fault(&error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| fault(&error))?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    for file in &job.inputs {
        let handle = File::open(file.path(root)).map_err(|error| fault(&error))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(handle).and_then(|builder| builder.with_batch_size(32_768).build());
        for batch in reader.map_err(|error| fault(&error))? {
            batches.push(batch.map_err(|error| fault(&error))?);
        }
    }
    let mut order: Vec<(i64, u8, usize, usize)> = Vec::new();
    for (at, batch) in batches.iter().enumerate() {
        let (ids, revisions) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<UInt8Type>());
        order.extend((0..batch.num_rows()).map(|row| (ids.value(row), revisions.value(row), at, row)));
    }
    order.sort_unstable();
    let output = job.output();
    let mut writer = files::begin(&folder.join(output.name()), &output)?;
    let all: Vec<&RecordBatch> = batches.iter().collect();
    for some in order.chunks(32_768) {
        let places: Vec<(usize, usize)> = some.iter().map(|&(_, _, at, row)| (at, row)).collect();
        let merged = interleave_record_batch(&all, &places).map_err(|error| fault(&error))?;
        writer.write(&merged).map_err(|error| fault(&error))?;
    }
    files::finish(writer).map_err(|error| fault(&error))?;
    Ok(())
}

/// Puts the merged file in the place of its inputs. All other files of the hour stay.
pub(super) fn put_in_place(root: &Path, job: &Job) -> Result<(), String> {
    let (aside, hour) = (job.folder(root), root.join(hour_name(job.hour)));
    let fault = |error: &dyn std::fmt::Display| format!("merging {}: {error}", hour.display());
    for file in files::list(root)?.iter().filter(|file| file.hour == job.hour && !job.inputs.contains(file)) {
        fs::hard_link(file.path(root), aside.join(file.name())).map_err(|error| fault(&error))?;
    }
    files::sync_directory(&aside)?;
    let cwd = rustix::fs::CWD;
    rustix::fs::renameat_with(cwd, &aside, cwd, &hour, rustix::fs::RenameFlags::EXCHANGE).map_err(|error| fault(&error))?;
    files::sync_directory(root)?;
    // What it held is in the other folder now.
    fs::remove_dir_all(&aside).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_of_an_hour_that_is_over_are_merged_and_others_only_when_there_are_many() {
        let file = |hour, write, rows| (RecordFile { hour, first: write, last: write }, rows);
        let now = 101 * HOUR_MS + AFTER_MS + 1;
        let over = [file(100, 1, 10), file(100, 2, 2 * SMALL_ROWS), file(100, 3, 20), file(101, 4, 1), file(101, 5, 1)];
        let job = next(&over, now).unwrap();
        assert_eq!((job.hour, job.inputs.len(), job.output()), (100, 2, RecordFile { hour: 100, first: 1, last: 3 }));
        assert_eq!(next(&over[1..], now), None, "one alone stays");
        let many: Vec<_> = (0..MANY as u64).map(|write| file(101, write, 1)).collect();
        assert_eq!(next(&many, now).map(|job| job.inputs.len()), Some(MANY));
    }
}
