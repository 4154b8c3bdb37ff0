//! The embedded store: `journal.db` and `ledger.db` (SQLite) in one data directory that one gateway holds at a time. Knows files,
//! pragmas and checkpoints; what the octets mean is the engine's business, threads that append are `store::writer`'s.
//!
//! Why SQLite: the most trusted embedded engine, open to any operator's own tools; a group of messages as one row costs nearly as little as a bare log
//! does (what is dear is a row per message and step), and rows of groups are the shape that a replicated store will have.
//!
//! | file | what |
//! |---|---|
//! | `lock` | held while a gateway runs, with its process id inside |
//! | `journal.db`, `-wal`, `-shm` | table `groups`: one row per group |
//! | `journal.mark` | the last position that was acknowledged, see `mark` |
//! | `ledger.db`, `-wal`, `-shm` | tables `chunks`, `dead`, `blobs`, `absorbed` |
//! | `reserve` | room kept for outcomes, see `room` |

mod checkpoint;
pub mod inspect;
mod journal;
mod ledger;
mod lock;
mod mark;
mod room;
mod sqlite;

pub use journal::{LocalJournal, LocalJournalReader};
pub use ledger::LocalLedger;
pub use room::{Room, free_space};

use super::{Journal, Ledger, SpaceGauge, StoreError};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Settings of the embedded store. The defaults are the measured ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSettings {
    /// Octets kept free for outcomes when the disk is full; 0: no reserve. Default 256 MiB.
    pub reserve_octets: u64,
    /// Octets in a write-ahead log after which it is carried into its database, from a thread of its own.
    pub checkpoint_octets: u64,
    /// A write-ahead log that grew beyond this (a long read by another program can do that) is cut back to nothing.
    pub truncate_octets: u64,
    /// Hard bound of `journal.db`; 0: none, the disk decides. Reaching it is `Full`.
    pub journal_max_octets: u64,
}

impl Default for LocalSettings {
    fn default() -> Self {
        LocalSettings { reserve_octets: 256 << 20, checkpoint_octets: 16 << 20, truncate_octets: 64 << 20, journal_max_octets: 0 }
    }
}

/// Names of the files inside the data directory.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The data directory.
    pub directory: PathBuf,
}

impl Paths {
    /// Paths below `directory`.
    pub fn new(directory: &Path) -> Self {
        Paths { directory: directory.to_path_buf() }
    }

    /// The journal's database.
    pub fn journal(&self) -> PathBuf {
        self.directory.join("journal.db")
    }

    /// The last acknowledged position.
    pub fn mark(&self) -> PathBuf {
        self.directory.join("journal.mark")
    }

    /// The ledger's database.
    pub fn ledger(&self) -> PathBuf {
        self.directory.join("ledger.db")
    }

    /// The lock of the directory.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// The room kept for outcomes.
    pub fn reserve(&self) -> PathBuf {
        self.directory.join("reserve")
    }
}

/// Everything that `LocalStore::open` opened. Journal and ledger go to threads of their own; each keeps the directory locked while it lives.
pub struct LocalStore {
    /// The journal.
    pub journal: LocalJournal,
    /// The ledger.
    pub ledger: LocalLedger,
    /// Whether the disk has room for new submissions.
    pub space: SpaceGauge,
}

impl LocalStore {
    /// Opens or creates the store in `directory`.
    ///
    /// `Locked`: another process holds it. `Corrupt`: a file is damaged, or journal, mark and ledger do not belong together (an
    /// acknowledged group is missing, or the ledger has absorbed more than the journal ever held).
    pub fn open(directory: &Path, settings: &LocalSettings) -> Result<LocalStore, StoreError> {
        create_directory(directory)?;
        let paths = Paths::new(directory);
        let lock = Arc::new(lock::DirectoryLock::take(&paths.lock())?);
        let space = SpaceGauge::new();
        let room = Arc::new(Room::open(&paths, settings.reserve_octets, space.clone()));
        let journal = LocalJournal::open(&paths, settings, room.clone(), lock.clone())?;
        let ledger = LocalLedger::open(&paths, settings, room, lock)?;
        let absorbed = ledger.absorbed()?;
        let last = journal.bounds().map_or(0, |(_, last)| last);
        if absorbed > last {
            let why = format!(
                "the ledger has absorbed the journal up to {absorbed}, but the journal ends at {last}: the two do not belong together"
            );
            return Err(StoreError::Corrupt { position: absorbed, why });
        }
        sync_directory(directory)?;
        Ok(LocalStore { journal, ledger, space })
    }
}

/// Creates the directory and makes its entry in its parent durable.
fn create_directory(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(|error| StoreError::io("creating the data directory", error))?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// Makes the entries of a directory durable: a file that was synced is still lost if its name was not.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let handle = File::open(directory).map_err(|error| StoreError::io("opening the data directory", error))?;
    handle.sync_all().map_err(|error| StoreError::io("syncing the data directory", error))
}
