//! `hongyan load` and `hongyan relay`: arguments and their meaning. Printing is left to `cli`.

use super::generator::{Load, LoadReport, LoadSettings};
use super::relay::relay;
use super::session::Shape;
use super::verdict;
use crate::model::mark::{MARK_LEN, RunId};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Arguments of `hongyan load`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    hongyan load                                            10,000 messages to 127.0.0.1:2775 as demo/demo\n  \
    hongyan load --messages 1000000 --binds 4 --window 500  as fast as the windows allow\n  \
    hongyan load --rate 20000 --duration-s 30 --json        open loop: latency from the intended time\n  \
    hongyan load --account a:secret --account b:secret      sessions take the accounts in turn\n\n\
    Exit codes: 0 if all that was accepted was reported once, 1 if nothing could be sent or anything was lost, doubled or left unanswered\n\
    (receipts are not judged with --wait 0, without receipts asked for, or when interrupted), 2 wrong usage.")]
pub struct LoadArgs {
    /// Where the peer listens
    #[arg(long, default_value = "127.0.0.1:2775", value_name = "ADDRESS:PORT")]
    pub target: SocketAddr,
    /// An account; may be repeated [default: demo:demo]
    #[arg(long = "account", value_name = "SYSTEM_ID:PASSWORD", value_parser = parse_account)]
    pub accounts: Vec<(String, String)>,
    /// Sessions
    #[arg(long, default_value_t = 1)]
    pub binds: usize,
    /// Bind a transmitter and a receiver each time, not a transceiver
    #[arg(long)]
    pub separate: bool,
    /// Unanswered submits per session
    #[arg(long, default_value_t = 100)]
    pub window: usize,
    /// Messages in all [default: 10000, or as many as fit into --duration-s]
    #[arg(long)]
    pub messages: Option<u64>,
    /// Stop sending after so long
    #[arg(long)]
    pub duration_s: Option<f64>,
    /// Messages a second (open loop) [default: as fast as the windows allow]
    #[arg(long)]
    pub rate: Option<f64>,
    /// How messages look
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// How long to wait for receipts after the last one
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    pub wait: f64,
    /// A submit without an answer for so long counts as unanswered
    #[arg(long, default_value_t = 30_000)]
    pub response_timeout_ms: u64,
    /// Give up when no session could be bound for so long
    #[arg(long, default_value_t = 10_000)]
    pub give_up_ms: u64,
    /// Final report of `hongyan smsc --report`: compare with what the carrier's end saw (looked for when the load is over)
    #[arg(long, value_name = "FILE")]
    pub carrier_report: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// How messages look.
#[derive(Debug, Clone, clap::Args)]
pub struct ShapeArgs {
    /// Characters of each text, 20 to 160
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u16).range(MARK_LEN as i64..=160))]
    pub characters: u16,
    /// Distinct destination numbers
    #[arg(long, default_value_t = 1_000_000)]
    pub numbers: u64,
    /// First destination number
    #[arg(long, default_value_t = 8_613_800_000_000)]
    pub first_number: u64,
    /// Sender
    #[arg(long, default_value = "10690000")]
    pub source: String,
    /// registered_delivery; 0: no receipts
    #[arg(long, default_value_t = 1)]
    pub registered_delivery: u8,
}

impl ShapeArgs {
    /// As the generator wants it.
    pub fn shape(&self) -> Shape {
        Shape {
            characters: usize::from(self.characters),
            destinations: self.numbers,
            first_destination: self.first_number,
            source: self.source.clone(),
            registered_delivery: self.registered_delivery,
            schedule: String::new(),
        }
    }
}

fn parse_account(text: &str) -> Result<(String, String), String> {
    let (system_id, password) = text.split_once(':').ok_or("expected SYSTEM_ID:PASSWORD")?;
    Ok((system_id.to_owned(), password.to_owned()))
}

/// A run id that differs from one start to the next.
pub fn fresh_run_id() -> RunId {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut run = [0; 4];
    for place in &mut run {
        *place = DIGITS[(rest % 36) as usize];
        rest /= 36;
    }
    run
}

impl LoadArgs {
    /// The settings that these arguments mean.
    pub fn settings(&self) -> LoadSettings {
        let defaults = LoadSettings::default();
        LoadSettings {
            target: self.target,
            accounts: if self.accounts.is_empty() { defaults.accounts.clone() } else { self.accounts.clone() },
            binds: self.binds,
            separate: self.separate,
            window: self.window,
            messages: self.messages.unwrap_or(if self.duration_s.is_some() { u64::MAX } else { defaults.messages }),
            duration_ms: self.duration_s.map_or(0, |seconds| (seconds * 1000.0) as u64),
            rate_per_s: self.rate.unwrap_or(0.0),
            shape: self.shape.shape(),
            wait_ms: (self.wait * 1000.0) as u64,
            response_timeout_ms: self.response_timeout_ms,
            give_up_ms: self.give_up_ms,
            run: fresh_run_id(),
            ..defaults
        }
    }
}

