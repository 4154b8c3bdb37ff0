//! Looks at a store from outside, for `hongyan store`: verify (of a stopped gateway), figures and groups (of any). Changes nothing that is stored.

use super::lock::DirectoryLock;
use super::mark::Mark;
use super::sqlite::{self, failed};
use super::{Paths, free_space, journal, ledger};
use crate::store::checksum::checksum;
use crate::store::{EachGroup, StoreError};
use rusqlite::Connection;
use serde::Serialize;
use std::path::Path;

/// Problems told at most; a store with more of them needs no longer list.
const MOST_PROBLEMS: usize = 100;

/// Groups read in one transaction by `dump`: a longer one would keep a running gateway from using its log again.
const GROUPS_PER_READ: u32 = 64;

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// First and last journal position; zeros if empty.
    pub journal_first: u64,
    /// See `journal_first`.
    pub journal_last: u64,
    /// Groups kept.
    pub groups: u64,
    /// Octets in them.
    pub group_octets: u64,
    /// Position that the mark says was acknowledged; it may lag.
    pub acknowledged: u64,
    /// Journal position that the ledger has absorbed.
    pub absorbed: u64,
    /// Chunks in the ledger.
    pub chunks: u64,
    /// Octets in them.
    pub chunk_octets: u64,
    /// Pages in the ledger: directories and runs.
    pub pages: u64,
    /// Octets in them.
    pub page_octets: u64,
    /// Named blobs in the ledger.
    pub blobs: u64,
    /// Octets that the file system still gives.
    pub free_octets: u64,
    /// Each file of the data directory with its octets.
    pub files: Vec<(String, u64)>,
}

/// What `verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// What was looked at.
    pub figures: Figures,
    /// What does not agree, at most a hundred; empty: all is sound.
    pub problems: Vec<String>,
}

/// Counts what the store in `directory` holds. A gateway may be running on it.
pub fn figures(directory: &Path) -> Result<Figures, StoreError> {
    let paths = Paths::new(directory);
    let journal_db = sqlite::open_to_read(&paths.journal())?;
    let ledger_db = sqlite::open_to_read(&paths.ledger())?;
    let (journal_first, journal_last) = journal::bounds(&journal_db)?;
    Ok(Figures {
        journal_first,
        journal_last,
        groups: count(&journal_db, "SELECT count(*) FROM groups")?,
        group_octets: count(&journal_db, "SELECT coalesce(sum(length(octets)), 0) FROM groups")?,
        acknowledged: acknowledged(&paths)?,
        absorbed: ledger::absorbed(&ledger_db)?,
        chunks: count(&ledger_db, "SELECT count(*) FROM chunks")?,
        chunk_octets: count(&ledger_db, "SELECT coalesce(sum(length(octets)), 0) FROM chunks")?,
        pages: count(&ledger_db, "SELECT count(*) FROM pages")?,
        page_octets: count(&ledger_db, "SELECT coalesce(sum(length(octets)), 0) FROM pages")?,
        blobs: count(&ledger_db, "SELECT count(*) FROM blobs")?,
        free_octets: free_space(directory)?,
        files: files(directory)?,
    })
}

/// Reads everything: SQLite's own check, each checksum, positions without holes, and whether journal, mark and ledger belong together.
///
/// `Locked` if a gateway is running: what it is writing can't be judged.
pub fn verify(directory: &Path) -> Result<Verified, StoreError> {
    let paths = Paths::new(directory);
    let journal_db = sqlite::open_to_read(&paths.journal())?;
    let ledger_db = sqlite::open_to_read(&paths.ledger())?;
    let _lock = DirectoryLock::take(&paths.lock())?;
    let mut problems = Vec::new();
    check_pages("journal.db", &journal_db, &mut problems);
    check_pages("ledger.db", &ledger_db, &mut problems);
    check_groups(&journal_db, &mut problems);
    if let Err(error) = ledger::read_chunks(&ledger_db, &mut |_, _| Ok(())) {
        problems.push(format!("ledger: chunk {error}"));
    }
    if let Err(error) = ledger::read_pages(&ledger_db, 0..=u8::MAX, &mut |_, _, _| Ok(())) {
        problems.push(format!("ledger: page {error}"));
    }
    if let Err(error) = check_blobs(&ledger_db, &mut problems) {
        problems.push(format!("ledger: {error}"));
    }
    let figures = match figures(directory) {
        Ok(figures) => figures,
        Err(error) => {
            problems.push(error.to_string());
            Figures::default()
        }
    };
    check_together(&figures, &mut problems);
    problems.truncate(MOST_PROBLEMS);
    Ok(Verified { figures, problems })
}

