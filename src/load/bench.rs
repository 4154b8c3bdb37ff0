//! `hongyan bench`: load and carrier around a gateway that is a process of its own, on a real disk; the bare relay in the
//! same run as the floor. The carrier comes in through [`CarrierEnd`], because this layer doesn't know the simulator.

use super::command::{ShapeArgs, follow, fresh_run_id};
use super::generator::{Load, LoadSettings};
use super::ledger::AtCarrier;
use super::subject::Subject;
use super::verdict;
use crate::model::clock::SystemClock;
use crate::model::mark::{RunId, RunMarks};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The carrier's end of the benchmark.
pub trait CarrierEnd {
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// What it took of a run.
    fn marks(&self, run: RunId) -> Option<RunMarks>;
    /// CPU that it has used, microseconds.
    fn cpu_us(&self) -> u64;
    /// Submits that it took so far, and that it refused because they were above its rate.
    fn taken_and_throttled(&self) -> (u64, u64);
    /// Keeps from now on when the first `count` messages of a run come.
    fn time(&self, run: RunId, count: usize);
    /// What it allows from now on: submits a second (0: any), and so many at once.
    fn allow(&self, rate_per_s: u32, burst: u32);
    /// From now on it takes every submit and answers none.
    fn fall_silent(&self);
}

/// Makes a carrier with this window for each bind and this clock.
pub type StartCarrier<'a, C> = &'a dyn Fn(usize, SystemClock) -> Result<C, String>;

/// Arguments of `hongyan bench`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    hongyan bench                                      a million messages through the gateway, as fast as it goes\n  \
    hongyan bench --relay                              the same, and through a bare relay for comparison\n  \
    hongyan bench --rate 20000 --messages 400000       at a fixed rate\n  \
    hongyan bench --json > result.json\n  \
    hongyan bench otp                                  one-time codes beside ten million waiting campaign messages\n\n\
    Exit codes: 0 measured and nothing lost or doubled, 1 failed (the reason is on standard error), 2 wrong usage."
)]
pub struct BenchArgs {
    /// One question about the engine instead of the whole
    #[command(subcommand)]
    pub scenario: Option<super::scenario::Scenario>,
    /// Messages in all
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: u64,
    /// Messages sent before the measurement, which warm everything up
    #[arg(long, default_value_t = 50_000)]
    pub warm_up: u64,
    /// Messages a second [default: as fast as the windows allow]
    #[arg(long)]
    pub rate: Option<f64>,
    /// Upstream sessions, and binds with the carrier
    #[arg(long, default_value_t = 4)]
    pub binds: usize,
    /// Unanswered submits per session, on both sides
    #[arg(long, default_value_t = 500)]
    pub window: usize,
    /// Accounts
    #[arg(long, default_value_t = 4)]
    pub accounts: usize,
    /// How messages look
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// How long to wait for receipts after the last one
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS")]
    pub wait: f64,
    /// Keep records of finished messages too
    #[arg(long)]
    pub records: bool,
    /// The flight recorder: off, sampled or full
    #[arg(long, default_value = "sampled", value_name = "MODE", value_parser = ["off", "sampled", "full"])]
    pub recorder: String,
    /// Measure a bare relay too
    #[arg(long)]
    pub relay: bool,
    /// Measure only the bare relay
    #[arg(long)]
    pub only_relay: bool,
    /// Where the gateway keeps its data, on the disk that is to be measured; a new directory in it is made and removed
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Leave configuration, log and data where they are
    #[arg(long)]
    pub keep: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What one subject (the gateway, the relay) did.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Accepted with their receipt back, a second.
    pub per_s: f64,
    /// CPU of the subject per message, microseconds: user and system of the whole process.
    pub cpu_us_per_message: f64,
    /// Of it in the kernel.
    pub cpu_system_us_per_message: f64,
    /// Context switches of the subject per message.
    pub switches_per_message: f64,
    /// Octets written to disk per message.
    pub disk_octets_per_message: f64,
    /// Highest resident memory, octets.
    pub peak_rss: u64,
    /// Resident memory at the end, octets.
    pub rss: u64,
    /// CPU of the simulated carrier per message, microseconds.
    pub carrier_cpu_us_per_message: f64,
    /// Messages that reached the carrier.
    pub reached: u64,
    /// Messages that reached it more than once.
    pub repeated: u64,
    /// Accepted and never seen by the carrier.
    pub accepted_not_reached: u64,
    /// Accepted and never reported.
    pub lost: u64,
    /// Groups and sync time of the gateway's journal.
    pub journal: Option<Value>,
    /// What the load generator counted.
    pub load: Value,
}

