//! How the embedded store opens SQLite, and what SQLite's errors mean to it.

use crate::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// "HYan": tells the files apart from other SQLite databases.
pub(super) const APPLICATION_ID: i32 = 0x4859_616E;

/// The tables' form; raised when they change.
pub(super) const SCHEMA: i32 = 2;

/// Patience with another program (an operator's sqlite3, a backup) that holds the database's write lock.
const BUSY: Duration = Duration::from_secs(5);

/// Page size of new files. Measured in `benches/journal.rs`.
pub(super) const PAGE_OCTETS: u64 = 4096;

/// Opens for writing; creates the tables in a new file.
///
/// synchronous=FULL: in WAL mode each commit returns only after a sync of the log. Checkpoints never run on this connection, so that no
/// commit pays for one (`checkpoint` has a connection of its own).
pub(super) fn open(path: &Path, cache_kib: u32, tables: &str) -> Result<Connection, StoreError> {
    let doing = "opening a database";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(doing, error))?;
    connection.busy_timeout(BUSY).map_err(|error| failed(doing, error))?;
    let schema: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(|error| failed(doing, error))?;
    let pragmas = format!(
        "PRAGMA page_size={PAGE_OCTETS}; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; \
         PRAGMA cache_size=-{cache_kib}; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=OFF;"
    );
    connection.execute_batch(&pragmas).map_err(|error| failed(doing, error))?;
    if schema == 0 {
        let create = format!("BEGIN IMMEDIATE; {tables} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA}; COMMIT;");
        connection.execute_batch(&create).map_err(|error| failed("creating tables", error))?;
    } else if schema != SCHEMA {
        return Err(StoreError::Corrupt { position: 0, why: format!("tables of form {schema}; this program knows {SCHEMA}") });
    }
    Ok(connection)
}

/// Opens an existing file for a second connection (checkpoints).
pub(super) fn open_again(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed("opening a database", error))?;
    // No patience: a checkpoint that finds a reader in its way does what it can and comes back later.
    connection.busy_timeout(Duration::ZERO).map_err(|error| failed("opening a database", error))?;
    connection
        .execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")
        .map_err(|error| failed("opening a database", error))?;
    Ok(connection)
}

/// Opens for reading only.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    if !path.is_file() {
        let missing = std::io::Error::new(std::io::ErrorKind::NotFound, format!("{} does not exist", path.display()));
        return Err(StoreError::io("opening a database", missing));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failed("opening a database", error))?;
    connection.busy_timeout(BUSY).map_err(|error| failed("opening a database", error))?;
    Ok(connection)
}

/// Free pages that a file keeps for its next growth; only beyond them, and beyond half of the file, space goes back to the disk.
const SLACK_PAGES: u64 = (32 << 20) / PAGE_OCTETS;

/// Commits between two looks at the free pages.
const COMMITS_PER_LOOK: u64 = 256;

/// Pages given back with one commit: few enough not to be felt.
const PAGES_PER_COMMIT: u64 = 64;

/// Gives space back to the disk after much was deleted, a little with each commit. In the steady state free pages are used again and it does
/// nothing.
#[derive(Debug, Default)]
pub(super) struct Trim {
    commits: u64,
    pages: u64,
}

impl Trim {
    /// True if there is something to give back with the next commit.
    pub(super) fn is_due(&self) -> bool {
        self.pages > 0
    }

    /// Inside a transaction: gives some pages back.
    pub(super) fn step(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.pages == 0 {
            return Ok(());
        }
        let now = self.pages.min(PAGES_PER_COMMIT);
        let mut statement = connection.prepare_cached(&format!("PRAGMA incremental_vacuum({now})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        self.pages -= now;
        Ok(())
    }

    /// After a commit: looks now and then whether too much is free.
    pub(super) fn committed(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.commits += 1;
        if self.pages > 0 || !self.commits.is_multiple_of(COMMITS_PER_LOOK) {
            return Ok(());
        }
        let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).map(|pages| pages.max(0) as u64);
        let (free, all) = (count("PRAGMA freelist_count")?, count("PRAGMA page_count")?);
        if free > 2 * SLACK_PAGES && free > all / 2 {
            self.pages = free - SLACK_PAGES;
        }
        Ok(())
    }
}

/// What an error of SQLite means here.
pub(super) fn failed(doing: &'static str, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { what: doing },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { by: "another program that has the database open".into() }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { position: 0, why: error.to_string() },
        _ => StoreError::io(doing, error),
    }
}

/// Ids and positions as SQLite keeps them.
pub(super) fn key(id: u64) -> i64 {
    i64::try_from(id).expect("ids and positions stay below 2^63")
}
