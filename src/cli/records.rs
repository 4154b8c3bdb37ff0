//! `hongyan records status|find|files|verify`: the records of finished messages, asked of the running gateway or read from its folder.

use super::Output;
use super::admin::Where;
use super::counts::counted;
use super::tables::{list, table, text, time};
use crate::records::files::hour_name;
use crate::records::find::Files;
use crate::records::numbers::Numbers;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Ask and check the records of finished messages
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// How the running gateway's records stand: rows, lag, places lost
    #[command(after_help = "Example:\n  hongyan records status")]
    Status {
        /// Write everything that is over into files first
        #[arg(long)]
        flush: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Messages by number, account, campaign, state or time, newest first; live ones too
    #[command(
        after_help = "Examples:\n  hongyan records find --number '+86 138 0013 8000'\n  hongyan records find --account shop --state undelivered --limit 100"
    )]
    Find(Box<FindArgs>),
    /// List the files below a data directory, with rows and sizes. The gateway may be running
    #[command(after_help = "Example:\n  hongyan records files --data-dir /var/lib/hongyan")]
    Files {
        /// The data directory
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Read every file below a data directory: readable, in order, no message twice with the same end. The gateway may be running
    #[command(after_help = "Example:\n  hongyan records verify --data-dir /var/lib/hongyan\n\nExit codes: 0 sound, 1 not sound.")]
    Verify {
        /// The data directory
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct FindArgs {
    /// To this number
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Of this campaign
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// In this state: delivered, undelivered, expired ...
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Of this name of its sender's
    #[arg(long, value_name = "TEXT")]
    reference: Option<String>,
    /// Of this identity, 16 hexadecimal digits
    #[arg(long, value_name = "HEX")]
    identity: Option<String>,
    /// Handed in since this time: 2026-03-01T08:00+08:00
    #[arg(long, value_name = "TIME", value_parser = wall)]
    from: Option<u64>,
    /// Handed in before this time
    #[arg(long, value_name = "TIME", value_parser = wall)]
    to: Option<u64>,
    /// Older than this id: where the page before ended
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// Rows at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    at: Where,
}

fn wall(text: &str) -> Result<u64, String> {
    let at: jiff::Timestamp = text.parse().map_err(|_| "a time with its zone, such as 2026-03-01T08:00+08:00".to_owned())?;
    u64::try_from(at.as_millisecond()).map_err(|_| "a time after 1970".to_owned())
}

/// Runs `hongyan records ...`.
pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    match &args.command {
        Command::Status { flush, at } => status(*flush, at, output),
        Command::Find(args) => find(args, output),
        Command::Files { data_dir, json } => files(&data_dir.join("records"), *json, output),
        Command::Verify { data_dir } => verify(&data_dir.join("records"), output),
    }
}

fn status(flush: bool, at: &Where, output: &mut Output) -> Result<(), String> {
    let client = at.client()?;
    let value = if flush { client.post("/v1/records/flush", &json!({}))? } else { client.get("/v1/records")? };
    if client.json {
        output.json(&value, false);
        return Ok(());
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        output.line(&format!("{name:<16} {}", text(value)));
    }
    Ok(())
}

/// `value` as it stands in a query string.
fn escaped(value: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet);
    value.bytes().map(|octet| if plain(octet) { (octet as char).to_string() } else { format!("%{octet:02X}") }).collect()
}

