//! The ledger in SQLite: chunks, their lists of the dead, named blobs and the absorbed position; one transaction per update.

use super::checkpoint::Checkpointer;
use super::lock::DirectoryLock;
use super::room::Room;
use super::sqlite::{self, Trim, failed, key};
use super::{LocalSettings, Paths};
use crate::store::checksum::{checksum, chunk_checksum, page_checksum};
use crate::store::{Chunk, EachChunk, EachPage, Ledger, LedgerUpdate, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// The dead have a table of their own: they change while their chunk, much larger, does not. The index on the kind is how ids are listed without
/// touching the pages on which chunks begin.
const TABLES: &str = "CREATE TABLE chunks(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key INTEGER NOT NULL, \
                      checksum INTEGER NOT NULL, octets BLOB NOT NULL) STRICT; \
                      CREATE INDEX chunks_by_kind ON chunks(kind); \
                      CREATE TABLE pages(kind INTEGER NOT NULL, id INTEGER NOT NULL, checksum INTEGER NOT NULL, octets BLOB NOT NULL, \
                      PRIMARY KEY(kind, id)) STRICT, WITHOUT ROWID; \
                      CREATE TABLE dead(id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, octets BLOB NOT NULL) STRICT; \
                      CREATE TABLE blobs(name TEXT PRIMARY KEY, checksum INTEGER NOT NULL, octets BLOB NOT NULL) STRICT; \
                      CREATE TABLE absorbed(one INTEGER PRIMARY KEY CHECK(one = 1), position INTEGER NOT NULL) STRICT; \
                      INSERT INTO absorbed(one, position) VALUES(1, 0);";

const PUT: &str = "INSERT OR REPLACE INTO chunks(id, kind, key, checksum, octets) VALUES(?1, ?2, ?3, ?4, ?5)";
const DEAD: &str = "INSERT OR REPLACE INTO dead(id, checksum, octets) SELECT ?1, ?2, ?3 WHERE EXISTS(SELECT 1 FROM chunks WHERE id = ?1)";
const NO_DEAD: &str = "DELETE FROM dead WHERE id = ?1";
const DELETE: &str = "DELETE FROM chunks WHERE id = ?1";
const PUT_PAGE: &str = "INSERT OR REPLACE INTO pages(kind, id, checksum, octets) VALUES(?1, ?2, ?3, ?4)";
const DROP_PAGES: &str = "DELETE FROM pages WHERE kind = ?1 AND id BETWEEN ?2 AND ?3";
pub(super) const PAGES: &str = "SELECT kind, id, checksum, octets FROM pages WHERE kind BETWEEN ?1 AND ?2 ORDER BY kind, id";
const PAGE: &str = "SELECT kind, id, checksum, octets FROM pages WHERE kind = ?1 AND id = ?2";
const BLOB: &str = "INSERT OR REPLACE INTO blobs(name, checksum, octets) VALUES(?1, ?2, ?3)";
const ABSORBED: &str = "UPDATE absorbed SET position = max(position, ?1)";

/// Chunks with their lists, in the order of ids.
pub(super) const ALL: &str = "SELECT c.id, c.kind, c.key, c.checksum, c.octets, d.checksum, d.octets FROM chunks c LEFT JOIN dead d ON d.id = c.id \
     ORDER BY c.id";
const IDS: &str = "SELECT id FROM chunks INDEXED BY chunks_by_kind";
const ONE: &str =
    "SELECT c.id, c.kind, c.key, c.checksum, c.octets, d.checksum, d.octets FROM chunks c LEFT JOIN dead d ON d.id = c.id WHERE c.id = ?1";

/// Cache of the connection: the inner pages of the tree, for deletes all over it.
const CACHE_KIB: u32 = 16 * 1024;

/// What a commit adds to the log besides its content.
const COMMIT_OVERHEAD: u64 = 8 * (sqlite::PAGE_OCTETS + 24);

/// The ledger in `ledger.db`.
#[derive(Debug)]
pub struct LocalLedger {
    // Dropped before the connection, as in the journal.
    checkpointer: Checkpointer,
    connection: Connection,
    room: Arc<Room>,
    logged: u64,
    checkpoint_octets: u64,
    trim: Trim,
    short_of_space: bool,
    poisoned: Option<String>,
    _lock: Arc<DirectoryLock>,
}

impl LocalLedger {
    /// Opens or creates the ledger.
    pub(super) fn open(
        paths: &Paths,
        settings: &LocalSettings,
        room: Arc<Room>,
        lock: Arc<DirectoryLock>,
    ) -> Result<LocalLedger, StoreError> {
        let connection = sqlite::open(&paths.ledger(), CACHE_KIB, TABLES)?;
        let checkpointer = Checkpointer::spawn(&paths.ledger(), settings.truncate_octets, room.clone(), None)?;
        Ok(LocalLedger {
            checkpointer,
            connection,
            room,
            logged: 0,
            checkpoint_octets: settings.checkpoint_octets,
            trim: Trim::default(),
            short_of_space: false,
            poisoned: None,
            _lock: lock,
        })
    }

    fn commit(&mut self, update: &LedgerUpdate) -> rusqlite::Result<()> {
        let _gate = self.checkpointer.gate().lock().unwrap_or_else(PoisonError::into_inner);
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let result = write(&self.connection, update)
            .and_then(|()| self.trim.step(&self.connection))
            .and_then(|()| self.connection.prepare_cached("COMMIT")?.execute([]));
        if let Err(error) = result {
            // SQLite may have rolled back by itself already.
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK")?;
            }
            return Err(error);
        }
        Ok(())
    }

    fn commit_with_reserve(&mut self, update: &LedgerUpdate) -> Result<(), StoreError> {
        loop {
            match self.commit(update).map_err(|error| failed("updating the ledger", error)) {
                Err(StoreError::Full { .. }) if self.room.give_up_reserve() => {}
                Err(StoreError::Full { .. }) => {
                    self.short_of_space = true;
                    return Err(StoreError::Full { what: "ledger" });
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

impl Ledger for LocalLedger {
    fn apply(&mut self, update: &LedgerUpdate) -> Result<(), StoreError> {
        if let Some(why) = &self.poisoned {
            return Err(StoreError::Poisoned { what: "ledger", why: why.clone() });
        }
        if let Err(error) = self.commit_with_reserve(update) {
            if !error.is_full() {
                self.poisoned = Some(error.to_string());
                let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            }
            return Err(error);
        }
        // The update is safe whatever comes of this.
        let _ = self.trim.committed(&self.connection);
        self.logged += weight(update) + COMMIT_OVERHEAD;
        if self.logged >= self.checkpoint_octets {
            self.logged = 0;
            self.checkpointer.request();
        }
        Ok(())
    }

    fn absorbed(&self) -> Result<u64, StoreError> {
        absorbed(&self.connection)
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let fault = |error| failed("reading the ledger", error);
        let mut statement = self.connection.prepare_cached("SELECT checksum, octets FROM blobs WHERE name = ?1").map_err(fault)?;
        let found: Option<(i64, Vec<u8>)> = statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional().map_err(fault)?;
        match found {
            None => Ok(None),
            Some((sum, octets)) if sum == blob_checksum(name, &octets) => Ok(Some(octets)),
            Some(_) => Err(StoreError::Corrupt { position: 0, why: format!("checksum of blob {name:?} does not agree") }),
        }
    }

    fn chunks(&mut self, each: EachChunk<'_>) -> Result<(), StoreError> {
        read_chunks(&self.connection, each)
    }

    fn chunk_ids(&mut self) -> Result<Vec<u64>, StoreError> {
        let fault = |error| failed("reading the ledger", error);
        let mut statement = self.connection.prepare_cached(IDS).map_err(fault)?;
        let ids = statement.query_map([], |row| row.get::<_, i64>(0)).map_err(fault)?;
        let mut ids: Vec<u64> = ids.map(|id| id.map(|id| id as u64).map_err(fault)).collect::<Result<_, _>>()?;
        ids.sort_unstable();
        Ok(ids)
    }

    fn chunk(&mut self, id: u64) -> Result<Option<(Chunk, Vec<u8>)>, StoreError> {
        let fault = |error| failed("reading the ledger", error);
        let mut statement: CachedStatement<'_> = self.connection.prepare_cached(ONE).map_err(fault)?;
        let mut rows = statement.query([key(id)]).map_err(fault)?;
        match rows.next().map_err(fault)? {
            Some(row) => Ok(Some(chunk_of(row)?)),
            None => Ok(None),
        }
    }

    fn pages(&mut self, kind: u8, each: EachPage<'_>) -> Result<(), StoreError> {
        read_pages(&self.connection, kind..=kind, &mut |_, id, octets| each(id, octets))
    }

    fn page(&mut self, kind: u8, id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let fault = |error| failed("reading the ledger", error);
        let mut statement: CachedStatement<'_> = self.connection.prepare_cached(PAGE).map_err(fault)?;
        let mut rows = statement.query(params![kind, key(id)]).map_err(fault)?;
        match rows.next().map_err(fault)? {
            Some(row) => Ok(Some(page_of(row)?.2)),
            None => Ok(None),
        }
    }
}

fn write(connection: &Connection, update: &LedgerUpdate) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(PUT)?;
    let mut no_dead = connection.prepare_cached(NO_DEAD)?;
    for chunk in &update.put {
        let sum = chunk_checksum(chunk) as i64;
        put.execute(params![key(chunk.id), chunk.kind, chunk.key as i64, sum, chunk.octets])?;
        no_dead.execute([key(chunk.id)])?;
    }
    let mut dead = connection.prepare_cached(DEAD)?;
    for (id, octets) in &update.dead {
        dead.execute(params![key(*id), checksum(*id, octets) as i64, octets])?;
    }
    let mut delete = connection.prepare_cached(DELETE)?;
    for id in &update.delete {
        delete.execute([key(*id)])?;
        no_dead.execute([key(*id)])?;
    }
    let mut drop_pages = connection.prepare_cached(DROP_PAGES)?;
    for (kind, range) in &update.drop_pages {
        drop_pages.execute(params![kind, key(*range.start()), key((*range.end()).min(i64::MAX as u64))])?;
    }
    let mut put_page = connection.prepare_cached(PUT_PAGE)?;
    for page in &update.pages {
        let sum = page_checksum(page.kind, page.id, &page.octets) as i64;
        put_page.execute(params![page.kind, key(page.id), sum, page.octets])?;
    }
    let mut blob = connection.prepare_cached(BLOB)?;
    for (name, octets) in &update.blobs {
        blob.execute(params![name, blob_checksum(name, octets), octets])?;
    }
    connection.prepare_cached(ABSORBED)?.execute([key(update.absorbed)])?;
    Ok(())
}

/// Octets that an update writes, roughly.
fn weight(update: &LedgerUpdate) -> u64 {
    let put: usize = update.put.iter().map(|chunk| chunk.octets.len()).sum();
    let dead: usize = update.dead.iter().map(|(_, octets)| octets.len() + sqlite::PAGE_OCTETS as usize).sum();
    let blobs: usize = update.blobs.iter().map(|(_, octets)| octets.len()).sum();
    let pages: usize = update.pages.iter().map(|page| page.octets.len()).sum();
    (put + dead + blobs + pages) as u64 + update.delete.len() as u64 * sqlite::PAGE_OCTETS
}

/// A blob's place is its name.
pub(super) fn blob_checksum(name: &str, octets: &[u8]) -> i64 {
    checksum(xxh3_64(name.as_bytes()), octets) as i64
}

/// The absorbed position.
pub(super) fn absorbed(connection: &Connection) -> Result<u64, StoreError> {
    let position: i64 =
        connection.query_row("SELECT position FROM absorbed", [], |row| row.get(0)).map_err(|error| failed("reading the ledger", error))?;
    u64::try_from(position).map_err(|_| StoreError::Corrupt { position: 0, why: "absorbed position below zero".into() })
}

/// Gives every chunk, checked.
pub(super) fn read_chunks(connection: &Connection, each: EachChunk<'_>) -> Result<(), StoreError> {
    let fault = |error| failed("reading the ledger", error);
    let mut statement = connection.prepare(ALL).map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (chunk, dead) = chunk_of(row)?;
        each(chunk, &dead)?;
    }
    Ok(())
}

/// Gives every page of these kinds, checked: kind, number, content.
pub(super) fn read_pages(
    connection: &Connection,
    kinds: RangeInclusive<u8>,
    each: &mut dyn FnMut(u8, u64, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let fault = |error| failed("reading the ledger", error);
    let mut statement = connection.prepare(PAGES).map_err(fault)?;
    let mut rows = statement.query([*kinds.start(), *kinds.end()]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let (kind, id, octets) = page_of(row)?;
        each(kind, id, octets)?;
    }
    Ok(())
}

fn page_of(row: &Row<'_>) -> Result<(u8, u64, Vec<u8>), StoreError> {
    let fault = |error| failed("reading the ledger", error);
    let (kind, id): (i64, i64) = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
    let sum: i64 = row.get(2).map_err(fault)?;
    let octets: Vec<u8> = row.get(3).map_err(fault)?;
    let sound = u8::try_from(kind).ok().filter(|&kind| id >= 0 && page_checksum(kind, id as u64, &octets) == sum as u64);
    match sound {
        Some(kind) => Ok((kind, id as u64, octets)),
        None => Err(StoreError::Corrupt { position: id as u64, why: format!("checksum of a page of kind {kind} does not agree") }),
    }
}

fn chunk_of(row: &Row<'_>) -> Result<(Chunk, Vec<u8>), StoreError> {
    let fault = |error| failed("reading the ledger", error);
    let id: i64 = row.get(0).map_err(fault)?;
    let corrupt = |why: &str| StoreError::Corrupt { position: id as u64, why: why.into() };
    let kind: i64 = row.get(1).map_err(fault)?;
    let key: i64 = row.get(2).map_err(fault)?;
    let sum: i64 = row.get(3).map_err(fault)?;
    let octets: Vec<u8> = row.get(4).map_err(fault)?;
    let dead_sum: Option<i64> = row.get(5).map_err(fault)?;
    let dead: Option<Vec<u8>> = row.get(6).map_err(fault)?;
    let kind = u8::try_from(kind).map_err(|_| corrupt("kind out of range"))?;
    let chunk = Chunk { id: id as u64, kind, key: key as u64, octets };
    if id < 0 || chunk_checksum(&chunk) != sum as u64 {
        return Err(corrupt("checksum of the chunk does not agree"));
    }
    let dead = dead.unwrap_or_default();
    if dead_sum.is_some_and(|sum| checksum(id as u64, &dead) != sum as u64) {
        return Err(corrupt("checksum of the list of the dead does not agree"));
    }
    Ok((chunk, dead))
}
