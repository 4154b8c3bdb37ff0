//! `hongyan send`: a file of numbers, with a text for all or a template that each line fills, handed to the running gateway in batches. Streams files of any
//! size; the same command run again goes on after a break and sends nobody twice.

mod dry;
mod job;
mod post;
mod progress;
mod rejects;
mod template;

use super::Output;
use super::admin::{Client, Where};
use super::counts::{counted, grouped};
use super::numbers::{column, refuse_same_files};
use super::operate::{instant, seconds};
use super::ranges::region;
use crate::number::dedupe::NumberSet;
use crate::number::list::{Column, LineError, List, same_name};
use dry::Dry;
use post::{BATCH_MAX, Defaults, Post, Row};
use progress::Progress;
use rejects::{Rejects, written};
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use template::Template;

/// What a line whose number came before is counted as.
const DUPLICATE: &str = "duplicate";
/// What columns with texts are called.
const TEXT_NAMES: [&str; 6] = ["text", "message", "content", "短信", "短信内容", "内容"];

/// Send a file of messages through the running gateway
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file is plain lines or CSV (comma, semicolon or tab), in UTF-8 or GB18030. The column of numbers is found by its name (number, phone, mobile, 号码, 手机号 ...) or by what it holds. A bad line is told of and passed over; of each number the first line counts.\n\nThe same command run again goes on after a break: the gateway knows who was sent to in this job and sends nobody twice, for 72 hours and 10 million messages of an account ([account.dedupe] in its configuration). A job is named by --job, or by what is in the file and what is sent.\n\nExamples:\n  hongyan send list.txt --account shop --text 'Sale today' --dry-run\n  hongyan send customers.csv --account shop --class marketing --campaign spring --text 'Dear {name}, ...' --rejects bad.csv\n  hongyan send customers.csv --account shop --text-file text.txt --rate 500 --send-at 18:30\n  zcat list.gz | hongyan send - --account shop --text 'Sale today' --job sale-1126\n\nExit codes: 0 every line was taken or told of, 1 it stopped before (run it again to go on), 2 wrong usage."
)]
pub(super) struct Args {
    /// The file; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose messages
    #[arg(long, value_name = "NAME")]
    account: String,
    /// otp, transactional or marketing [default: the account's]
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// The sender [default: the account's]
    #[arg(long, value_name = "SENDER")]
    from: Option<String>,
    /// The campaign: a name by which these messages are paused, cancelled and told apart
    #[arg(long, value_name = "NAME")]
    campaign: Option<String>,
    /// The text; {name} is that column of the line, {2} the second, {{ a brace [default: the column `text`]
    #[arg(long, value_name = "TEXT", conflicts_with = "text_file")]
    text: Option<String>,
    /// The same from a file
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// Column with the numbers: its name, or its place from 1
    #[arg(long, value_name = "NAME|N", value_parser = column)]
    number_column: Option<Column>,
    /// Country of numbers written without a country code [default: the gateway's]
    #[arg(long, value_name = "ISO")]
    region: Option<String>,
    /// auto, gsm7, latin1 or ucs2
    #[arg(long, value_name = "NAME", default_value = "auto")]
    encoding: String,
    /// Receipts that the account's receivers get of these messages: none, failure or final
    #[arg(long, value_name = "WHICH", default_value = "none")]
    receipts: String,
    /// Not before: 2026-03-01T08:00+08:00, or 18:30 (local, today or tomorrow)
    #[arg(long, value_name = "TIME", value_parser = instant)]
    send_at: Option<u64>,
    /// Not after
    #[arg(long, value_name = "TIME", value_parser = instant)]
    expire_at: Option<u64>,
    /// Hand in at most so many messages a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// The job's name: the same job reaches a number once
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Look only: what would be sent, at what cost and how long it would take
    #[arg(long)]
    dry_run: bool,
    /// Only go on with a job: stop if the gateway knows nothing of its first lines
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// Write every line that isn't sent to this file, as CSV: line, reason, detail, written
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// How long to wait for a gateway that is away
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = seconds)]
    wait: u64,
    #[command(flatten)]
    at: Where,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    refuse_same_files(&[("the file", Some(&args.file)), ("--text-file", args.text_file.as_ref()), ("--rejects", args.rejects.as_ref())])?;
    let client = args.at.client()?;
    let home = args.region.as_deref().map_or_else(|| client.home(), region)?;
    let text = text(args)?;
    let job = job_name(args, text.as_deref())?;
    let size = std::fs::metadata(&args.file).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let mut progress = Progress::new(size, false);
    let name = args.file.display().to_string();
    let input: Box<dyn Read> = match args.file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(&args.file).map_err(|error| format!("{name}: can't be opened: {error}"))?),
    };
    let column = args.number_column.as_ref().unwrap_or(&Column::Any);
    let mut list = List::open(progress.counted(input), column, home).map_err(|error| format!("{name}: {error}"))?;
    let template = template(text.as_deref(), list.names())?;
    let defaults = defaults(args, &template);
    let mut rejects = Rejects::new(args.rejects.as_deref())?;
    eprintln!("job {job}");
    let account = args.account.as_str();
    if args.dry_run {
        let mut dry = Dry::new(&client, account, &defaults, &job);
        let each = &mut |rows: Vec<Row>, rejects: &mut Rejects<'_>| dry.look_at(&rows, rejects, &mut progress);
        let done = each_batch(&mut list, &template, BATCH_MAX, &mut rejects, each);
        progress.end();
        rejects.close()?;
        dry.tell(done?, args.rate, &rejects, output);
        return Ok(());
    }
    let mut post = Post::new(&client, account, &defaults, &job, Duration::from_secs(args.wait), args.rate);
    let mut unknown = args.resume;
    let batch = post.batch_size();
    let done = each_batch(&mut list, &template, batch, &mut rejects, &mut |rows, rejects| {
        if std::mem::take(&mut unknown) && dry::known(&client, account, &defaults, &job, &rows)? == 0 {
            return Err("resume: the gateway knows nothing of the first lines of this job; without --resume it begins".to_owned());
        }
        post.hand_in(rows, rejects, &mut progress)
    });
    progress.end();
    rejects.close()?;
    let lines = done.as_ref().copied().unwrap_or(0);
    tell(&client, &post, lines, &rejects, &progress, output);
    done.map(drop).map_err(|error| format!("{error}\nnot all of {name} is sent; run the same command again to go on (--job {job})"))
}

