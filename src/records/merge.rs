//! Small files of an hour become one. A thread of its own writes it into a folder aside, from a few rows of each at a time; the keeper, who alone adds files, then
//! puts that folder in the place of the hour's in one step, with the files that were not merged linked into it.

use super::files::{self, HOUR_MS, RecordFile, hour_name};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_select::interleave::interleave_record_batch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// In the hour that runs, a file of fewer rows is small.
const SMALL_ROWS: u64 = 128 << 10;
/// Small files of the hour that runs at which it is not waited for its end.
const MANY: usize = 32;
/// Rows that become one file: an hour of a hundred million messages a day. A look-up reads in each file at least once, and a disk that has to be waited for
/// is asked as often.
const MERGED_ROWS: u64 = 4 << 20;
/// In an hour that is over, a file of fewer rows is small.
const LEFT_ROWS: u64 = MERGED_ROWS / 2;
/// Rows of an input that are in memory at a time.
const INPUT_ROWS: usize = 2_048;
/// Rows that are written at a time.
const OUTPUT_ROWS: usize = 16_384;
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

    /// Where it is until it is in its place.
    pub fn aside(&self, root: &Path) -> PathBuf {
        self.folder(root).join(self.output().name())
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> String {
        format!("merging {}: {error}", hour_name(self.hour))
    }
}

/// What is to be merged next, of files with their rows, at wall time `now_ms`. `is_behind`: files of hours that are over may still come.
pub(super) fn next(files: &[(RecordFile, u64)], now_ms: u64, is_behind: bool) -> Option<Job> {
    let is_over = |hour: u64| !is_behind && (hour + 1) * HOUR_MS + AFTER_MS < now_ms;
    let mut hours: BTreeMap<u64, Vec<(&RecordFile, u64)>> = BTreeMap::new();
    for (file, rows) in files.iter().filter(|(file, rows)| *rows < if is_over(file.hour) { LEFT_ROWS } else { SMALL_ROWS }) {
        hours.entry(file.hour).or_default().push((file, *rows));
    }
    let (hour, mut small) = hours.into_iter().find(|(hour, small)| small.len() >= if is_over(*hour) { 2 } else { MANY })?;
    small.sort();
    let mut sum = 0;
    let fitting = small.into_iter().take_while(|(_, rows)| {
        sum += rows;
        sum <= MERGED_ROWS
    });
    // Two that are small fit together always.
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
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| job.fault(&error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| job.fault(&error))?;
    let mut inputs = Vec::with_capacity(job.inputs.len());
    for file in &job.inputs {
        inputs.push(Input::open(&file.path(root)).map_err(|error| job.fault(&error))?);
    }
    let output = job.output();
    let mut writer = files::begin(&job.aside(root), &output)?;
    let mut merged = Merged::of(inputs);
    while let Some(batch) = merged.take(OUTPUT_ROWS).map_err(|error| job.fault(&error))? {
        writer.write(&batch).map_err(|error| job.fault(&error))?;
    }
    files::finish(writer).map_err(|error| job.fault(&error))?;
    Ok(())
}

/// A file whose rows come in their order, some at a time.
struct Input {
    rows: ParquetRecordBatchReader,
    /// Where the rows that come next are among the batches in memory, and the first of them.
    batch: usize,
    at: usize,
}

impl Input {
    fn open(path: &Path) -> Result<Input, String> {
        let handle = File::open(path).map_err(|error| error.to_string())?;
        let rows = ParquetRecordBatchReaderBuilder::try_new(handle).and_then(|builder| builder.with_batch_size(INPUT_ROWS).build());
        Ok(Input { rows: rows.map_err(|error| error.to_string())?, batch: 0, at: 0 })
    }
}

/// A message's end: its id, and which end it is.
type End = (i64, u8);

fn end_at(batch: &RecordBatch, row: usize) -> End {
    (batch.column(0).as_primitive::<Int64Type>().value(row), batch.column(1).as_primitive::<UInt8Type>().value(row))
}

/// The rows of all inputs in one order. Of each input a few are in memory, whatever its size.
struct Merged {
    inputs: Vec<Input>,
    /// Batches from which rows come.
    batches: Vec<RecordBatch>,
    /// The next end of each input that has some left.
    next: BinaryHeap<Reverse<(End, usize)>>,
}

