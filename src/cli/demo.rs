//! `hongyan demo`: a whole gateway with two simulated carriers and a trickle of traffic on loopback, everything embedded, and the lines that a
//! newcomer needs to try it by hand.

use super::Output;
use super::serve::{runtime, stop_signal};
use crate::app::{AppError, Gateway};
use crate::config::{ApiKey, Config, Log, Profile, Route};
use crate::load::generator::{Load, LoadSettings};
use crate::load::session::Shape;
use crate::model::State;
use crate::model::clock::SystemClock;
use crate::sim::behaviour::Behaviour;
use crate::sim::profile::behaviour_of;
use crate::sim::smsc::{Smsc, SmscSettings};
use crate::telemetry::EngineSnapshot;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hongyan demo\n  hongyan demo --rate 200 --port 0\n  hongyan demo --data-dir demo-data      keep what was accepted for the next run"
)]
pub(super) struct Args {
    /// SMPP port for clients; 0: any free one
    #[arg(long, default_value_t = 2775)]
    port: u16,
    /// Port of the metrics page; 0: any free one
    #[arg(long, default_value_t = 9464)]
    metrics_port: u16,
    /// Port of the admin commands; 0: any free one
    #[arg(long, default_value_t = 9465)]
    admin_port: u16,
    /// Port of the HTTP API; 0: any free one
    #[arg(long, default_value_t = 8080)]
    http_port: u16,
    /// Messages a second of the trickle; 0: none
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Stop after so many seconds; 0: at Ctrl-C
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Data directory to keep; default: a new one, removed at the end
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The key of the account demo, on loopback only: the same each time, so that examples can be copied.
const DEMO_KEY: &str = "hy_demo_key_for_loopback_only";

/// system_id and password of the trickle.
const TRICKLE: &str = "trickle";

/// A directory that is removed at the end, unless the user named it.
struct DataDir {
    path: PathBuf,
    keep: bool,
}

impl DataDir {
    fn of(args: &Args) -> DataDir {
        match &args.data_dir {
            Some(path) => DataDir { path: path.clone(), keep: true },
            None => DataDir { path: std::env::temp_dir().join(format!("hongyan-demo-{}", std::process::id())), keep: false },
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if !self.keep {
            // What can't be removed is in the temporary directory and will be.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), String> {
    super::start_logs(&Log { level: "warn".to_owned(), ..Log::default() })?;
    let data = DataDir::of(args);
    let carriers = [carrier("standard")?, carrier("hex-ids")?];
    let config = config(args, &data, &carriers);
    runtime(&config)?.block_on(demo(args, config, output))?;
    for carrier in carriers {
        carrier.stop();
    }
    Ok(())
}

/// A simulated carrier with the habits of a shipped profile and receipts that take a moment.
fn carrier(profile: &str) -> Result<Smsc, String> {
    let habits = Profile::shipped(profile).ok_or("a shipped profile is missing")?;
    let wall_ms = SystemClock::start().now().wall_ms;
    let behaviour = Behaviour { receipt_delay_ms: 300, receipt_jitter_ms: 1_500, ..behaviour_of(&habits, wall_ms) }.begin_ids_at(wall_ms);
    let settings = SmscSettings { name: profile.to_owned(), behaviour, ..SmscSettings::default() };
    Smsc::start(settings).map_err(|error| format!("starting a simulated carrier: {error}"))
}

fn config(args: &Args, data: &DataDir, carriers: &[Smsc; 2]) -> Config {
    let [north, south] = carriers;
    // The trickle has an account of its own: receipts go to any receiver of an account, and a newcomer must get all of his.
    let mut config = Config::demo(&data.path)
        .with_account(TRICKLE, TRICKLE)
        .with_carrier("north", &north.local_addr().to_string(), "standard")
        .with_carrier("south", &south.local_addr().to_string(), "hex-ids");
    config.listen.address = SocketAddr::from(([127, 0, 0, 1], args.port));
    config.metrics.address = SocketAddr::from(([127, 0, 0, 1], args.metrics_port));
    config.admin.address = SocketAddr::from(([127, 0, 0, 1], args.admin_port));
    // Limits that it never reaches, to be seen on dashboards.
    config.carriers.iter_mut().for_each(|carrier| carrier.rate_per_s = Some(1_000));
    config.accounts.iter_mut().for_each(|account| account.rate_per_s = Some(1_000));
    // Receipts are here within two seconds.
    config.metrics.matured_after_s = 10;
    config.http.enabled = true;
    config.http.address = SocketAddr::from(([127, 0, 0, 1], args.http_port));
    for account in config.accounts.iter_mut().filter(|account| account.name == "demo") {
        account.api_keys.push(ApiKey::plain("demo", DEMO_KEY));
    }
    config.routes = vec![Route::plain("", &["north", "south"]), Route::plain("8613", &["south", "north"])];
    config
}

async fn demo(args: &Args, config: Config, output: &mut Output) -> Result<(), String> {
    let gateway = Gateway::start(config).await.map_err(|error| refused(&error))?;
    introduce(&gateway, output);
    let trickle = trickle(gateway.smpp_address(), args.rate)?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let until = tokio::time::sleep(if args.seconds > 0 { Duration::from_secs(args.seconds) } else { Duration::from_secs(365 * 86_400) });
    tokio::pin!(until);
    let stopping = stop_signal();
    tokio::pin!(stopping);
    let ended = loop {
        tokio::select! {
            () = &mut stopping => break Ok(()),
            () = &mut until => break Ok(()),
            why = gateway.failed() => break Err(format!("the store failed: {why}")),
            _ = second.tick() => summary(&gateway.figures()),
        }
    };
    if let Some(trickle) = trickle {
        trickle.stop();
        // The generator ends on a thread of its own; it unbinds before the gateway goes.
        let _ = tokio::task::spawn_blocking(|| trickle.join(|| None)).await;
    }
    gateway.stop().await;
    output.line("\nstopped");
    ended
}

/// Why the gateway did not start; a busy port names the option that chooses another, since nobody wrote a configuration.
fn refused(error: &AppError) -> String {
    match error {
        AppError::Port { what, key, address, source } => {
            let option = match key.split('.').next() {
                Some("metrics") => "--metrics-port",
                Some("admin") => "--admin-port",
                Some("http") => "--http-port",
                _ => "--port",
            };
            format!("{what} {address}: {source}; choose another with {option} (0: any free one)")
        }
        other => other.to_string(),
    }
}

fn introduce(gateway: &Gateway, output: &mut Output) {
    let port = gateway.smpp_address().port();
    output.heading("Hongyan is running: a gateway, two simulated carriers (north, south), and a trickle of messages.");
    output.line(&format!("\n  SMPP      {}   system_id demo, password demo", gateway.smpp_address()));
    if let Some(address) = gateway.metrics_address() {
        output.line(&format!("  metrics   http://{address}/metrics"));
    }
    if let Some(address) = gateway.http_address() {
        output.line(&format!("  HTTP API  http://{address}/docs   Authorization: Bearer {DEMO_KEY}"));
    }
    if let Some(address) = gateway.admin_address() {
        // The commands find the usual port by themselves.
        let usual = crate::config::Admin::default().address == address;
        let option = if usual { String::new() } else { format!(" --admin {address}") };
        output.line(&format!("  admin     hongyan carriers{option}; hongyan pause --carrier north --for 1m{option}"));
    }
    output.line(&format!(
        "\nTry it by hand from another terminal (pip install smpplib):\n\n\
python3 - <<'END'\n\
import smpplib.client\n\
c = smpplib.client.Client('127.0.0.1', {port}, allow_unknown_opt_params=True)\n\
c.set_message_received_handler(lambda pdu: print(pdu.short_message) or 0)\n\
c.connect(); c.bind_transceiver(system_id='demo', password='demo')\n\
c.send_message(source_addr='SHOP', source_addr_ton=5, dest_addr_ton=1, dest_addr_npi=1,\n\
               destination_addr='8613800138000', short_message=b'Hello', registered_delivery=1)\n\
c.listen()   # prints the receipt within two seconds; Ctrl-C ends it\n\
END\n\nCtrl-C stops all.\n"
    ));
}

/// Messages at a steady rate, from a client like any other.
fn trickle(target: SocketAddr, rate_per_s: f64) -> Result<Option<Load>, String> {
    if rate_per_s <= 0.0 {
        return Ok(None);
    }
    let defaults = LoadSettings::default();
    // The sender is a short code and the numbers are spread over both routes.
    let shape = Shape { first_destination: 8_613_500_000_000, destinations: 800_000_000, ..defaults.shape };
    let accounts = vec![(TRICKLE.to_owned(), TRICKLE.to_owned())];
    let settings = LoadSettings { target, accounts, messages: u64::from(u32::MAX), rate_per_s, shape, ..defaults };
    Load::start(settings).map(Some).map_err(|error| format!("starting the trickle: {error}"))
}

/// One line, rewritten each second on a terminal.
fn summary(figures: &EngineSnapshot) {
    let state = |state: State| figures.conservation.states[state as usize];
    // Short enough for a terminal of 80 columns: a line that wraps can't be rewritten.
    let line = format!(
        "accepted {}  waiting {}  at carriers {}  delivered {}  failed {}  lost {}",
        figures.conservation.accepted,
        state(State::Waiting),
        state(State::SentWaiting),
        state(State::Delivered),
        state(State::Undelivered) + state(State::Rejected) + state(State::Expired),
        figures.conservation.difference(),
    );
    let mut out = std::io::stdout();
    // A terminal that has gone away is no reason to stop.
    let _ = if out.is_terminal() { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
    let _ = out.flush();
}