fn find(args: &FindArgs, output: &mut Output) -> Result<(), String> {
    let times = [args.from, args.to].map(|ms| ms.map(|ms| ms.to_string()));
    let asked = [
        ("number", &args.number),
        ("account", &args.account),
        ("campaign", &args.campaign),
        ("state", &args.state),
        ("reference", &args.reference),
        ("identity", &args.identity),
        ("from_ms", &times[0]),
        ("to_ms", &times[1]),
        ("before", &args.before),
    ];
    let mut path = format!("/v1/messages?limit={}", args.limit);
    for (name, value) in asked {
        if let Some(value) = value {
            path += &format!("&{name}={}", escaped(value));
        }
    }
    let client = args.at.client()?;
    let value = client.get(&path)?;
    if client.json {
        output.json(&value, false);
        return Ok(());
    }
    let row = |row: &Value| {
        ["message", "state", "account", "class", "number", "carrier", "carrier_error"]
            .map(|name| text(&row[name]))
            .into_iter()
            .chain([time(&row["accepted_ms"]), time(&row["final_ms"])])
            .collect()
    };
    let rows: Vec<Vec<String>> = list(&value["messages"]).iter().map(row).collect();
    let head = ["message", "state", "account", "class", "number", "carrier", "error", "accepted", "ended"];
    table(&head, &rows).iter().for_each(|line| output.line(line));
    if let Some(next) = value["next"].as_str() {
        output.line(&format!("more: --before {next}"));
    }
    if let Some(told) = not_looked_at(&value) {
        output.warning(&told);
    }
    if value["partial"] == Value::Bool(true) {
        output.warning("not all files were looked at in time; narrow it down with --from and --to");
    }
    Ok(())
}

/// What a list leaves out: messages under way on disk, beyond those that one look-up goes through.
fn not_looked_at(value: &Value) -> Option<String> {
    let messages = value["not_looked_at"].as_u64().filter(|&messages| messages > 0)?;
    let who = counted(messages, "older message under way was", "older messages under way were");
    Some(format!("{who} not looked at; narrow it down with --from and --to, or ask for one: hongyan explain ID"))
}

fn files(root: &std::path::Path, as_json: bool, output: &mut Output) -> Result<(), String> {
    let mut all = Files::look(root, Numbers::Masked)?.list();
    all.sort();
    let rows: u64 = all.iter().map(|(_, rows, _)| rows).sum();
    for (file, rows, octets) in &all {
        let path = file.path(root);
        match as_json {
            true => output.json(&json!({ "file": path, "hour": hour_name(file.hour), "rows": rows, "octets": octets }), false),
            false => output.line(&format!("{rows:>10} rows {octets:>12} octets  {}", path.display())),
        }
    }
    if !as_json {
        output.line(&format!("{rows:>10} rows in {}", counted(all.len() as u64, "file", "files")));
    }
    Ok(())
}

/// Reads all ids of all files.
fn verify(root: &std::path::Path, output: &mut Output) -> Result<(), String> {
    let found = Files::look(root, Numbers::Masked)?;
    let mut problems = Vec::new();
    let listed = crate::records::files::list(root)?;
    if listed.len() != found.list().len() {
        problems.push(format!("{} of {} files can't be read", listed.len() - found.list().len(), listed.len()));
    }
    let mut ends: Vec<(i64, u8)> = Vec::new();
    for file in &listed {
        match crate::records::find::ends(&file.path(root)) {
            Ok(read) => {
                if !read.is_sorted() {
                    problems.push(format!("{}: its rows are not in the order of their ids", file.path(root).display()));
                }
                ends.extend(read);
            }
            Err(error) => problems.push(error),
        }
    }
    let rows = ends.len();
    ends.sort_unstable();
    ends.dedup();
    if ends.len() != rows {
        problems.push(counted((rows - ends.len()) as u64, "row is there twice", "rows are there twice"));
    }
    match problems.is_empty() {
        true => {
            output.line(&format!(
                "sound: {} in {}, each end of each message once",
                counted(rows as u64, "row", "rows"),
                counted(listed.len() as u64, "file", "files")
            ));
            Ok(())
        }
        false => Err(problems.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_it_leaves_out() {
        assert!(not_looked_at(&json!({ "not_looked_at": 1 })).unwrap().starts_with("1 older message under way was not"));
        assert!(not_looked_at(&json!({ "not_looked_at": 2_000 })).unwrap().starts_with("2,000 older messages under way were not"));
        assert_eq!(not_looked_at(&json!({ "not_looked_at": 0 })), None);
    }
}