impl Merged {
    fn of(inputs: Vec<Input>) -> Merged {
        // Each brings its first rows when its turn comes: at once.
        let next = (0..inputs.len()).map(|input| Reverse(((i64::MIN, 0), input))).collect();
        Merged { inputs, batches: Vec::new(), next }
    }

    /// The next rows, so many at most; `None` at the end.
    fn take(&mut self, most: usize) -> Result<Option<RecordBatch>, String> {
        self.let_go();
        let mut places: Vec<(usize, usize)> = Vec::with_capacity(most);
        while places.len() < most {
            let Some(Reverse((_, of))) = self.next.pop() else { break };
            let input = &mut self.inputs[of];
            // Up to where another input has its turn.
            let until = self.next.peek().map(|Reverse((end, _))| *end);
            let rows = self.batches.get(input.batch).map_or(0, RecordBatch::num_rows);
            while input.at < rows && places.len() < most && until.is_none_or(|until| end_at(&self.batches[input.batch], input.at) <= until)
            {
                places.push((input.batch, input.at));
                input.at += 1;
            }
            if input.at == rows {
                let Some(batch) = input.rows.next() else { continue };
                (input.batch, input.at) = (self.batches.len(), 0);
                self.batches.push(batch.map_err(|error| error.to_string())?);
            }
            self.next.push(Reverse((end_at(&self.batches[input.batch], input.at), of)));
        }
        if places.is_empty() {
            return Ok(None);
        }
        let all: Vec<&RecordBatch> = self.batches.iter().collect();
        interleave_record_batch(&all, &places).map(Some).map_err(|error| error.to_string())
    }

    /// Batches whose rows have all been taken leave memory.
    fn let_go(&mut self) {
        let mut kept = Vec::with_capacity(self.inputs.len());
        for input in &mut self.inputs {
            if let Some(batch) = self.batches.get(input.batch).filter(|batch| input.at < batch.num_rows()) {
                kept.push(batch.clone());
                input.batch = kept.len() - 1;
            } else {
                // Its next rows come when its turn comes.
                (input.batch, input.at) = (usize::MAX, 0);
            }
        }
        self.batches = kept;
    }
}

/// Puts the merged file beside all other files of the hour, aside: `swap` can take this folder in the place of the hour's.
pub(super) fn prepare(root: &Path, job: &Job) -> Result<(), String> {
    let aside = job.folder(root);
    for file in files::list(root)?.iter().filter(|file| file.hour == job.hour && !job.inputs.contains(file)) {
        fs::hard_link(file.path(root), aside.join(file.name())).map_err(|error| job.fault(&error))?;
    }
    files::sync_directory(&aside)
}

/// Puts the merged file in the place of its inputs.
pub(super) fn swap(root: &Path, job: &Job) -> Result<(), String> {
    let cwd = rustix::fs::CWD;
    let hour = root.join(hour_name(job.hour));
    rustix::fs::renameat_with(cwd, job.folder(root), cwd, hour, rustix::fs::RenameFlags::EXCHANGE).map_err(|error| job.fault(&error))
}

/// Removes what the hour held before.
pub(super) fn remove_old(root: &Path, job: &Job) -> Result<(), String> {
    files::sync_directory(root)?;
    fs::remove_dir_all(job.folder(root)).map_err(|error| job.fault(&error))
}

#[cfg(test)]
mod tests {
    use super::super::columns::{self, Columns};
    use super::super::row::Row;
    use super::*;

    const NOW: u64 = 101 * HOUR_MS + AFTER_MS + 1;

    fn file(hour: u64, write: u64, rows: u64) -> (RecordFile, u64) {
        (RecordFile { hour, first: write, last: write }, rows)
    }

    #[test]
    fn small_files_of_an_hour_that_is_over_are_merged_and_others_only_when_there_are_many() {
        let over = [file(100, 1, 10), file(100, 2, LEFT_ROWS), file(100, 3, 20), file(101, 4, 1), file(101, 5, 1)];
        let job = next(&over, NOW, false).unwrap();
        assert_eq!((job.hour, job.inputs.len(), job.output()), (100, 2, RecordFile { hour: 100, first: 1, last: 3 }));
        assert_eq!(next(&over, NOW, true), None, "more may come");
        assert_eq!(next(&over[1..], NOW, false), None, "one alone stays");
        let many: Vec<_> = (0..MANY as u64).map(|write| file(101, write, SMALL_ROWS - 1)).collect();
        for is_behind in [false, true] {
            assert_eq!(next(&many, NOW, is_behind).map(|job| job.inputs.len()), Some(MANY));
            assert_eq!(next(&many[1..], NOW, is_behind), None);
        }
    }

