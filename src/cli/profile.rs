//! `hongyan profile`: profiles of carriers: what ships, and one proposed from a recording.

use super::Output;
use crate::config::{Profile, SHIPPED_PROFILES};
use crate::recorder::{Taken, capture, learn};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

/// See each.
#[derive(Debug, clap::Subcommand)]
pub(super) enum ProfileCommand {
    /// The profiles that ship with the binary
    #[command(after_help = "Example:\n  hongyan profile list")]
    List {
        /// Print JSON; so does any output that is no terminal
        #[arg(long)]
        json: bool,
    },
    /// Print a shipped profile, to be copied to profiles/NAME.toml beside the configuration and changed
    #[command(after_help = "Example:\n  hongyan profile show standard > profiles/mine.toml")]
    Show {
        /// Its name
        name: String,
    },
    /// Propose a profile from a recording of sessions with a carrier: forms of ids, receipts, alphabets, error codes
    #[command(
        after_help = "Examples:\n  hongyan record dump north/0 --out north.pcap && hongyan profile learn north.pcap > profiles/north.toml\n  \
            hongyan profile learn capture.pcapng\n\n\
            The recording must hold submissions with their answers and receipts: recorder.mode = \"full\", or a capture of another tool. Where receipts come on a \
            bind of their own, name both recordings. Of packed text (gsm7_packed) receipts can only be read in a plain one."
    )]
    Learn {
        /// pcap or pcapng files
        #[arg(required = true, value_name = "RECORDING")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(command: &ProfileCommand, output: &mut Output) -> Result<(), String> {
    match command {
        ProfileCommand::List { json } => {
            let described = SHIPPED_PROFILES.iter().filter_map(|(name, _)| Some((*name, Profile::shipped(name)?.description)));
            let as_json = *json || !std::io::stdout().is_terminal();
            if as_json {
                let all: Vec<_> = described.map(|(name, description)| json!({ "name": name, "description": description })).collect();
                output.json(&json!(all), false);
            } else {
                let rows: Vec<Vec<String>> = described.map(|(name, description)| vec![name.to_owned(), description]).collect();
                super::tables::table(&["PROFILE", "HABITS"], &rows).iter().for_each(|line| output.line(line));
            }
            Ok(())
        }
        ProfileCommand::Show { name } => {
            let text = SHIPPED_PROFILES.iter().find(|(known, _)| known == name).map(|(_, text)| *text);
            let text = text.ok_or_else(|| format!("no profile '{name}' ships; `hongyan profile list` names them"))?;
            output.raw(text.as_bytes());
            Ok(())
        }
        ProfileCommand::Learn { files } => {
            let mut all = Vec::new();
            for file in files {
                let octets = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let mut taken = capture::read(&octets).map_err(|error| format!("{}: {error}", file.display()))?;
                // Connections of different files are different ones; each file counts them from 0.
                let before = all.iter().map(|taken: &Taken| taken.connection.saturating_add(1)).max().unwrap_or(0);
                taken.iter_mut().for_each(|taken| taken.connection = taken.connection.wrapping_add(before));
                all.extend(taken);
            }
            all.sort_by_key(|taken| taken.at_us);
            output.raw(learn::learn(&all)?.to_toml().as_bytes());
            Ok(())
        }
    }
}
