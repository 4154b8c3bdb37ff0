//! `hongyan block`: lists of numbers that must not be written to. Numbers come as arguments or from a file of any size.

use super::Output;
use super::admin::{Client, Where};
use super::counts::counted;
use super::numbers::column;
use crate::number::list::{Column, List};
use crate::number::unpack;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Numbers in one request.
const REQUEST_MAX: usize = 500_000;
/// Numbers in one page of a list.
const PAGE: usize = 100_000;
/// Bad lines that are shown.
const SHOWN_MAX: usize = 10;

/// Which list.
#[derive(Debug, Args)]
struct WhichList {
    /// platform (nobody writes to it), account:NAME, or sender:NAME
    #[arg(long, value_name = "LIST", default_value = "platform")]
    list: String,
    /// The list of those who opted out, instead of those who are blocked
    #[arg(long)]
    opt_out: bool,
}

impl WhichList {
    fn value(&self) -> Result<Value, String> {
        let (level, name) = self.list.split_once(':').unwrap_or((&self.list, ""));
        match (level, name) {
            ("platform", "") | ("account" | "sender", _) if level == "platform" || !name.is_empty() => {
                Ok(json!({ "kind": if self.opt_out { "opt_out" } else { "block" }, "level": level, "name": name }))
            }
            _ => Err(format!("list: '{}' is no list; platform, account:NAME or sender:NAME", self.list)),
        }
    }
}

/// Which numbers.
#[derive(Debug, Args)]
struct Numbers {
    /// Numbers
    #[arg(value_name = "NUMBER", required_unless_present = "file")]
    numbers: Vec<String>,
    /// A file of them, plain lines or CSV; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "numbers")]
    file: Option<PathBuf>,
    /// The file's column with the numbers: its name, or its place from 1
    #[arg(long, value_name = "NAME|N", value_parser = column)]
    number_column: Option<Column>,
}

/// A change.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    numbers: Numbers,
    #[command(flatten)]
    which: WhichList,
    /// Why; stands in the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    at: Where,
}

/// See each.
#[derive(Debug, Subcommand)]
pub(super) enum Block {
    /// Put numbers into a list: nothing is sent to them any more, what waits included
    #[command(
        after_help = "Examples:\n  hongyan block add 13800138000 +8613900139000 --reason 'asked by phone'\n  hongyan block add --file complaints.csv --list account:shop\n  hongyan block add --file tuiding.txt --list sender:10690001 --opt-out"
    )]
    Add(Change),
    /// Take numbers out of a list
    #[command(after_help = "Example:\n  hongyan block remove 13800138000 --list account:shop")]
    Remove(Change),
    /// How many numbers stand in each list; with --list, the numbers of one
    #[command(after_help = "Examples:\n  hongyan block list\n  hongyan block list --list account:shop > blocked.txt")]
    List {
        /// platform, account:NAME or sender:NAME
        #[arg(long, value_name = "LIST")]
        list: Option<String>,
        /// The list of those who opted out
        #[arg(long, requires = "list")]
        opt_out: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Which lists hold a number
    #[command(
        after_help = "Examples:\n  hongyan block check 13800138000\n  hongyan block check 13800138000 --account shop --from 10690001"
    )]
    Check {
        /// Numbers
        #[arg(value_name = "NUMBER", required = true)]
        numbers: Vec<String>,
        /// Only lists that bind this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// And this sender of its
        #[arg(long, value_name = "SENDER", requires = "account", default_value = "")]
        from: String,
        #[command(flatten)]
        at: Where,
    },
}

pub(super) fn run(block: &Block, output: &mut Output) -> Result<(), String> {
    match block {
        Block::Add(change) => self::change(change, "/v1/lists/add", "came", output),
        Block::Remove(change) => self::change(change, "/v1/lists/remove", "went", output),
        Block::List { list: None, at, .. } => counts(&at.client()?, output),
        Block::List { list: Some(list), opt_out, at } => {
            pages(&at.client()?, &WhichList { list: list.clone(), opt_out: *opt_out }.value()?, output)
        }
        Block::Check { numbers, account, from, at } => {
            let client = at.client()?;
            let checked = client.post("/v1/lists/check", &json!({ "numbers": numbers, "account": account, "from": from }))?;
            if client.json {
                output.json(&checked, false);
                return Ok(());
            }
            for one in checked.as_array().into_iter().flatten() {
                let lists: Vec<String> = one["lists"].as_array().into_iter().flatten().map(words).collect();
                let lists = if lists.is_empty() { "in no list".to_owned() } else { lists.join(", ") };
                output.line(&format!("{}: {lists}", one["number"].as_str().unwrap_or_default()));
            }
            Ok(())
        }
    }
}

