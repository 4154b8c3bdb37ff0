//! `hongyan numbers`: normalises a list of any size, drops duplicates exactly, and tells what was kept, what was double and what is no number.

use super::Output;
use super::counts::{counted, grouped};
use super::ranges::{region, table};
use crate::model::address::mask;
use crate::number::dedupe::NumberSet;
use crate::number::list::{Column, LineError, List};
use crate::number::records::Record;
use crate::number::shard::shard;
use crate::number::{HomeRegion, RangeTable, unpack};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lines with problems that are shown; a report file has all.
const SHOWN_MAX: usize = 20;
/// Octets of a line that a report repeats.
const REPEATED_MAX: usize = 200;

/// Normalise a list of numbers, drop duplicates and tell what is wrong with it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The list is plain lines or CSV (comma, semicolon or tab), in UTF-8 or GB18030. Of each number the first line is kept; the order stays.\nBlank lines are passed over. The file of --out has the rows as they were, their numbers with the country code first.\n\nExamples:\n  hongyan numbers list.txt\n  hongyan numbers customers.csv --column mobile --out clean.csv --report problems.csv\n  zcat list.gz | hongyan numbers - --region GB --json\n  hongyan numbers list.txt --shards 8              how even its shards are\n\nExit codes: 0 done (whatever the list holds), 1 the list can't be read or the files can't be written."
)]
pub(super) struct Args {
    /// The list; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Column with the numbers: its name, or its place from 1; without it, it is found out
    #[arg(long, value_name = "NAME|N", value_parser = column)]
    column: Option<Column>,
    /// Country of numbers written without a country code [default: that of the configuration, else CN]
    #[arg(long, value_name = "ISO")]
    region: Option<String>,
    /// Write the kept rows to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write every duplicate and every invalid line to this file, as CSV: line, result, reason, number, written
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Count numbers by shard, of so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shards: Option<u32>,
    /// The configuration whose home region and range tables are used; without it, the shipped ones
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn column(text: &str) -> Result<Column, String> {
    match text.parse() {
        Ok(0) => Err("columns are counted from 1".to_owned()),
        Ok(place) => Ok(Column::Place(place)),
        Err(_) if text.trim().is_empty() => Err("a name, or a place from 1".to_owned()),
        Err(_) => Ok(Column::Name(text.to_owned())),
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    let (table, home) = table(args.config.as_ref())?;
    let home = args.region.as_deref().map_or(Ok(home), region)?;
    refuse_same_files(&[("the list", Some(&args.file)), ("--out", args.out.as_ref()), ("--report", args.report.as_ref())])?;
    let name = args.file.display().to_string();
    let found = if args.file == Path::new("-") {
        read(io::stdin().lock(), args, home, &table)
    } else {
        let file = File::open(&args.file).map_err(|error| format!("{name}: can't be opened: {error}"))?;
        read(file, args, home, &table)
    };
    let found = found.map_err(|error| format!("{name}: {error}"))?;
    if args.json {
        output.json(&found.to_json(), false);
    } else {
        found.show(output);
    }
    Ok(())
}

/// A file that is read would be emptied by being written.
pub(super) fn refuse_same_files(named: &[(&str, Option<&PathBuf>)]) -> Result<(), String> {
    let real = |path: &PathBuf| path.canonicalize().ok();
    for (at, (what, path)) in named.iter().enumerate() {
        for (other, earlier) in &named[..at] {
            if let (Some(path), Some(earlier)) = (path, earlier)
                && (path == earlier || real(path).is_some_and(|path| real(earlier).as_ref() == Some(&path)))
            {
                return Err(format!("{what} and {other} are the same file: {}", path.display()));
            }
        }
    }
    Ok(())
}

fn read(input: impl Read, args: &Args, home: HomeRegion, table: &Arc<RangeTable>) -> Result<Found, String> {
    let mut list = List::open(input, args.column.as_ref().unwrap_or(&Column::Any), home).map_err(|error| error.to_string())?;
    let mut kept = args.out.as_ref().map(|path| Kept::create(path, &list)).transpose()?;
    let mut report = args.report.as_ref().map(|path| Report::create(path)).transpose()?;
    let mut found = Found::new(Arc::clone(table), args.shards);
    let mut set = NumberSet::new();
    while let Some((record, number)) = list.read().map_err(|error| format!("can't be read to its end: {error}"))? {
        match number {
            Ok(number) if set.insert(number) => {
                found.keep(number);
                if let Some(kept) = &mut kept {
                    kept.write(&record, number)?;
                }
            }
            problem => {
                found.drop(&record, problem);
                if let Some(report) = &mut report {
                    report.write(&record, problem)?;
                }
            }
        }
    }
    kept.map_or(Ok(()), |kept| kept.close())?;
    report.map_or(Ok(()), |report| report.close())?;
    Ok(found)
}

fn unwritten(path: &Path) -> impl Fn(io::Error) -> String + use<'_> {
    move |error| format!("{} can't be written: {error}", path.display())
}

/// The file of kept rows.
struct Kept<'p> {
    path: &'p Path,
    rows: csv::Writer<File>,
    column: usize,
}

