//! Carries a write-ahead log into its database from a thread and a connection of its own, so that no commit waits for it, and lets the log
//! be used again from its beginning, so that it stays small and its blocks are overwritten instead of appended (cheaper to sync).

use super::room::Room;
use super::sqlite;
use crate::store::StoreError;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often free space is measured while nothing else calls for this thread.
const ROOM_EVERY: Duration = Duration::from_secs(1);

/// Passive rounds before commits are held up for the rest: each leaves only what came in during the round before.
const PASSIVE_ROUNDS: usize = 4;

/// Frames left that are few enough to be carried over while commits wait.
const FEW_FRAMES: i64 = 64;

/// The handle: asks for checkpoints; ends the thread when dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: Option<Sender<()>>,
    /// Held by a commit, and by the last round of a checkpoint: the two never meet inside SQLite, where waiting is a sleeping poll.
    gate: Arc<Mutex<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Worker {
    connection: Connection,
    log: PathBuf,
    truncate_octets: u64,
    gate: Arc<Mutex<()>>,
    room: Arc<Room>,
    also_sync: Option<File>,
}

impl Checkpointer {
    /// Starts the thread for the database at `path`. `also_sync` is synced with each checkpoint.
    pub(super) fn spawn(path: &Path, truncate_octets: u64, room: Arc<Room>, also_sync: Option<File>) -> Result<Checkpointer, StoreError> {
        let gate = Arc::new(Mutex::new(()));
        // One waiting request says it all.
        let (wake, requests) = bounded(1);
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let connection = sqlite::open_again(path)?;
        let worker = Worker { connection, log: log.into(), truncate_octets, gate: gate.clone(), room, also_sync };
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || worker.run(&requests))
            .map_err(|error| StoreError::io("starting the checkpoint thread", error))?;
        Ok(Checkpointer { wake: Some(wake), gate, thread: Some(thread) })
    }

    /// Asks for a checkpoint; never waits.
    pub(super) fn request(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(());
        }
    }

    /// To be locked around each commit.
    pub(super) fn gate(&self) -> &Mutex<()> {
        &self.gate
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn run(self, requests: &Receiver<()>) {
        loop {
            match requests.recv_timeout(ROOM_EVERY) {
                Ok(()) => {
                    // A failure here loses nothing: the log keeps all, grows, and the next request tries again. A disk that
                    // fails is told by the next commit.
                    let _ = self.checkpoint();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.room.refresh();
        }
    }

    fn checkpoint(&self) -> rusqlite::Result<()> {
        if let Some(file) = &self.also_sync {
            let _ = file.sync_data();
        }
        let mut few = false;
        for _ in 0..PASSIVE_ROUNDS {
            let (frames, carried) = self.round("PASSIVE")?;
            if frames - carried <= FEW_FRAMES {
                few = true;
                break;
            }
        }
        let too_large = std::fs::metadata(&self.log).is_ok_and(|log| log.len() > self.truncate_octets);
        if few || too_large {
            let _held = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            self.round(if too_large { "TRUNCATE" } else { "RESTART" })?;
        }
        Ok(())
    }

    /// One checkpoint; gives frames in the log and how many of them are in the database now.
    fn round(&self, mode: &str) -> rusqlite::Result<(i64, i64)> {
        self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}
