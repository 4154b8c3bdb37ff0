//! Records: every finished message, from the journal's tail, in Parquet files by the hour; and what became of a message, from there or from what is under
//! way. [`keeper`] is the thread, [`files`] the folder, [`columns`] the schema, [`find`] the look-ups, [`place`] what makes it crash-safe.
//!
//! # The schema
//!
//! A row for each finished message, under `records/{hour of its end, UTC}/`. Times are milliseconds UTC. A message whose end was provisional (in_doubt)
//! and was corrected by its carrier has a row for each end: the one with the highest `revision` holds.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | id | int64 | our id; sorts by the time of acceptance, and rows of a file are sorted by it |
//! | revision | uint8 | 0, or which correction of the end |
//! | complete | bool | false: it was accepted before anything was kept of it, or groups were lost; what is not known is null |
//! | state | text | delivered, undelivered, expired, rejected, cancelled, sent_final, no_receipt, in_doubt |
//! | account, class, campaign | text | whose it is, and of what |
//! | number | text | where it went: digits in international form; masked or encrypted by configuration |
//! | source | text | from whom, as upstream wrote it |
//! | encoding, segments | text, uint8 | gsm7, latin1, ucs2 or binary; parts that it was cut into (null: never sent) |
//! | price | uint32 | what it cost, thousandths of a credit |
//! | identity | text | identity computed by its sender, 16 hexadecimal digits |
//! | reference, tags | text, list of text | its sender's own name for it, and words for what it belongs to |
//! | accepted_at, due_at | time | when it was taken; not before |
//! | sent_at, final_at | time | when a carrier took it (last); when it ended here |
//! | done_at, told_at | time | the carrier's done date; when its sender took the report (to a second; null: not yet when it was written) |
//! | carrier, carrier_id | text | where it was last; the carrier's id of the first part |
//! | carrier_state, carrier_error, network_error | text | as the carrier said: stat, err, kind:code |
//! | status | uint32 | the last refusal's command_status, or our own cause (901 blocked ...) |
//! | attempts | uint8 | times that it was given to a carrier |
//! | text | text | only with `records.texts` |
//! | trail | list of steps | at, step, carrier, part, id, state, means, error, network_error, status, done_at, report; null where the columns say all of it: accepted, sent once in one part, one receipt, its sender told |

pub mod columns;
pub mod files;
mod filters;
pub mod find;
mod footers;
pub mod keeper;
mod merge;
pub mod numbers;
pub mod place;
mod read;
pub mod row;

use crate::model::{MessageId, State};
use crate::store::tail::Feed;
use crossbeam::channel::{Sender, bounded};
use find::{Files, Found, Query};
use keeper::{Ask, Keeper, KeeperFigures, Start, UnderWay, Where};
use row::Row;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Requests that may wait for the thread.
const REQUESTS: usize = 256;
/// Look-ups over HTTP at the same time: each has up to 128 files open and some megabytes in memory, and there are few cores. Others wait for their turn.
const AT_ONCE: usize = 4;
/// How long a look-up may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rows of an answer at most.
pub const ROWS_MAX: usize = 1_000;

/// The way to the records. Calls wait for the thread or for the disk: not for use in tasks.
#[derive(Clone)]
pub struct Records {
    ask: Sender<Ask>,
    files: Arc<Files>,
    figures: Arc<Mutex<KeeperFigures>>,
    feed: Arc<Feed>,
    /// Turns for look-ups.
    pub turns: Arc<Semaphore>,
}

/// What became of a look-up.
#[derive(Debug)]
pub struct Looked {
    /// Newest first: under way, finished.
    pub rows: Vec<Row>,
    /// Time was over before all was looked at.
    pub partial: bool,
    /// Messages under way that are on disk and were not looked at.
    pub not_looked_at: u64,
}

impl Records {
    /// Opens the records and starts their thread. `last`: the journal's last position. The journal's writer is to feed [`Records::feed`].
    ///
    /// # Errors
    /// In words.
    pub fn start(start: Start, last: u64) -> Result<(Records, JoinHandle<()>), String> {
        let (ask, asked) = bounded(REQUESTS);
        let keeper = Keeper::open(start, last, asked)?;
        let (files, figures, feed) = (Arc::clone(&keeper.files), Arc::clone(&keeper.figures), Arc::clone(&keeper.feed));
        let thread = std::thread::Builder::new().name("records".into()).spawn(move || keeper.run()).map_err(|error| error.to_string())?;
        Ok((Records { ask, files, figures, feed, turns: Arc::new(Semaphore::new(AT_ONCE)) }, thread))
    }

    /// Where the journal's writer hands groups over.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// What the thread did so far.
    pub fn figures(&self) -> KeeperFigures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Names of accounts and carriers in the order of their ids.
    pub fn names(&self, accounts: Vec<String>, carriers: Vec<String>) {
        let _ = self.ask.send(Ask::Names(accounts, carriers));
    }

    fn asked<T>(&self, ask: impl FnOnce(Sender<T>) -> Ask) -> Result<T, String> {
        let (sender, answer) = bounded(1);
        let gone = |_| "the records have ended".to_owned();
        self.ask.send_timeout(ask(sender), PATIENCE).map_err(|_| "the records don't keep up; ask again".to_owned())?;
        answer.recv_timeout(2 * PATIENCE).map_err(gone)
    }

    /// Writes all that is over into files, now.
    ///
    /// # Errors
    /// In words.
    pub fn flush(&self) -> Result<(), String> {
        self.asked(Ask::Flush)?
    }

    /// One message: under way, or finished.
    ///
    /// # Errors
    /// Neither could be asked.
    pub fn message(&self, id: MessageId) -> Result<Option<Row>, String> {
        // Memory first: what leaves it is in a file by then.
        if let Some(row) = self.asked(|answer| Ask::Message(id, answer))? {
            return Ok(Some(row));
        }
        let Found { mut rows, .. } = self.files.find(&Query { id: Some(id.0), limit: 1, ..Query::default() }, PATIENCE)?;
        Ok(rows.pop())
    }

    /// All that fit: under way in memory, then under way on disk (so many of the newest), then in files.
    ///
    /// # Errors
    /// In words.
    pub fn find(&self, query: &Query) -> Result<Looked, String> {
        let query = Query { limit: query.limit.clamp(1, ROWS_MAX), ..query.clone() };
        let packed = query
            .number
            .as_ref()
            .and_then(|digits| crate::number::from_text(format!("+{digits}").as_bytes(), crate::number::HomeRegion::default()).ok());
        let (wanted, ids) = (query.clone(), query.ids());
        let fits = Box::new(move |row: &Row| wanted.fits(row, None));
        let has_ended = State::ALL.into_iter().any(|state| state.is_final() && query.state.as_deref() == Some(state.name()));
        let wanted = Where { fits, number: packed, ids, also_on_disk: !has_ended, most: query.limit };
        let UnderWay { mut rows, not_looked_at } = self.asked(|answer| Ask::Where(wanted, answer))?;
        let found = self.files.find(&query, PATIENCE)?;
        rows.extend(found.rows);
        rows.sort_by(|a, b| b.message.cmp(&a.message).then(b.revision.cmp(&a.revision)));
        rows.dedup_by_key(|row| row.message);
        rows.truncate(query.limit);
        Ok(Looked { rows, partial: found.partial, not_looked_at })
    }
}
