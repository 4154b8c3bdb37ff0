//! The journal in SQLite: one row per group, one commit (and so one sync) per append.

use super::checkpoint::Checkpointer;
use super::lock::DirectoryLock;
use super::mark::Mark;
use super::room::Room;
use super::sqlite::{self, Trim, failed, key};
use super::{LocalSettings, Paths};
use crate::store::checksum::{VERSION, checksum};
use crate::store::{EachGroup, Journal, JournalReader, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use std::sync::{Arc, PoisonError};

/// The small columns stand before the octets, so that they are read without touching a group's overflow pages.
const TABLES: &str = "CREATE TABLE groups(position INTEGER PRIMARY KEY, version INTEGER NOT NULL, checksum INTEGER NOT NULL, \
                      octets BLOB NOT NULL) STRICT;";

const INSERT: &str = "INSERT INTO groups(position, version, checksum, octets) VALUES(?1, ?2, ?3, ?4)";
const DROP: &str = "DELETE FROM groups WHERE position < ?1";

/// Dropped groups that leave with each append, in its transaction: more than come in, so that the file does not grow, and few
/// enough not to be felt. They need no sync of their own.
const DROPS_PER_APPEND: u64 = 4;

/// What a commit adds to the log besides the group: the pages of the tree that change, and page 1.
const COMMIT_OVERHEAD: u64 = 3 * (sqlite::PAGE_OCTETS + 24);

/// Cache of the connection. Appends need the right edge of the tree and the list of free pages, no more.
const CACHE_KIB: u32 = 4096;

/// The journal in `journal.db`.
#[derive(Debug)]
pub struct LocalJournal {
    // Dropped first: its connection must be closed before ours, so that ours, the last, carries the log over and removes it.
    checkpointer: Checkpointer,
    connection: Connection,
    mark: Mark,
    room: Arc<Room>,
    /// First position in the file.
    stored: u64,
    /// First position that still counts: `stored` follows it, a few with each append.
    first: u64,
    /// Last position; 0 if nothing was ever appended.
    last: u64,
    /// Estimated octets written to the log since a checkpoint was asked for.
    logged: u64,
    checkpoint_octets: u64,
    trim: Trim,
    short_of_space: bool,
    poisoned: Option<String>,
    _lock: Arc<DirectoryLock>,
}

impl LocalJournal {
    /// Opens or creates the journal. `Corrupt` if acknowledged groups are missing at its end.
    pub(super) fn open(
        paths: &Paths,
        settings: &LocalSettings,
        room: Arc<Room>,
        lock: Arc<DirectoryLock>,
    ) -> Result<LocalJournal, StoreError> {
        let mark = Mark::open(&paths.mark())?;
        let connection = sqlite::open(&paths.journal(), CACHE_KIB, TABLES)?;
        if settings.journal_max_octets > 0 {
            let pages = settings.journal_max_octets / sqlite::PAGE_OCTETS;
            let set = connection.query_row(&format!("PRAGMA max_page_count={pages}"), [], |_| Ok(()));
            set.map_err(|error| failed("opening the journal", error))?;
        }
        let (first, last) = bounds(&connection)?;
        check_mark(mark.read(), last)?;
        let checkpointer = Checkpointer::spawn(&paths.journal(), settings.truncate_octets, room.clone(), Some(mark.file()?))?;
        Ok(LocalJournal {
            checkpointer,
            connection,
            mark,
            room,
            stored: first,
            first,
            last,
            logged: 0,
            checkpoint_octets: settings.checkpoint_octets,
            trim: Trim::default(),
            short_of_space: false,
            poisoned: None,
            _lock: lock,
        })
    }

    fn check_poison(&self) -> Result<(), StoreError> {
        match &self.poisoned {
            Some(why) => Err(StoreError::Poisoned { what: "journal", why: why.clone() }),
            None => Ok(()),
        }
    }

    /// One transaction: the group, and a few of the dropped. Durable on return.
    fn commit(&mut self, position: u64, group: &[u8]) -> rusqlite::Result<()> {
        let gate = self.checkpointer.gate().lock().unwrap_or_else(PoisonError::into_inner);
        let row = params![key(position), VERSION, checksum(position, group) as i64, group];
        let stored = self.first.min(self.stored + DROPS_PER_APPEND);
        if stored == self.stored && !self.trim.is_due() {
            self.connection.prepare_cached(INSERT)?.execute(row)?;
        } else {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let result = (|| {
                self.connection.prepare_cached(DROP)?.execute([key(stored)])?;
                self.connection.prepare_cached(INSERT)?.execute(row)?;
                self.trim.step(&self.connection)?;
                self.connection.prepare_cached("COMMIT")?.execute([])
            })();
            if let Err(error) = result {
                // SQLite may have rolled back by itself already.
                if !self.connection.is_autocommit() {
                    self.connection.execute_batch("ROLLBACK")?;
                }
                return Err(error);
            }
        }
        drop(gate);
        self.stored = stored;
        Ok(())
    }

    /// Commits; when the disk is full, once again after the reserve was given up.
    fn commit_with_reserve(&mut self, position: u64, group: &[u8]) -> Result<(), StoreError> {
        loop {
            match self.commit(position, group).map_err(|error| failed("appending to the journal", error)) {
                Err(StoreError::Full { .. }) if self.room.give_up_reserve() => {}
                Err(StoreError::Full { .. }) => {
                    self.short_of_space = true;
                    return Err(StoreError::Full { what: "journal" });
                }
                result => {
                    if result.is_ok() && std::mem::take(&mut self.short_of_space) {
                        self.room.unstick();
                    }
                    return result;
                }
            }
        }
    }
}

impl Journal for LocalJournal {
    fn append(&mut self, group: &[u8]) -> Result<u64, StoreError> {
        self.check_poison()?;
        let position = self.last + 1;
        if let Err(error) = self.commit_with_reserve(position, group) {
            if !error.is_full() {
                self.poisoned = Some(error.to_string());
                // What the disk holds is unknown: the log must be read as it is at the next start, not carried over by our closing.
                let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            }
            return Err(error);
        }
        if self.last == 0 {
            (self.stored, self.first) = (position, position);
        }
        self.last = position;
        self.mark.write(position);
        // The group is safe whatever comes of this.
        let _ = self.trim.committed(&self.connection);
        self.logged += group.len() as u64 + COMMIT_OVERHEAD;
        if self.logged >= self.checkpoint_octets {
            self.logged = 0;
            self.checkpointer.request();
        }
        Ok(position)
    }

    fn replay(&mut self, from: u64, each: EachGroup<'_>) -> Result<(), StoreError> {
        if self.last == 0 {
            return Ok(());
        }
        if from != 0 && from < self.first {
            let why = format!("asked for, but the journal begins at {}", self.first);
            return Err(StoreError::Corrupt { position: from, why });
        }
        let next = read_groups(&self.connection, from.max(self.first), u32::MAX, each)?;
        if next <= self.last {
            return Err(StoreError::Corrupt { position: next, why: format!("missing; the journal goes up to {}", self.last) });
        }
        Ok(())
    }

    fn drop_before(&mut self, position: u64) -> Result<(), StoreError> {
        self.check_poison()?;
        self.first = self.first.max(position.min(self.last));
        Ok(())
    }

    fn bounds(&self) -> Option<(u64, u64)> {
        (self.last > 0).then_some((self.first, self.last))
    }
}

/// Reads `journal.db` on a connection of its own while the gateway appends.
#[derive(Debug)]
pub struct LocalJournalReader {
    connection: Connection,
}

impl LocalJournalReader {
    /// Opens the journal in `directory`, which must be there.
    ///
    /// # Errors
    /// If it can't be opened.
    pub fn open(directory: &std::path::Path) -> Result<LocalJournalReader, StoreError> {
        Ok(LocalJournalReader { connection: sqlite::open_to_read(&Paths::new(directory).journal())? })
    }
}

impl JournalReader for LocalJournalReader {
    fn read(&mut self, from: u64, most: u32, each: EachGroup<'_>) -> Result<u64, StoreError> {
        match read_groups(&self.connection, from, most, each) {
            // A hole at the very start: those before were dropped.
            Err(StoreError::Corrupt { position, .. }) if position == from => Ok(from),
            result => result,
        }
    }

    fn bounds(&mut self) -> Result<(u64, u64), StoreError> {
        bounds(&self.connection)
    }
}

/// First and last position in the table; zeros if it is empty.
pub(super) fn bounds(connection: &Connection) -> Result<(u64, u64), StoreError> {
    let read = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
    // Two statements: SQLite finds one end of the tree at a time without a scan.
    let first = read("SELECT min(position) FROM groups").map_err(|error| failed("reading the journal", error))?;
    let last = read("SELECT max(position) FROM groups").map_err(|error| failed("reading the journal", error))?;
    match (first.unwrap_or(0), last.unwrap_or(0)) {
        (first, last) if first < 0 || last < 0 => Err(StoreError::Corrupt { position: 0, why: "a position below zero".into() }),
        (first, last) => Ok((first as u64, last as u64)),
    }
}

/// The journal must hold what was acknowledged.
pub(super) fn check_mark(acknowledged: u64, last: u64) -> Result<(), StoreError> {
    if acknowledged > last {
        let why = format!(
            "missing: groups up to {acknowledged} were acknowledged, but the journal ends at {last} (its -wal file damaged or \
             removed, or an old copy put back?). Removing journal.mark accepts the loss"
        );
        return Err(StoreError::Corrupt { position: last + 1, why });
    }
    Ok(())
}

/// Gives up to `most` groups from `from` on (0: from the first), each checked, without a hole; returns the position after the last.
pub(super) fn read_groups(connection: &Connection, from: u64, most: u32, each: EachGroup<'_>) -> Result<u64, StoreError> {
    let fault = |error| failed("reading the journal", error);
    let sql = "SELECT position, version, checksum, octets FROM groups WHERE position >= ?1 ORDER BY position LIMIT ?2";
    let mut statement = connection.prepare(sql).map_err(fault)?;
    let mut rows = statement.query(params![key(from), most]).map_err(fault)?;
    let mut next = from;
    while let Some(row) = rows.next().map_err(|error| at(next, fault(error)))? {
        let found: i64 = row.get(0).map_err(fault)?;
        let version: i64 = row.get(1).map_err(fault)?;
        let sum: i64 = row.get(2).map_err(fault)?;
        let value = row.get_ref(3).map_err(fault)?;
        if found != key(next) && next != 0 {
            return Err(StoreError::Corrupt { position: next, why: format!("missing; the next one kept is {found}") });
        }
        let position = found as u64;
        if version != i64::from(VERSION) {
            return Err(StoreError::Corrupt { position, why: format!("form {version}; this program knows {VERSION}") });
        }
        let Ok(octets) = value.as_blob() else {
            return Err(StoreError::Corrupt { position, why: "octets are of another type".into() });
        };
        if checksum(position, octets) != sum as u64 {
            return Err(StoreError::Corrupt { position, why: "checksum does not agree".into() });
        }
        each(position, octets)?;
        next = position + 1;
    }
    Ok(next)
}

/// Names the position at which SQLite itself found damage.
fn at(position: u64, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt { why, .. } => StoreError::Corrupt { position, why },
        other => other,
    }
}