impl<'p> Kept<'p> {
    fn create<R: Read>(path: &'p Path, list: &List<R>) -> Result<Kept<'p>, String> {
        let mut file = File::create(path).map_err(unwritten(path))?;
        if let Some(header) = list.header() {
            file.write_all(&[header, b"\n"].concat()).map_err(unwritten(path))?;
        }
        let mut builder = csv::WriterBuilder::new();
        builder.delimiter(list.delimiter().unwrap_or(b',')).flexible(true).buffer_capacity(1 << 16);
        Ok(Kept { path, rows: builder.from_writer(file), column: list.column() })
    }

    fn write(&mut self, record: &Record<'_>, number: u64) -> Result<(), String> {
        let digits = unpack(number);
        let fields = record.fields().enumerate().map(|(at, field)| if at == self.column { &digits[..] } else { field });
        self.rows.write_record(fields).map_err(|error| unwritten(self.path)(error.into()))
    }

    fn close(mut self) -> Result<(), String> {
        self.rows.flush().map_err(unwritten(self.path))
    }
}

/// The file of duplicates and invalid lines.
struct Report<'p> {
    path: &'p Path,
    rows: csv::Writer<BufWriter<File>>,
}

impl<'p> Report<'p> {
    fn create(path: &'p Path) -> Result<Report<'p>, String> {
        let mut rows = csv::Writer::from_writer(BufWriter::new(File::create(path).map_err(unwritten(path))?));
        rows.write_record(["line", "result", "reason", "number", "written"]).map_err(|error| unwritten(path)(error.into()))?;
        Ok(Report { path, rows })
    }

    fn write(&mut self, record: &Record<'_>, problem: Result<u64, LineError>) -> Result<(), String> {
        let raw = record.raw_text();
        let written: String = raw.chars().take(REPEATED_MAX).collect();
        let line = record.line.to_string();
        let (result, reason, number) = match problem {
            Ok(number) => ("duplicate", String::new(), String::from_utf8_lossy(&unpack(number)).into_owned()),
            Err(error) => ("invalid", error.to_string(), String::new()),
        };
        self.rows.write_record([&line, result, &reason, &number, &written]).map_err(|error| unwritten(self.path)(error.into()))
    }

    fn close(mut self) -> Result<(), String> {
        self.rows.flush().map_err(unwritten(self.path))
    }
}

/// What a list holds.
struct Found {
    table: Arc<RangeTable>,
    kept: u64,
    duplicates: u64,
    invalid: u64,
    /// By range; the last counts numbers that no range has.
    ranges: Vec<u64>,
    shards: Vec<u64>,
    /// The first lines with problems: what they are and why, numbers masked.
    shown: Vec<(u64, &'static str, String)>,
}

impl Found {
    fn new(table: Arc<RangeTable>, shards: Option<u32>) -> Found {
        let (_, _, sets) = table.counts();
        let shards = vec![0; shards.unwrap_or(0) as usize];
        Found { table, kept: 0, duplicates: 0, invalid: 0, ranges: vec![0; sets + 1], shards, shown: Vec::new() }
    }