    #[test]
    fn files_of_an_hour_become_few_whatever_their_sizes_and_none_larger_than_a_file_may_be() {
        let mut files: Vec<_> = (0..200).map(|write| file(100, write, 1_000 * (write * 37 % 131))).collect();
        let all: u64 = files.iter().map(|(_, rows)| rows).sum();
        while let Some(job) = next(&files, NOW, false) {
            let (inputs, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|(file, _)| job.inputs.contains(file));
            let rows = inputs.iter().map(|(_, rows)| rows).sum();
            assert!(rows <= MERGED_ROWS);
            files = others;
            files.push((job.output(), rows));
        }
        assert_eq!(files.iter().map(|(_, rows)| rows).sum::<u64>(), all);
        assert!(files.iter().filter(|(_, rows)| *rows < LEFT_ROWS).count() <= 1, "{files:?}");
    }

    #[test]
    fn a_merged_file_has_the_rows_of_all_in_one_order_and_the_hours_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // The first two take turns, the third comes after them, the fourth is no input.
        let (rows, inputs) = (OUTPUT_ROWS as u64 + 5_000, 3u64);
        let of = |n: u64| if n < 2 * rows { n % 2 } else { 2 };
        let row = |n: u64, revision| Row { message: n, revision, state: "delivered".into(), number: format!("86{n}"), ..Row::default() };
        let mut job = Job { hour: 7, inputs: Vec::new() };
        for input in 0..=inputs {
            let mut columns = Columns::default();
            for n in (0..3 * rows).filter(|n| of(*n) == input % inputs) {
                columns.push(&row(n, 0));
                // An end that was corrected.
                if n % 1_000 == 0 {
                    columns.push(&row(n, 1));
                }
            }
            let file = RecordFile { hour: 7, first: input + 1, last: input + 1 };
            files::write(root, &file, &mut columns).unwrap();
            if input < inputs {
                job.inputs.push(file);
            }
        }
        write(root, &job).unwrap();
        prepare(root, &job).unwrap();
        swap(root, &job).unwrap();
        remove_old(root, &job).unwrap();
        let merged = RecordFile { hour: 7, first: 1, last: 3 };
        assert_eq!(files::list(root).unwrap(), [merged.clone(), RecordFile { hour: 7, first: 4, last: 4 }]);
        let expected = (0..3 * rows).flat_map(|n| (0..=u8::from(n % 1_000 == 0)).map(move |revision| row(n, revision)));
        let mut found = Input::open(&merged.path(root)).unwrap().rows.flat_map(|batch| columns::rows(&batch.unwrap()));
        for expected in expected {
            let found = found.next().unwrap();
            assert_eq!((found.message, found.revision, found.number), (expected.message, expected.revision, expected.number));
        }
        assert!(found.next().is_none());
    }
    #[test]
    fn after_a_crash_at_any_step_of_a_merge_each_row_is_there_once() {
        type Step = fn(&Path, &Job) -> Result<(), String>;
        let steps: [Step; 4] = [write, prepare, swap, remove_old];
        for done in 0..=steps.len() {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            let files: Vec<RecordFile> = (1..=3).map(|at| RecordFile { hour: 7, first: at, last: at }).collect();
            for file in &files {
                let mut columns = Columns::default();
                columns.push(&Row { message: file.first, state: "delivered".into(), ..Row::default() });
                files::write(root, file, &mut columns).unwrap();
            }
            let job = Job { hour: 7, inputs: files[..2].to_vec() };
            steps[..done].iter().for_each(|step| step(root, &job).unwrap());
            files::tidy(root, 3).unwrap();
            let rows = |file: &RecordFile| Input::open(&file.path(root)).unwrap().rows.flat_map(|batch| columns::rows(&batch.unwrap()));
            let mut found: Vec<u64> = files::list(root).unwrap().iter().flat_map(rows).map(|row| row.message).collect();
            found.sort_unstable();
            assert_eq!(found, [1, 2, 3], "after {done} steps");
            assert_eq!(fs::read_dir(root).unwrap().count(), 1, "nothing is left aside after {done} steps");
        }
    }
}