fn text(args: &Args) -> Result<Option<String>, String> {
    let Some(file) = &args.text_file else { return Ok(args.text.clone()) };
    let octets = std::fs::read(file).map_err(|error| format!("{}: can't be read: {error}", file.display()))?;
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&octets);
    let text = match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::GB18030.decode_without_bom_handling(octets).0.into_owned(),
    };
    // The line break that every editor puts at the end.
    Ok(Some(text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text).to_owned()).unwrap_or(text)))
}

/// The job that was named, or the one that this file and these words are.
fn job_name(args: &Args, text: Option<&str>) -> Result<String, String> {
    if let Some(job) = &args.job {
        return Ok(job.clone());
    }
    if !args.file.is_file() {
        return Ok(job::of_chance());
    }
    let plain = |term: &Option<String>| term.clone().unwrap_or_default();
    let column = format!("{:?}", args.number_column);
    let terms = [&args.account, &plain(&args.class), &plain(&args.from), &plain(&args.campaign), text.unwrap_or_default(), &column];
    job::of_file(&args.file, &terms.map(|term| term as &str)).map_err(|error| format!("{}: can't be read: {error}", args.file.display()))
}

fn template(text: Option<&str>, names: &[String]) -> Result<Template, String> {
    if let Some(text) = text {
        return Template::parse(text, names);
    }
    let found = names.iter().position(|name| TEXT_NAMES.iter().any(|text| same_name(name, text)));
    found.map(Template::of_column).ok_or_else(|| "text: there is none: say --text or --text-file, or name a column `text`".to_owned())
}

