//! `hongyan bench NAME`: one question each about the dispatch engine, asked of a gateway that is a process of its own on a real disk, and answered from
//! outside: by what the load sent and was told, and by when the carrier's end saw it. A scenario is one file; here is what they share.

mod cancel;
mod deferred;
mod halving;
mod numbers;
mod otp;
mod stuck;

use super::bench::{CarrierEnd, StartCarrier};
use super::command::follow;
use super::generator::{Load, LoadReport, LoadSettings};
use super::ledger::{AtCarrier, Latency};
use super::session::Shape;
use super::subject::Subject;
use crate::model::clock::SystemClock;
use crate::model::mark::{RunId, RunMarks};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The questions.
#[derive(Debug, clap::Subcommand)]
pub enum Scenario {
    /// One-time codes beside a backlog of campaign messages on one slow carrier: what they wait, against codes alone
    Otp(otp::Args),
    /// A carrier that halves what it allows: how soon that is found, at what price, and how much of it is used
    Halving(halving::Args),
    /// Four carriers of which one takes everything and answers nothing: what the other three lose
    Stuck(stuck::Args),
    /// A cancel of a million waiting messages: how soon it is in force
    Cancel(cancel::Args),
    /// Tens of millions of messages that are due next week: memory, disk, and a restart; goes on where it was left
    Deferred(deferred::Args),
    /// A file of ten million numbers: normalised, freed of duplicates, sharded
    Numbers(numbers::Args),
}

/// Where data lies and how the result is printed.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Where the gateway keeps its data, on the disk that is to be measured; a new directory in it is made and removed
    #[arg(long, default_value = ".", value_name = "DIR")]
    data_dir: PathBuf,
    /// Leave configuration, log and data where they are
    #[arg(long)]
    keep: bool,
    /// Keep records of finished messages too
    #[arg(long)]
    records: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What came of a scenario.
pub struct Scene {
    /// All figures.
    pub result: Value,
    /// The same in words.
    pub lines: Vec<String>,
    /// What was lost, doubled, or against a promise; empty if nothing was.
    pub problems: Vec<String>,
}

impl Scenario {
    fn common(&self) -> &Common {
        match self {
            Scenario::Otp(args) => &args.common,
            Scenario::Halving(args) => &args.common,
            Scenario::Stuck(args) => &args.common,
            Scenario::Cancel(args) => &args.common,
            Scenario::Deferred(args) => &args.common,
            Scenario::Numbers(args) => &args.common,
        }
    }

    /// Print the result as JSON?
    pub fn json(&self) -> bool {
        self.common().json
    }

    /// Runs it, with carriers that `start_carrier` makes.
    ///
    /// # Errors
    /// In words: something can't be started, ends early, or can't be written.
    pub fn run<C: CarrierEnd>(&self, start_carrier: StartCarrier<'_, C>, line: &mut dyn FnMut(&str)) -> Result<Scene, String> {
        // What is to be gone on with has a directory that can be named again.
        let own =
            if let Scenario::Deferred(_) = self { "hongyan-deferred".to_owned() } else { format!("hongyan-bench-{}", std::process::id()) };
        let directory = std::path::absolute(self.common().data_dir.join(own)).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&directory).map_err(|error| format!("can't make {}: {error}", directory.display()))?;
        let mut stage = Stage { directory: directory.clone(), clock: SystemClock::start(), start_carrier, line };
        let scene = match self {
            Scenario::Otp(args) => otp::run(args, &mut stage),
            Scenario::Halving(args) => halving::run(args, &mut stage),
            Scenario::Stuck(args) => stuck::run(args, &mut stage),
            Scenario::Cancel(args) => cancel::run(args, &mut stage),
            Scenario::Deferred(args) => deferred::run(args, &mut stage),
            Scenario::Numbers(args) => numbers::run(args, &mut stage),
        };
        if !self.common().keep && scene.is_ok() {
            // Left behind if it can't be removed; the result stands all the same.
            let _ = std::fs::remove_dir_all(&directory);
        }
        scene
    }
}

/// What a scenario works with.
struct Stage<'a, C> {
    directory: PathBuf,
    /// The one clock of load and carriers, so that their times can be compared.
    clock: SystemClock,
    start_carrier: StartCarrier<'a, C>,
    line: &'a mut dyn FnMut(&str),
}