/// Gives the groups from `from` (0: the first) to `to`, each checked. A gateway may be running on the store.
pub fn groups(directory: &Path, from: u64, to: u64, each: EachGroup<'_>) -> Result<(), StoreError> {
    let connection = sqlite::open_to_read(&Paths::new(directory).journal())?;
    let (first, last) = journal::bounds(&connection)?;
    let mut next = from.max(first);
    let to = to.min(last);
    while next <= to && last > 0 {
        let most = GROUPS_PER_READ.min(u32::try_from(to - next + 1).unwrap_or(u32::MAX));
        let after = journal::read_groups(&connection, next, most, each)?;
        if after == next {
            return Err(StoreError::Corrupt { position: next, why: "missing, or dropped while it was read".into() });
        }
        next = after;
    }
    Ok(())
}

fn acknowledged(paths: &Paths) -> Result<u64, StoreError> {
    if paths.mark().is_file() { Ok(Mark::open(&paths.mark())?.read()) } else { Ok(0) }
}

fn count(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    let found: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(|error| failed("counting", error))?;
    Ok(found.max(0) as u64)
}

fn files(directory: &Path) -> Result<Vec<(String, u64)>, StoreError> {
    let fault = |error| StoreError::io("listing the data directory", error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let found = entry.metadata().map_err(fault)?;
        if found.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), found.len()));
        }
    }
    files.sort();
    Ok(files)
}

fn check_pages(name: &str, connection: &Connection, problems: &mut Vec<String>) {
    let found = connection
        .prepare("PRAGMA integrity_check(20)")
        .and_then(|mut statement| statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>());
    match found {
        Ok(lines) => problems.extend(lines.into_iter().filter(|line| line != "ok").map(|line| format!("{name}: {line}"))),
        Err(error) => problems.push(format!("{name}: {error}")),
    }
}

/// Reads every group; after a damaged one or a hole it goes on with the next that is kept.
fn check_groups(connection: &Connection, problems: &mut Vec<String>) {
    let mut from = 0;
    while problems.len() < MOST_PROBLEMS {
        let position = match journal::read_groups(connection, from, u32::MAX, &mut |_, _| Ok(())) {
            Ok(_) => return,
            Err(error) => {
                problems.push(format!("journal: {error}"));
                match error {
                    StoreError::Corrupt { position, .. } => position,
                    _ => return,
                }
            }
        };
        let next = connection
            .query_row("SELECT min(position) FROM groups WHERE position > ?1", [sqlite::key(position)], |row| row.get::<_, Option<i64>>(0));
        match next {
            Ok(Some(next)) if next > 0 => from = next as u64,
            _ => return,
        }
    }
}

fn check_blobs(connection: &Connection, problems: &mut Vec<String>) -> Result<(), StoreError> {
    let fault = |error| failed("reading the ledger", error);
    let mut statement = connection.prepare("SELECT name, checksum, octets FROM blobs ORDER BY name").map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (name, sum): (String, i64) = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
        let octets: Vec<u8> = row.get(2).map_err(fault)?;
        if ledger::blob_checksum(&name, &octets) != sum {
            problems.push(format!("ledger: checksum of blob {name:?} does not agree"));
        }
    }
    let sql = "SELECT d.id, d.checksum, d.octets FROM dead d WHERE NOT EXISTS(SELECT 1 FROM chunks c WHERE c.id = d.id)";
    let mut statement = connection.prepare(sql).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (id, sum): (i64, i64) = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
        let octets: Vec<u8> = row.get(2).map_err(fault)?;
        let sound = if checksum(id as u64, &octets) as i64 == sum { "" } else { ", damaged too" };
        problems.push(format!("ledger: list of the dead without its chunk {id}{sound}"));
    }
    Ok(())
}

fn check_together(figures: &Figures, problems: &mut Vec<String>) {
    if let Err(error) = journal::check_mark(figures.acknowledged, figures.journal_last) {
        problems.push(format!("journal: {error}"));
    }
    if figures.absorbed > figures.journal_last {
        let Figures { absorbed, journal_last, .. } = figures;
        problems.push(format!("ledger: has absorbed the journal up to {absorbed}, which ends at {journal_last}"));
    }
    if figures.journal_first > figures.absorbed + 1 {
        let Figures { absorbed, journal_first, .. } = figures;
        problems.push(format!("ledger: has absorbed the journal up to {absorbed}, but the journal begins at {journal_first}"));
    }
}
