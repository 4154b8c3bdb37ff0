//! `hongyan ranges check|diff|lookup`: what a range table says, whether it is sound, and what a new one would change.

use super::Output;
use super::counts::{counted, grouped};
use crate::app::ranges::{load, of_files};
use crate::config::{Config, Ranges};
use crate::model::address::mask;
use crate::number::range_diff::{Changed, TableDiff, diff};
use crate::number::range_view::{attributes, by_operator, range_of, source, version};
use crate::number::{HomeRegion, RangeId, RangeTable, TableError, from_text, unpack};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Stands for the table without any file.
const SHIPPED: &str = "shipped";

/// Check, compare and ask range tables: country, operator, region, kind and time zone by prefix
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell every line that is wrong, or what the files hold
    #[command(
        after_help = "A file of ranges is CSV with a header: prefix (country code first; 861380, or a span 861340-861348) or national, and any of\ncountry, operator, region, kind (mobile, fixed, other), zone, tags. What a row leaves empty is what the next shorter prefix says.\nA file of ported numbers has the columns number, operator, region, kind, zone, tags.\n\nExamples:\n  hongyan ranges check ranges/cn.csv ranges/ported.csv\n  hongyan ranges check --config config/hongyan.toml          the files that it names\n  hongyan ranges check new.csv --config config/hongyan.toml  with its operators and zones\n\nExit codes: 0 sound, 1 refused."
    )]
    Check(CheckArgs),
    /// Tell what a new table would change
    #[command(
        after_help = "Numbers are counted by prefix, in the longest form that their country's plan allows.\n\nExamples:\n  hongyan ranges diff ranges/cn.csv new.csv\n  hongyan ranges diff shipped new.csv --json\n  hongyan ranges diff old.csv new.csv --limit 0              all prefixes"
    )]
    Diff(DiffArgs),
    /// Tell what is known of numbers, and from where
    #[command(
        after_help = "Examples:\n  hongyan ranges lookup 13800138000 '+44 7911 123456'\n  hongyan ranges lookup --config config/hongyan.toml --json 13800138000\n\nExit codes: 0 done, 1 if one of them is no number."
    )]
    Lookup(LookupArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Files of ranges or of ported numbers; without any, those of the configuration
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// The old file; `shipped` stands for the table without files
    old: PathBuf,
    /// The new file
    new: PathBuf,
    /// Prefixes that are listed; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct LookupArgs {
    /// Numbers as somebody wrote them
    #[arg(value_name = "NUMBER", required = true, allow_hyphen_values = false)]
    numbers: Vec<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The configuration with the home region, operators, zones and, for lookup, files
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Common {
    /// The section of the configuration, or its defaults, and the home region.
    fn settings(&self) -> Result<(Ranges, HomeRegion), String> {
        let config = match &self.config {
            Some(path) => Config::load(path).map_err(|error| error.to_string())?,
            None => Config::default(),
        };
        let home = region(&config.gateway.home_region)?;
        Ok((config.ranges, home))
    }
}

/// The home region of ISO 3166 letters, in any case.
pub(super) fn region(letters: &str) -> Result<HomeRegion, String> {
    HomeRegion::from_iso(&letters.to_ascii_uppercase())
        .ok_or_else(|| format!("'{letters}' is no country with a numbering plan; allowed: CN, US ..."))
}

/// The table and the home region of a configuration, or the shipped ones without it.
pub(super) fn table(config: Option<&PathBuf>) -> Result<(Arc<RangeTable>, HomeRegion), String> {
    let (ranges, home) = Common { config: config.cloned(), json: false }.settings()?;
    Ok((load(&ranges, home).map_err(|error| error.to_string())?, home))
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    match &args.command {
        Command::Check(args) => check(args, output),
        Command::Diff(args) => compare(args, output),
        Command::Lookup(args) => lookup(args, output),
    }
}

fn check(args: &CheckArgs, output: &mut Output) -> Result<(), String> {
    let (ranges, home) = args.common.settings()?;
    let read = if args.files.is_empty() { load(&ranges, home) } else { of_files(&args.files, &ranges, home).map(Arc::new) };
    let table = match read {
        Ok(table) => table,
        Err(error) => {
            if args.common.json {
                output.json(&problems(&error), false);
            }
            let lines = error.problems.len() + error.more;
            return Err(if args.common.json { format!("{lines} problems; the table is refused") } else { error.to_string() });
        }
    };
    let (prefixes, ported, sets) = table.counts();
    let (hot, octets) = table.octets();
    if args.common.json {
        let found = json!({
            "valid": true, "version": version(&table), "prefixes": prefixes, "ported": ported, "distinct": sets,
            "lookup_octets": hot, "octets": octets, "operators": by_operator(&table),
        });
        output.json(&found, false);
        return Ok(());
    }
    output.heading(&format!(
        "valid: {} and {}, the shipped ones included",
        counted(prefixes as u64, "prefix", "prefixes"),
        counted(ported as u64, "ported number", "ported numbers")
    ));
    output.line(&format!("  version       {}", version(&table)));
    output.line(&format!("  attributes    {sets} distinct sets"));
    output.line(&format!("  memory        {:.1} MiB, {:.1} MiB of them for look-ups", mib(octets), mib(hot)));
    for (operator, count) in by_operator(&table) {
        output.line(&format!("  {:<12}  {}", or_none(&operator), counted(count as u64, "prefix", "prefixes")));
    }
    Ok(())
}

fn mib(octets: usize) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn or_none(name: &str) -> &str {
    if name.is_empty() { "(none)" } else { name }
}

fn problems(error: &TableError) -> Value {
    let told: Vec<Value> =
        error.problems.iter().map(|problem| json!({ "file": problem.file, "line": problem.line, "what": problem.what })).collect();
    json!({ "valid": false, "problems": told, "more": error.more })
}

fn compare(args: &DiffArgs, output: &mut Output) -> Result<(), String> {
    let (ranges, home) = args.common.settings()?;
    let read = |path: &PathBuf| match path.to_str() {
        Some(SHIPPED) => Ok(RangeTable::clone(&RangeTable::shipped())),
        _ => of_files(std::slice::from_ref(path), &ranges, home).map_err(|error| error.to_string()),
    };
    let (old, new) = (read(&args.old)?, read(&args.new)?);
    let diff = diff(&old, &new);
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    if args.common.json {
        output.json(&diff_json(&old, &new, &diff, limit), false);
        return Ok(());
    }
    let count = |old: bool, new: bool| diff.prefixes.iter().filter(|c| (c.old.is_some(), c.new.is_some()) == (old, new)).count();
    let (appear, go, change) = (count(false, true), count(true, false), count(true, true));
    output.heading(&format!("prefixes: {appear} appear, {go} go, {change} change"));
    for changed in diff.prefixes.iter().take(limit) {
        output.line(&changed_line(&old, &new, changed));
    }
    if diff.prefixes.len() > limit {
        output.line(&format!("  ... and {} more (--limit 0 shows all)", diff.prefixes.len() - limit));
    }
    let [appear, go, change] = diff.ported;
    output.heading(&format!("ported numbers: {appear} appear, {go} go, {change} change"));
    output.heading(&counted(diff.numbers, "number gets another operator or region", "numbers get another operator or region"));
    for ((from, to), count) in diff.operators.iter().chain(&diff.regions) {
        output.line(&format!("  {} -> {}  {}", or_none(from), or_none(to), grouped(*count)));
    }
    Ok(())
}

/// A line for a prefix that differs.
fn changed_line(old: &RangeTable, new: &RangeTable, changed: &Changed) -> String {
    let digits = unpack(changed.prefix);
    let prefix = String::from_utf8_lossy(&digits);
    match (changed.old, changed.new) {
        (None, Some(range)) => format!("  + {prefix:<15}  {}", words(new, range)),
        (Some(range), None) => format!("  - {prefix:<15}  {}", words(old, range)),
        (Some(before), Some(after)) => format!("  ~ {prefix:<15}  {}  ->  {}", words(old, before), words(new, after)),
        (None, None) => String::new(),
    }
}

/// The attributes of a range on a line.
fn words(table: &RangeTable, range: RangeId) -> String {
    let range = table.get(range);
    let names = [range.country, range.operator, range.region].map(|id| table.name(id));
    let tags = range.tags.iter().map(|&tag| table.name(tag));
    let all: Vec<&str> =
        names.into_iter().chain([range.kind.name(), table.name(range.zone)]).chain(tags).filter(|word| !word.is_empty()).collect();
    all.join(", ")
}

fn diff_json(old: &RangeTable, new: &RangeTable, diff: &TableDiff, limit: usize) -> Value {
    let moved = |counts: &BTreeMap<(String, String), u64>| {
        counts.iter().map(|((from, to), count)| json!({ "from": from, "to": to, "numbers": count })).collect::<Vec<_>>()
    };
    let prefixes: Vec<Value> = diff
        .prefixes
        .iter()
        .take(limit)
        .map(|changed| {
            json!({
                "prefix": String::from_utf8_lossy(&unpack(changed.prefix)),
                "old": changed.old.map(|range| attributes(old, old.get(range))),
                "new": changed.new.map(|range| attributes(new, new.get(range))),
            })
        })
        .collect();
    let [appear, go, change] = diff.ported;
    json!({
        "old_version": version(old), "new_version": version(new), "changed_prefixes": diff.prefixes.len(), "prefixes": prefixes,
        "ported": { "appear": appear, "go": go, "change": change }, "numbers": diff.numbers,
        "operators": moved(&diff.operators), "regions": moved(&diff.regions),
    })
}

fn lookup(args: &LookupArgs, output: &mut Output) -> Result<(), String> {
    let (table, home) = table(args.common.config.as_ref())?;
    let mut wrong = Vec::new();
    for written in &args.numbers {
        let number = match from_text(written.as_bytes(), home) {
            Ok(number) => number,
            Err(error) => {
                if args.common.json {
                    output.json(&json!({ "input": written, "error": error.to_string() }), false);
                }
                wrong.push(format!("{}: {error}", mask(written.as_bytes())));
                continue;
            }
        };
        let digits = unpack(number);
        let digits = String::from_utf8_lossy(&digits);
        if args.common.json {
            output.json(&json!({ "input": written, "number": digits, "range": range_of(&table, number) }), false);
            continue;
        }
        let Some(found) = table.explain(number) else {
            output.line(&format!("{digits}  nothing is known"));
            continue;
        };
        let prefix = unpack(found.prefix);
        output.line(&format!("{digits}  {}  ({}..., {})", words(&table, found.range), String::from_utf8_lossy(&prefix), source(&found)));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}
