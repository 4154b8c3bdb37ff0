//! `hongyan record`: what the flight recorder of a running gateway holds, as pcap for Wireshark.

use super::Output;
use super::admin::{Client, Where};
use super::operate::{escaped, show};
use super::tables::{list, table, text};
use serde_json::Value;
use std::io::IsTerminal;
use std::path::PathBuf;

/// See each.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Record {
    /// What is recorded: binds and sessions with their rings, and the recordings that were written
    #[command(after_help = "Example:\n  hongyan record list")]
    List {
        #[command(flatten)]
        at: Where,
    },
    /// The latest PDUs of a bind or session as pcap
    #[command(after_help = "Examples:\n  hongyan record dump north/0 --out north.pcap\n  hongyan record dump 17 | tshark -r -\n\n\
            Texts become x, numbers become others of the same length, passwords go; --plain needs recorder.allow_plain.")]
    Dump {
        /// A bind (north/0) or the number of an upstream session, as `record list` shows them
        #[arg(value_name = "BIND|SESSION")]
        of: String,
        /// With texts and numbers; is on record
        #[arg(long)]
        plain: bool,
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: Where,
    },
    /// A recording that was written when something went wrong
    #[command(after_help = "Example:\n  hongyan record get 20260301T083000123456Z-north_0-peer_closed.pcap --out north.pcap")]
    Get {
        /// Its name, as `record list` shows it
        file: String,
        #[command(flatten)]
        to: To,
        #[command(flatten)]
        at: Where,
    },
}

/// Where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct To {
    /// Into this file; default: standard output
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(record: &Record, output: &mut Output) -> Result<(), String> {
    match record {
        Record::List { at } => show(at, "/v1/recordings", listed, output),
        Record::Dump { of, plain, to, at } => save(&at.client()?, &format!("/v1/recording?of={}&plain={plain}", escaped(of)), to, output),
        Record::Get { file, to, at } => save(&at.client()?, &format!("/v1/recording?file={}", escaped(file)), to, output),
    }
}

fn save(client: &Client, path: &str, to: &To, output: &mut Output) -> Result<(), String> {
    if to.out.is_none() && std::io::stdout().is_terminal() {
        return Err("out: a pcap file is nothing for a terminal; --out FILE, or a pipe".to_owned());
    }
    let octets = client.octets(path)?;
    match &to.out {
        Some(file) => {
            std::fs::write(file, &octets).map_err(|error| format!("{}: {error}", file.display()))?;
            output.note(&format!("{} octets in {}", octets.len(), file.display()));
        }
        None => output.raw(&octets),
    }
    Ok(())
}

fn listed(value: &Value) -> Vec<String> {
    let tapes = list(&value["tapes"]).iter().map(|tape| ["name", "pdus", "octets", "gone"].map(|key| text(&tape[key])).to_vec());
    let mut lines = vec![format!("mode {}, {} octets a session", text(&value["mode"]), value["bytes_per_session"])];
    lines.extend(table(&["OF", "PDUS", "OCTETS", "GONE"], &tapes.collect::<Vec<_>>()));
    let files: Vec<Vec<String>> = list(&value["files"]).iter().map(|file| vec![text(&file["file"]), text(&file["octets"])]).collect();
    if !files.is_empty() {
        lines.push(String::new());
        lines.extend(table(&["WRITTEN", "OCTETS"], &files));
    }
    lines
}