/// Runs the benchmark with the carrier that `start_carrier` makes for each subject. Returns settings and results.
///
/// # Errors
/// In words: a subject can't be started or ends early, the directory can't be written.
pub fn run<C: CarrierEnd>(args: &BenchArgs, start_carrier: StartCarrier<'_, C>, line: &mut dyn FnMut(&str)) -> Result<Value, String> {
    let directory = args.data_dir.join(format!("hongyan-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|error| format!("can't make {}: {error}", directory.display()))?;
    let result = run_in(&directory, args, start_carrier, line);
    if !args.keep && result.is_ok() {
        // Left behind if it can't be removed; the result stands all the same.
        let _ = std::fs::remove_dir_all(&directory);
    }
    result
}

fn run_in<C: CarrierEnd>(
    directory: &Path,
    args: &BenchArgs,
    start_carrier: StartCarrier<'_, C>,
    line: &mut dyn FnMut(&str),
) -> Result<Value, String> {
    let mut result = json!({
        "settings": {
            "messages": args.messages, "rate_per_s": args.rate, "binds": args.binds, "window": args.window, "accounts": args.accounts,
            "characters": args.shape.characters, "numbers": args.shape.numbers, "records": args.records, "recorder": args.recorder, "cores": std::thread::available_parallelism().map_or(1, usize::from),
        }
    });
    if !args.only_relay {
        let carrier = start_carrier(args.window, SystemClock::start())?;
        let config = directory.join("hongyan.toml");
        std::fs::write(&config, configuration(args, carrier.address(), directory)).map_err(|error| error.to_string())?;
        let subject = Subject::start(&["serve", "--config", &config.display().to_string()], &directory.join("gateway.log"))?;
        line(&format!("gateway: process {}, data in {}", subject.id(), directory.display()));
        result["gateway"] = serde_json::to_value(measure(subject, args, &carrier, line)?).map_err(|error| error.to_string())?;
    }
    if args.relay || args.only_relay {
        let carrier = start_carrier(args.window, SystemClock::start())?;
        let subject = Subject::start(&["relay", "--port", "0", "--target", &carrier.address().to_string()], &directory.join("relay.log"))?;
        line(&format!("relay: process {}", subject.id()));
        result["relay"] = serde_json::to_value(measure(subject, args, &carrier, line)?).map_err(|error| error.to_string())?;
    }
    let ratio = |key: &str| Some(result["gateway"][key].as_f64()? / result["relay"][key].as_f64()?);
    if let (Some(speed), Some(cpu)) = (ratio("per_s"), ratio("cpu_us_per_message")) {
        result["speed_of_relay"] = json!(speed);
        result["cpu_of_relay"] = json!(cpu);
    }
    let problems = verdict::of_bench(&result, args.wait > 0.0 && args.shape.registered_delivery & 3 != 0);
    result["problems"] = json!(problems);
    Ok(result)
}

/// The gateway's configuration: what differs from the defaults.
fn configuration(args: &BenchArgs, carrier: SocketAddr, directory: &Path) -> String {
    let mut text = format!(
        "[gateway]\ndata_dir = {:?}\n\n[gateway.log]\nlevel = \"warn\"\n\n[listen]\naddress = \"127.0.0.1:0\"\n\n[metrics]\naddress = \"127.0.0.1:0\"\n\n[admin]\naddress = \"127.0.0.1:0\"\n\n[records]\nenabled = {}\n\n[recorder]\nmode = \"{}\"\n",
        directory.join("data").display().to_string(),
        args.records,
        args.recorder
    );
    for account in 1..=args.accounts {
        // Writing to a String can't fail.
        let _ = write!(
            text,
            "\n[[account]]\nname = \"bench{account}\"\nsystem_id = \"bench{account}\"\npassword = \"bench\"\nwindow = {0}\nmax_waiting = 10000000\n\n[account.receipts]\nwindow = {0}\n",
            args.window
        );
    }
    let _ = write!(
        text,
        "\n[[carrier]]\nname = \"bench\"\nhosts = [\"{carrier}\"]\nsystem_id = \"hongyan\"\nbinds = {}\nwindow = {}\n\n[[route]]\nprefix = \"\"\ncarriers = [\"bench\"]\n",
        args.binds, args.window
    );
    text
}

fn measure<C: CarrierEnd>(mut subject: Subject, args: &BenchArgs, carrier: &C, line: &mut dyn FnMut(&str)) -> Result<Measured, String> {
    let settings = LoadSettings {
        target: subject.address,
        accounts: (1..=args.accounts.max(1)).map(|account| (format!("bench{account}"), "bench".to_owned())).collect(),
        binds: args.binds,
        window: args.window,
        shape: args.shape.shape(),
        wait_ms: (args.wait * 1000.0) as u64,
        run: fresh_run_id(),
        ..LoadSettings::default()
    };
    let start = |settings| Load::start(settings).map_err(|error| format!("can't start the load: {error}"));
    if args.warm_up > 0 {
        let warm = start(LoadSettings { messages: args.warm_up, run: *b"warm", ..settings.clone() })?;
        warm.join(|| None);
    }
    let syncs_before = sync_buckets(&subject.metrics_page());
    let (before, carrier_before) = (subject.usage(), carrier.cpu_us());
    let load = start(LoadSettings { messages: args.messages, rate_per_s: args.rate.unwrap_or(0.0), ..settings.clone() })?;
    follow(&load, line)?;
    let (report, judged) = load.join(|| carrier.marks(settings.run));
    let (after, carrier_after) = (subject.usage(), carrier.cpu_us());
    let journal = sync_summary(&syncs_before, &sync_buckets(&subject.metrics_page()));
    subject.still_runs()?;
    subject.stop();
    let messages = report.tally.accepted.max(1) as f64;
    let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / messages;
    let AtCarrier { reached, repeated, missing: accepted_not_reached } = judged.unwrap_or_default();
    Ok(Measured {
        per_s: report.per_s,
        cpu_us_per_message: each(after.user_us + after.system_us, before.user_us + before.system_us),
        cpu_system_us_per_message: each(after.system_us, before.system_us),
        switches_per_message: each(after.switches, before.switches),
        disk_octets_per_message: each(after.written, before.written),
        peak_rss: after.peak_rss,
        rss: after.rss,
        carrier_cpu_us_per_message: each(carrier_after, carrier_before),
        reached,
        repeated,
        accepted_not_reached,
        lost: report.tally.unreported,
        journal,
        load: serde_json::to_value(&report).map_err(|error| error.to_string())?,
    })
}

/// The result in words.
pub fn describe(result: &Value) -> Vec<String> {
    let settings = &result["settings"];
    let rate = settings["rate_per_s"].as_f64().map_or("as fast as the windows allow".to_owned(), |rate| format!("{rate} messages/s"));
    let mut lines = vec![format!(
        "{} messages of {} characters to {} numbers, {} accounts, {} binds, window {}, {rate}; {} cores shared by all{}; recorder {}",
        settings["messages"],
        settings["characters"],
        settings["numbers"],
        settings["accounts"],
        settings["binds"],
        settings["window"],
        settings["cores"],
        if settings["records"] == true { "; records are kept" } else { "" },
        settings["recorder"].as_str().unwrap_or_default()
    )];
    for subject in ["gateway", "relay"] {
        let Some(measured) = result.get(subject) else { continue };
        let float = |key: &str| measured[key].as_f64().unwrap_or(0.0);
        lines.push(String::new());
        lines.push(format!(
            "{subject}: {:.0} messages/s with receipts back, {:.2} us CPU each ({:.2} in the kernel, {:.3} switches), {:.0} octets to disk each, {} MiB at most",
            float("per_s"),
            float("cpu_us_per_message"),
            float("cpu_system_us_per_message"),
            float("switches_per_message"),
            float("disk_octets_per_message"),
            measured["peak_rss"].as_u64().unwrap_or(0) >> 20
        ));
        lines.push(format!(
            "  at the carrier: reached {}, repeated {}, accepted and not reached {}; lost {}",
            measured["reached"], measured["repeated"], measured["accepted_not_reached"], measured["lost"]
        ));
        lines.extend(super::command::describe(&measured["load"]).into_iter().map(|line| format!("  {line}")));
        if let Some(journal) = measured["journal"].as_object() {
            lines.push(format!(
                "  journal: {} groups, sync p50 up to {} us, p99 up to {} us",
                journal["groups"], journal["sync_p50_up_to_us"], journal["sync_p99_up_to_us"]
            ));
        }
        lines.push(format!(
            "  CPU of the tools each: load {:.2} us, carrier {:.2} us",
            measured["load"]["cpu_us_per_message"].as_f64().unwrap_or(0.0),
            float("carrier_cpu_us_per_message")
        ));
    }
    if let (Some(speed), Some(cpu)) = (result["speed_of_relay"].as_f64(), result["cpu_of_relay"].as_f64()) {
        lines.push(String::new());
        lines.push(format!("the gateway makes {speed:.2} of the relay's messages/s, at {cpu:.1} times its CPU"));
    }
    lines.push(String::new());
    lines.push(match problems(result).as_slice() {
        [] => "ok: nothing lost, nothing doubled, nothing unanswered".to_owned(),
        found => format!("failed: {}", found.join("; ")),
    });
    lines
}

/// What went wrong, in words; empty if nothing did.
pub fn problems(result: &Value) -> Vec<&str> {
    result["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The journal's histogram of syncs on a metrics page: (upper bound in seconds, syncs up to it), ascending.
fn sync_buckets(page: &str) -> Vec<(f64, u64)> {
    let bucket = |line: &str| {
        let (bound, count) = line.strip_prefix("hongyan_journal_sync_seconds_bucket{le=\"")?.split_once("\"}")?;
        Some((bound.replace("+Inf", "inf").parse().ok()?, count.trim().parse().ok()?))
    };
    page.lines().filter_map(bucket).collect()
}

/// Number of syncs between two looks, and the bounds of the buckets in which their median and 99th percentile lie, microseconds.
fn sync_summary(before: &[(f64, u64)], after: &[(f64, u64)]) -> Option<Value> {
    let counts: Vec<(f64, u64)> = after
        .iter()
        .enumerate()
        .map(|(place, (bound, count))| (*bound, count - before.get(place).map_or(0, |(_, count)| *count)))
        .collect();
    let total = counts.last()?.1;
    let at = |share: f64| {
        let found = counts.iter().find(|(_, count)| *count as f64 >= share * total as f64)?;
        Some(if found.0.is_finite() { json!((found.0 * 1e6) as u64) } else { Value::Null })
    };
    Some(json!({ "groups": total, "sync_p50_up_to_us": at(0.5)?, "sync_p99_up_to_us": at(0.99)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_between_two_looks_are_summed_up() {
        let before = [(0.001, 10), (0.01, 10), (f64::INFINITY, 10)];
        let after = [(0.001, 60), (0.01, 110), (f64::INFINITY, 110)];
        let summary = sync_summary(&before, &after).unwrap();
        assert_eq!(summary, json!({ "groups": 100, "sync_p50_up_to_us": 1000, "sync_p99_up_to_us": 10000 }));
        assert_eq!(sync_summary(&[], &[]), None);
    }
}