fn defaults(args: &Args, template: &Template) -> Defaults {
    Defaults {
        class: args.class.clone(),
        from: args.from.clone(),
        campaign: args.campaign.clone(),
        text: template.fixed().map(str::to_owned),
        encoding: args.encoding.clone(),
        report: args.receipts.clone(),
        send_at_ms: args.send_at,
        expire_at_ms: args.expire_at,
    }
}

/// What is done with a batch.
type Each<'e> = &'e mut dyn FnMut(Vec<Row>, &mut Rejects<'_>) -> Result<(), String>;

/// Reads the file to its end: what can be sent goes to `each` in batches, the rest to `rejects`. Gives the lines that were read.
fn each_batch(
    list: &mut List<impl Read>,
    template: &Template,
    batch: usize,
    rejects: &mut Rejects<'_>,
    each: Each<'_>,
) -> Result<u64, String> {
    let (mut lines, mut set, mut rows) = (0, NumberSet::new(), Vec::with_capacity(batch));
    while let Some((record, number)) = list.read().map_err(|error| format!("the file can't be read to its end: {error}"))? {
        lines += 1;
        let raw = if rejects.wants_text() { written(&record) } else { String::new() };
        let number = match number {
            Ok(number) => number,
            Err(error) => {
                let reason = if matches!(error, LineError::Number(_)) { "destination" } else { "unreadable" };
                rejects.add(record.line, reason, &error.to_string(), &raw)?;
                continue;
            }
        };
        let text = match template.fixed() {
            Some(_) => None,
            None => match template.fill(&record) {
                Ok(text) => Some(text),
                Err(column) => {
                    rejects.add(
                        record.line,
                        "text",
                        &format!("the text needs column {column}, and the line has {}", record.len()),
                        &raw,
                    )?;
                    continue;
                }
            },
        };
        if !set.insert(number) {
            rejects.add(record.line, DUPLICATE, "its number came before", &raw)?;
            continue;
        }
        rows.push(Row { line: record.line, number, text, written: raw });
        if rows.len() == batch {
            each(std::mem::replace(&mut rows, Vec::with_capacity(batch)), rejects)?;
        }
    }
    if !rows.is_empty() {
        each(rows, rejects)?;
    }
    Ok(lines)
}

fn tell(client: &Client, post: &Post<'_>, lines: u64, rejects: &Rejects<'_>, progress: &Progress, output: &mut Output) {
    let seconds = progress.elapsed().as_secs_f64();
    if client.json {
        let told = json!({
            "job": post.job, "lines": lines, "accepted": post.accepted, "repeated": post.repeated, "segments": post.segments,
            "not_sent": rejects.to_json(), "seconds": (seconds * 1000.0).round() / 1000.0,
        });
        return output.json(&told, false);
    }
    output.heading(&format!("{} in {seconds:.1} s", counted(lines, "line", "lines")));
    output.line(&format!("  {:<24} {:>13}  in {}", "taken", grouped(post.accepted), counted(post.segments, "segment", "segments")));
    if post.repeated > 0 {
        output.line(&format!("  {:<24} {:>13}", "taken before in this job", grouped(post.repeated)));
    }
    show_rejects(rejects, output);
}

fn show_rejects(rejects: &Rejects<'_>, output: &mut Output) {
    for (reason, &count) in rejects.counts() {
        output.line(&format!("  {reason:<24} {:>13}", grouped(count)));
    }
    if !rejects.shown().is_empty() {
        output.heading("lines that are not sent");
        for (line, reason, detail) in rejects.shown() {
            output.line(&format!("  line {line}: {reason}: {detail}"));
        }
        let more = rejects.total() - rejects.of(DUPLICATE) - rejects.shown().len() as u64;
        if more > 0 {
            output.line(&format!("  ... and {} more; --rejects FILE has all", grouped(more)));
        }
    }
}
