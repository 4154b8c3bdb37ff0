//! `hongyan store verify|stats|dump`: what the data directory holds and whether it is sound. What events mean is told by the decoder that is passed in.

use super::Output;
use crate::store::StoreError;
use crate::store::local::inspect::{self, Figures};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Turns the octets of a group into its events, or says why not.
pub type Decoder<'a> = &'a dyn Fn(&[u8]) -> Result<Value, String>;

/// Look into the data directory
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check everything that is stored: checksums, positions, and that the files belong together. The gateway must be stopped
    #[command(
        after_help = "Examples:\n  hongyan store verify --data-dir /var/lib/hongyan\n\nExit codes: 0 sound, 1 not sound or not readable."
    )]
    Verify(VerifyArgs),
    /// Tell what is stored. The gateway may be running
    #[command(
        after_help = "Examples:\n  hongyan store stats --data-dir /var/lib/hongyan\n  hongyan store stats --data-dir /var/lib/hongyan --json"
    )]
    Stats(StatsArgs),
    /// Print the journal, one group a line, as JSON. The gateway may be running
    #[command(
        after_help = "Examples:\n  hongyan store dump --data-dir /var/lib/hongyan --from 1200 --to 1300\n  hongyan store dump --data-dir /var/lib/hongyan | jq .position"
    )]
    Dump(DumpArgs),
}

/// Arguments of `store verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The data directory
    #[arg(long, alias = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `store stats`.
#[derive(Debug, clap::Args)]
pub struct StatsArgs {
    /// The data directory
    #[arg(long, alias = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `store dump`.
#[derive(Debug, clap::Args)]
pub struct DumpArgs {
    /// The data directory
    #[arg(long, alias = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// First position; 0: the first that is kept
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    from: u64,
    /// Last position; without it, to the end
    #[arg(long, value_name = "POSITION", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
}

/// Runs `hongyan store ...`; `decode` reads the events of a group.
pub fn run(args: &Args, decode: Decoder<'_>, output: &mut Output) -> Result<(), String> {
    match &args.command {
        Command::Verify(args) => verify(args, output),
        Command::Stats(args) => stats(args, output),
        Command::Dump(args) => dump(args, decode, output),
    }
}

/// `hongyan store verify`: fails if anything is not sound.
pub fn verify(args: &VerifyArgs, output: &mut Output) -> Result<(), String> {
    let verified = inspect::verify(&args.data_dir).map_err(|error| match error {
        StoreError::Locked { by } => format!("the data directory is in use by {by}; stop the gateway first"),
        other => other.to_string(),
    })?;
    if args.json {
        output.json(&json!(verified), false);
    } else {
        show(&verified.figures, output);
    }
    if verified.problems.is_empty() {
        if !args.json {
            output.line("sound: every checksum agrees, no group is missing, journal and ledger belong together");
        }
        return Ok(());
    }
    Err(verified.problems.join("\n"))
}

/// `hongyan store stats`.
pub fn stats(args: &StatsArgs, output: &mut Output) -> Result<(), String> {
    let figures = inspect::figures(&args.data_dir).map_err(|error| error.to_string())?;
    if args.json {
        output.json(&json!(figures), false);
    } else {
        show(&figures, output);
    }
    Ok(())
}

/// `hongyan store dump`: a line for each group; its events, or the reason why they can't be read.
pub fn dump(args: &DumpArgs, decode: Decoder<'_>, output: &mut Output) -> Result<(), String> {
    let mut each = |position: u64, octets: &[u8]| {
        let mut line = json!({ "position": position, "octets": octets.len() });
        match decode(octets) {
            Ok(events) => line["events"] = events,
            Err(why) => line["unreadable"] = why.into(),
        }
        output.json(&line, false);
        Ok(())
    };
    inspect::groups(&args.data_dir, args.from, args.to, &mut each).map_err(|error| error.to_string())
}

fn show(figures: &Figures, output: &mut Output) {
    let mib = |octets: u64| format!("{:.1} MiB", octets as f64 / f64::from(1 << 20));
    output.heading("Journal");
    output.line(&format!("  positions     {} to {}", figures.journal_first, figures.journal_last));
    output.line(&format!("  groups        {} with {}", figures.groups, mib(figures.group_octets)));
    output.line(&format!("  acknowledged  up to {} at least", figures.acknowledged));
    output.heading("Ledger");
    output.line(&format!("  absorbed      the journal up to {}", figures.absorbed));
    output.line(&format!("  chunks        {} with {}", figures.chunks, mib(figures.chunk_octets)));
    output.line(&format!("  pages         {} with {}", figures.pages, mib(figures.page_octets)));
    output.line(&format!("  blobs         {}", figures.blobs));
    output.heading("Files");
    for (name, octets) in &figures.files {
        output.line(&format!("  {name:<16}  {}", mib(*octets)));
    }
    output.line(&format!("  free on the disk  {}", mib(figures.free_octets)));
}