impl<C: CarrierEnd> Stage<'_, C> {
    fn carrier(&self) -> Result<C, String> {
        (self.start_carrier)(500, self.clock)
    }

    fn say(&mut self, text: &str) {
        (self.line)(text);
    }

    /// The gateway with this configuration.
    fn gateway(&self, setup: &Setup) -> Result<Subject, String> {
        let config = self.directory.join("hongyan.toml");
        std::fs::write(&config, &setup.0).map_err(|error| error.to_string())?;
        Subject::start(&["serve", "--config", &config.display().to_string()], &self.directory.join("gateway.log"))
    }

    /// The load of one account, not yet started.
    fn load(&self, gateway: &Subject, account: &str, run: RunId, messages: u64) -> LoadSettings {
        LoadSettings {
            target: gateway.address,
            accounts: vec![(account.to_owned(), "bench".to_owned())],
            binds: 2,
            window: 500,
            messages,
            run,
            clock: self.clock,
            ..LoadSettings::default()
        }
    }

    /// Starts a load, tells each second how far it is, and waits for its end.
    fn run(
        &mut self,
        settings: LoadSettings,
        carrier: impl FnOnce() -> Option<RunMarks>,
    ) -> Result<(LoadReport, Option<AtCarrier>), String> {
        let load = start(settings)?;
        follow(&load, self.line)?;
        Ok(load.join(carrier))
    }

    /// Loads so many messages that want no receipts, in rounds: what was refused for the moment is handed in again. How many were accepted a second.
    fn load_all(&mut self, gateway: &Subject, account: &str, messages: u64, change: impl Fn(&mut LoadSettings)) -> Result<f64, String> {
        let (mut missing, mut seconds) = (messages, 0.0);
        while missing > 0 {
            let mut load = self.load(gateway, account, super::command::fresh_run_id(), missing);
            load.shape = without_receipts(load.shape);
            change(&mut load);
            let (round, _) = self.run(load, || None)?;
            let taken = round.tally.accepted;
            if taken == 0 {
                return Err(format!("{missing} messages are missing and the gateway takes none; look into its log, with --keep"));
            }
            seconds += taken as f64 / round.per_s.max(1.0);
            missing = missing.saturating_sub(taken);
            if missing > 0 {
                self.say(&format!("{missing} were refused for the moment, and are handed in again"));
            }
        }
        Ok(messages as f64 / f64::max(seconds, 0.001))
    }
}

fn start(settings: LoadSettings) -> Result<Load, String> {
    Load::start(settings).map_err(|error| format!("can't start the load: {error}"))
}

/// Messages that ask for no receipt: a backlog.
fn without_receipts(shape: Shape) -> Shape {
    Shape { registered_delivery: 0, ..shape }
}

/// A configuration in the making: what differs from the defaults.
struct Setup(String);

impl Setup {
    fn new(directory: &Path, records: bool) -> Setup {
        Setup(format!(
            "[gateway]\ndata_dir = {:?}\nmax_waiting = 100000000\n\n[gateway.log]\nlevel = \"warn\"\n\n[listen]\naddress = \"127.0.0.1:0\"\n\n[metrics]\naddress = \"127.0.0.1:0\"\n\n[admin]\naddress = \"127.0.0.1:0\"\n\n[records]\nenabled = {records}\n",
            directory.join("data").display().to_string()
        ))
    }

    fn account(mut self, name: &str, class: &str) -> Setup {
        // Writing to a String can't fail.
        let _ = write!(
            self.0,
            "\n[[account]]\nname = \"{name}\"\nsystem_id = \"{name}\"\npassword = \"bench\"\nclass = \"{class}\"\nwindow = 500\nmax_waiting = 100000000\n\n[account.receipts]\nwindow = 500\n"
        );
        self
    }

    /// A carrier, and the numbers that begin with `prefix` to it. `more`: further keys of the carrier.
    fn carrier(mut self, name: &str, address: SocketAddr, prefix: &str, more: &str) -> Setup {
        let _ = write!(
            self.0,
            "\n[[carrier]]\nname = \"{name}\"\nhosts = [\"{address}\"]\nsystem_id = \"hongyan\"\nbinds = 2\nwindow = 100\n{more}\n\n[[route]]\nprefix = \"{prefix}\"\ncarriers = [\"{name}\"]\n"
        );
        self
    }
}

/// From their acceptance to their being at the carrier, of a timed run. A message that was there before its answer was back counts as 0.
fn accept_to_submit(report: &LoadReport, at_carrier: &RunMarks) -> Latency {
    let mut latency = Latency::default();
    for (&accepted_us, &arrived_us) in report.accepted_us.iter().zip(&at_carrier.first_us) {
        if accepted_us > 0 && arrived_us > 0 {
            latency.record(arrived_us.saturating_sub(accepted_us));
        }
    }
    latency
}

fn sleep_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn mib(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

/// Octets of all files below `directory`.
fn octets_in(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { octets_in(&entry.path()) } else { entry.metadata().map_or(0, |file| file.len()) }).sum()
}