    #[inline]
    fn keep(&mut self, number: u64) {
        self.kept += 1;
        let at = self.table.find(number).map_or(self.ranges.len() - 1, |range| range.0 as usize);
        self.ranges[at] += 1;
        if !self.shards.is_empty() {
            let of = shard(number, self.shards.len() as u32);
            self.shards[of as usize] += 1;
        }
    }

    fn drop(&mut self, record: &Record<'_>, problem: Result<u64, LineError>) {
        let counted = if problem.is_ok() { &mut self.duplicates } else { &mut self.invalid };
        *counted += 1;
        if self.shown.len() < SHOWN_MAX {
            let (result, why) = match problem {
                Ok(number) => ("duplicate", mask(&unpack(number))),
                Err(error) => ("invalid", error.to_string()),
            };
            self.shown.push((record.line, result, why));
        }
    }

    /// Kept numbers by an attribute of their range.
    fn by(&self, attribute: impl Fn(&crate::number::ranges::Range) -> crate::number::ranges::NameId) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for (at, &count) in self.ranges.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = if at + 1 == self.ranges.len() {
                ""
            } else {
                self.table.name(attribute(self.table.get(crate::number::RangeId(at as u32))))
            };
            *counts.entry(name).or_default() += count;
        }
        counts
    }

    fn groups(&self) -> [(&'static str, BTreeMap<&str, u64>); 3] {
        [
            ("countries", self.by(|range| range.country)),
            ("operators", self.by(|range| range.operator)),
            ("regions", self.by(|range| range.region)),
        ]
    }

    fn to_json(&self) -> Value {
        let mut value = json!({
            "numbers": self.kept + self.duplicates + self.invalid, "kept": self.kept, "duplicates": self.duplicates, "invalid": self.invalid,
        });
        for (name, counts) in self.groups() {
            value[name] = counts.into_iter().map(|(name, count)| (name.to_owned(), json!(count))).collect::<serde_json::Map<_, _>>().into();
        }
        if !self.shards.is_empty() {
            value["shards"] = json!(self.shards);
        }
        value["first_problems"] =
            self.shown.iter().map(|(line, result, why)| json!({ "line": line, "result": result, "why": why })).collect::<Vec<_>>().into();
        value
    }

    fn show(&self, output: &mut Output) {
        output.heading(&counted(self.kept + self.duplicates + self.invalid, "number", "numbers"));
        for (name, count) in [("kept", self.kept), ("duplicates", self.duplicates), ("invalid", self.invalid)] {
            output.line(&format!("  {name:<12} {:>13}", grouped(count)));
        }
        for (title, counts) in self.groups() {
            // A region is mostly not known; a table of one nameless row says nothing.
            if counts.keys().any(|name| !name.is_empty()) {
                output.heading(title);
                let width = counts.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(12);
                for (name, count) in counts {
                    output.line(&format!("  {:<width$} {:>13}", if name.is_empty() { "(not known)" } else { name }, grouped(count)));
                }
            }
        }
        if !self.shards.is_empty() {
            output.heading("shards");
            for (at, count) in self.shards.iter().enumerate() {
                output.line(&format!("  {at:<12} {:>13}", grouped(*count)));
            }
        }
        if !self.shown.is_empty() {
            output.heading("lines that are not kept");
            for (line, result, why) in &self.shown {
                output.line(&format!("  line {line}: {result}: {why}"));
            }
            let more = self.duplicates + self.invalid - self.shown.len() as u64;
            if more > 0 {
                output.line(&format!("  ... and {} more; --report FILE has all", grouped(more)));
            }
        }
    }
}
