//! `hongyan key new`: a key for the HTTP API and the lines that let it in. The key itself is kept by whoever uses it, nowhere here.

use super::Output;
use crate::config::{hash_of, hex, new_key};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Key {
    /// Make a key
    #[command(
        after_help = "Example:\n  hongyan key new --id backend >> config/hongyan.toml   the key on standard error, the lines for its account in the file"
    )]
    New(NewArgs),
}

#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// Its name in logs and in the configuration
    #[arg(long, default_value = "key-1")]
    id: String,
}

pub(super) fn run(key: &Key, output: &mut Output) -> Result<(), String> {
    let Key::New(NewArgs { id }) = key;
    let made = new_key();
    output.note(&format!("the key, shown this once: {made}"));
    output.line(&format!("[[account.api_key]]\nid = \"{id}\"\nsha256 = \"{}\"", hex(&hash_of(made.as_bytes()))));
    Ok(())
}