/// `block account shop`.
fn words(list: &Value) -> String {
    ["kind", "level", "name"].iter().filter_map(|field| list[*field].as_str()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Numbers that a request takes, one after another, and lines that hold none.
struct Changing<'c> {
    client: &'c Client,
    path: &'c str,
    list: Value,
    reason: &'c str,
    changed: u64,
    total: Option<u64>,
}

impl Changing<'_> {
    fn post(&mut self, numbers: &[String]) -> Result<(), String> {
        let body = json!({ "list": self.list, "numbers": numbers, "reason": self.reason });
        let answer = self.client.post(self.path, &body)?;
        self.changed += answer["changed"].as_u64().unwrap_or(0);
        self.total = answer["total"].as_u64();
        Ok(())
    }
}

fn change(change: &Change, path: &str, verb: &str, output: &mut Output) -> Result<(), String> {
    let client = change.at.client()?;
    let mut changing = Changing { client: &client, path, list: change.which.value()?, reason: &change.reason, changed: 0, total: None };
    let bad = match &change.numbers.file {
        None => {
            changing.post(&change.numbers.numbers)?;
            Vec::new()
        }
        Some(file) => from_file(file, change.numbers.number_column.as_ref(), &mut changing)?,
    };
    let (changed, total) = (changing.changed, changing.total.unwrap_or(0));
    if client.json {
        output.json(&json!({ "changed": changed, "total": total, "bad_lines": bad.len() }), false);
    } else {
        output.line(&format!("{} {verb}; the list holds {total} now", counted(changed, "number", "numbers")));
    }
    for (line, why) in bad.iter().take(SHOWN_MAX) {
        output.warning(&format!("line {line}: {why}; passed over"));
    }
    if bad.len() > SHOWN_MAX {
        output.warning(&format!("... and {} more", counted((bad.len() - SHOWN_MAX) as u64, "line", "lines")));
    }
    Ok(())
}

/// The lines that hold no number, with why; at most a number of them that fits on no screen.
fn from_file(file: &Path, column: Option<&Column>, changing: &mut Changing<'_>) -> Result<Vec<(u64, String)>, String> {
    let name = file.display();
    let input: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(file).map_err(|error| format!("{name}: can't be opened: {error}"))?),
    };
    let home = changing.client.home()?;
    let mut list = List::open(input, column.unwrap_or(&Column::Any), home).map_err(|error| format!("{name}: {error}"))?;
    let (mut numbers, mut bad) = (Vec::new(), Vec::new());
    while let Some((record, number)) = list.read().map_err(|error| format!("{name}: can't be read to its end: {error}"))? {
        match number {
            Ok(number) => numbers.push(format!("+{}", String::from_utf8_lossy(&unpack(number)))),
            Err(error) => bad.push((record.line, error.to_string())),
        }
        if numbers.len() == REQUEST_MAX {
            changing.post(&numbers)?;
            numbers.clear();
        }
    }
    if !numbers.is_empty() || changing.total.is_none() {
        changing.post(&numbers)?;
    }
    Ok(bad)
}

fn counts(client: &Client, output: &mut Output) -> Result<(), String> {
    let lists = client.get("/v1/lists")?;
    if client.json {
        output.json(&lists, false);
        return Ok(());
    }
    let lists = lists.as_array().map_or(&[][..], Vec::as_slice);
    if lists.is_empty() {
        output.line("nobody stands in any list");
    }
    for list in lists {
        output.line(&format!("{:<40} {:>13}", words(list), super::counts::grouped(list["numbers"].as_u64().unwrap_or(0))));
    }
    Ok(())
}

/// All numbers of a list, one a line.
fn pages(client: &Client, list: &Value, output: &mut Output) -> Result<(), String> {
    let field = |name: &str| super::operate::escaped(list[name].as_str().unwrap_or_default());
    let (kind, level, name) = (field("kind"), field("level"), field("name"));
    let mut after = String::new();
    loop {
        let path = format!("/v1/lists/numbers?kind={kind}&level={level}&name={name}&after={}&most={PAGE}", super::operate::escaped(&after));
        let page = client.get(&path)?;
        let numbers: Vec<&str> = page.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !numbers.is_empty() {
            output.line(&numbers.join("\n"));
        }
        match numbers.last() {
            Some(last) if numbers.len() == PAGE => after = (*last).to_owned(),
            _ => return Ok(()),
        }
    }
}
