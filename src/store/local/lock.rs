//! One gateway per data directory: an advisory lock on a file, with the holder's process id inside for whoever comes second.

use crate::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The lock, released when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock or says who has it.
    pub(super) fn take(path: &Path) -> Result<DirectoryLock, StoreError> {
        let failed = |error| StoreError::io("locking the data directory", error);
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder may be about to write its number: then it is only "another process".
                let by = match file.read_to_string(&mut holder).ok().and_then(|_| holder.trim().parse::<u32>().ok()) {
                    Some(process) => format!("process {process}"),
                    None => "another process".into(),
                };
                return Err(StoreError::Locked { by });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(DirectoryLock { file })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was just forked still has a copy of the handle until it runs its own program.
        let _ = self.file.unlock();
    }
}