/// What a load came to.
pub struct Outcome {
    /// The report: always there, whatever went wrong.
    pub report: Value,
    /// What could not be looked at.
    pub warning: Option<String>,
    /// What went wrong, in words; empty if nothing did.
    pub problems: Vec<String>,
}

/// Runs the load; `line` gets a line of progress each second. SIGINT and SIGTERM end it early.
///
/// # Errors
/// In words: the generator can't be started.
pub fn run(args: &LoadArgs, line: &mut dyn FnMut(&str)) -> Result<Outcome, String> {
    let load = Load::start(args.settings()).map_err(|error| format!("can't start: {error}"))?;
    follow(&load, line)?;
    let (report, _) = load.join(|| None);
    let mut value = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    let mut warning = None;
    if let Some(file) = &args.carrier_report {
        match carrier_run(file, &report) {
            Ok(seen) => value["carrier"] = seen,
            Err(why) => warning = Some(why),
        }
    }
    let problems = verdict::of_load(&value, args.wait > 0.0 && args.shape.registered_delivery & 3 != 0);
    Ok(Outcome { report: value, warning, problems })
}

/// What the carrier's report says about this run.
fn carrier_run(file: &std::path::Path, report: &LoadReport) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
    let whole: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let runs = whole["runs"].as_array().cloned().unwrap_or_default();
    Ok(runs.into_iter().find(|entry| entry["run"] == json!(report.run)).unwrap_or(json!({ "reached": 0, "duplicates": 0 })))
}

/// Waits for the end of `load`, telling `line` each second how far it is.
///
/// # Errors
/// If signals can't be caught.
pub fn follow(load: &Load, line: &mut dyn FnMut(&str)) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime
        .block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            let mut before = load.tally();
            let mut problem_before = None;
            let mut polls = 0u32;
            while !load.is_finished() {
                tokio::select! {
                    _ = interrupt.recv() => load.stop(),
                    _ = terminate.recv() => load.stop(),
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                polls += 1;
                if polls.is_multiple_of(20) {
                    let now = load.tally();
                    let refused: u64 = now.refused.values().sum();
                    line(&format!(
                        "{} sent  {} accepted (+{})  {refused} refused  {} reported (+{})",
                        now.sent,
                        now.accepted,
                        now.accepted - before.accepted,
                        now.reported,
                        now.reported - before.reported
                    ));
                    before = now;
                    let problem = load.bind_problem();
                    if problem != problem_before
                        && let Some(problem) = &problem
                    {
                        line(problem);
                    }
                    problem_before = problem;
                }
            }
            Ok::<_, std::io::Error>(())
        })
        .map_err(|error| error.to_string())
}

/// The report in words.
pub fn describe(report: &Value) -> Vec<String> {
    let number = |key: &str| report[key].as_u64().unwrap_or(0);
    let latency = |key: &str| {
        let ms = |percentile: &str| report[key][percentile].as_u64().unwrap_or(0) as f64 / 1000.0;
        format!("p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms", ms("p50_us"), ms("p99_us"), ms("p999_us"), ms("max_us"))
    };
    let mut lines = vec![
        format!(
            "sent {}, accepted {}, unanswered {}, refused {}",
            number("sent"),
            number("accepted"),
            number("unanswered"),
            report["refused"]
        ),
        format!(
            "reported {}, lost {}, duplicate receipts {}, receipts for another message {}, receipts for nothing {}",
            number("reported"),
            number("unreported"),
            number("duplicate_receipts"),
            number("mismatched_receipts"),
            number("unmatched_receipts")
        ),
        format!("{:.0} messages/s over {:.2} s", report["per_s"].as_f64().unwrap_or(0.0), report["elapsed_s"].as_f64().unwrap_or(0.0)),
        format!("answers:  {}", latency("answer")),
        format!("receipts: {}", latency("receipt")),
    ];
    if let Some(carrier) = report.get("carrier") {
        lines.push(format!("at the carrier: reached {}, repeated {}", carrier["reached"], carrier["duplicates"]));
    }
    lines
}

/// Arguments of `hongyan relay`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan relay --target 127.0.0.1:2776    between `hongyan load` and `hongyan smsc`: the floor of any comparison"
)]
pub struct RelayArgs {
    /// Port to listen on; 0: chosen by the system
    #[arg(long, default_value_t = 2775)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub address: IpAddr,
    /// Where to pass everything on
    #[arg(long, default_value = "127.0.0.1:2776", value_name = "ADDRESS:PORT")]
    pub target: SocketAddr,
}

/// Relays until SIGINT or SIGTERM; `line` gets the address first.
///
/// # Errors
/// In words: the port is taken.
pub fn run_relay(args: &RelayArgs, line: &mut dyn FnMut(&str)) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = SocketAddr::new(args.address, args.port);
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(|error| format!("can't listen on {listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        line(&format!("listening for SMPP on {address}"));
        let caught = |error: std::io::Error| error.to_string();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt()).map_err(caught)?, signal(SignalKind::terminate()).map_err(caught)?);
        tokio::select! {
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            ended = relay(listener, args.target) => ended.map_err(caught),
        }
    })
}
