//! A witness of what was acknowledged: the last position, written (not synced) after the sync that made it durable.
//!
//! SQLite takes a damaged or missing write-ahead log for the harmless trace of a crash and opens without it. The mark is what tells that
//! acknowledged groups are gone. It may lag behind, never lead: it is written only after the group is safe. After a killed process it is exact;
//! after a loss of power it is at least as fresh as the last checkpoint, which syncs it.

use crate::store::StoreError;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Position and its checksum, both little-endian.
const MARK_OCTETS: usize = 16;

/// The open file.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
}

impl Mark {
    /// Opens or creates the file.
    pub(super) fn open(path: &Path) -> Result<Mark, StoreError> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        Ok(Mark { file: file.map_err(|error| StoreError::io("opening the journal's mark", error))? })
    }

    /// The last position that is known to have been acknowledged. 0 if the file is new or torn: then it witnesses nothing.
    pub(super) fn read(&self) -> u64 {
        let mut octets = [0u8; MARK_OCTETS];
        if self.file.read_exact_at(&mut octets, 0).is_err() {
            return 0;
        }
        let (position, sum) = octets.split_at(8);
        let position: [u8; 8] = position.try_into().expect("half of sixteen");
        if xxh3_64(&position).to_le_bytes() == sum { u64::from_le_bytes(position) } else { 0 }
    }

    /// Writes the position. A failure is passed over: the mark then lags, and a disk that fails is told by the next commit.
    pub(super) fn write(&self, position: u64) {
        let mut octets = [0u8; MARK_OCTETS];
        let position = position.to_le_bytes();
        octets[..8].copy_from_slice(&position);
        octets[8..].copy_from_slice(&xxh3_64(&position).to_le_bytes());
        let _ = self.file.write_all_at(&octets, 0);
    }

    /// A second handle, for the thread that syncs it.
    pub(super) fn file(&self) -> Result<File, StoreError> {
        self.file.try_clone().map_err(|error| StoreError::io("opening the journal's mark", error))
    }
}
