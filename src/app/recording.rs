//! Starts the records beside the journal.

use super::runner::Recording;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::recall::Finished;
use crate::model::{MessageId, State};
use crate::records::Records;
use crate::records::keeper::{KeeperSettings, Start};
use crate::records::numbers::Numbers;
use crate::records::row::Names;
use crate::store::Journal;
use crate::store::local::{LocalJournal, LocalJournalReader};
use std::time::Duration;

/// Records as `config` (in the order of ids) says, of the journal that the engine was recovered from; nothing was appended to it since.
pub fn start(config: &Config, engine: &Engine, journal: &LocalJournal) -> Result<Option<Recording>, String> {
    let records = &config.records;
    if !records.enabled {
        return Ok(None);
    }
    let directory = &config.gateway.data_dir;
    let settings = KeeperSettings {
        root: directory.join("records"),
        flush: Duration::from_secs(u64::from(records.flush_s)),
        keep_days: records.keep_days,
        texts: records.texts,
        numbers: Numbers::of(records)?,
        max_behind_octets: records.max_behind_bytes,
    };
    let names = Names {
        accounts: config.accounts.iter().map(|account| account.name.clone()).collect(),
        carriers: config.carriers.iter().map(|carrier| carrier.name.clone()).collect(),
        campaigns: engine.campaigns().all().map(|(id, name)| (id, name.to_owned())).collect(),
    };
    let reader = Box::new(LocalJournalReader::open(directory).map_err(|error| error.to_string())?);
    let last = journal.bounds().map_or(0, |(_, last)| last);
    let (records, thread) = Records::start(Start { settings, names, reader }, last)?;
    Ok(Some(Recording { records, thread, max_behind_octets: config.records.max_behind_bytes }))
}

/// What a query may be told of a finished message.
pub fn finished(records: &Records, message: MessageId) -> Option<Finished> {
    let row = records.message(message).inspect_err(|error| tracing::warn!(%error, "a query can't be answered from the records")).ok()??;
    let state = State::ALL.into_iter().find(|state| state.name() == row.state)?;
    Some(Finished { account: row.account.to_string(), source: row.source.into_bytes(), state, final_ms: row.final_ms? })
}
