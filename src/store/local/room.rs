//! Room on the disk: a file that holds the reserve, and the level that follows from what is free. Submissions are refused while only the
//! reserve is left, so that the outcome of everything accepted can still be written.

use super::Paths;
use crate::store::{SpaceGauge, SpaceLevel, StoreError};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Octets that the file system at `path` still gives to this user.
pub fn free_space(path: &Path) -> Result<u64, StoreError> {
    let stat = statvfs(path).map_err(|error| StoreError::io("asking for free space", std::io::Error::from(error)))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[derive(Debug)]
struct State {
    /// The reserve is on the disk, not yet given up.
    held: bool,
    /// A write found no space although everything was given up; lasts until a write succeeds.
    stuck: bool,
}

/// Keeps the reserve and the gauge. Shared by journal, ledger and the thread that looks after them.
#[derive(Debug)]
pub struct Room {
    directory: PathBuf,
    reserve: PathBuf,
    reserve_octets: u64,
    gauge: SpaceGauge,
    state: Mutex<State>,
}

impl Room {
    /// Takes the reserve, if there is room for it, and measures.
    pub(super) fn open(paths: &Paths, reserve_octets: u64, gauge: SpaceGauge) -> Room {
        let room = Room {
            directory: paths.directory.clone(),
            reserve: paths.reserve(),
            reserve_octets,
            gauge,
            state: Mutex::new(State { held: false, stuck: false }),
        };
        let on_disk = std::fs::metadata(&room.reserve).map_or(0, |found| found.len());
        if reserve_octets == 0 || on_disk != reserve_octets {
            // A former setting, or torn by a crash: taken anew below.
            let _ = std::fs::remove_file(&room.reserve);
        } else {
            room.lock().held = true;
        }
        room.refresh();
        room
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Free space below which intake stops although the reserve is untouched: another program may be filling the disk.
    fn low_water(&self) -> u64 {
        self.reserve_octets / 4
    }

    /// Measures and sets the gauge; takes the reserve back when there is room again. A few microseconds; called about once a second.
    pub fn refresh(&self) {
        let mut state = self.lock();
        if self.reserve_octets == 0 {
            self.set(if state.stuck { SpaceLevel::Reserve } else { SpaceLevel::Ok });
            return;
        }
        let Ok(free) = free_space(&self.directory) else { return };
        if !state.held && free >= self.reserve_octets + 2 * self.low_water() {
            state.held = take(&self.reserve, self.reserve_octets).is_ok();
        }
        // Out of the reserve only with twice the low water, so that the level does not flutter.
        let enough = if self.gauge.level() == SpaceLevel::Ok { self.low_water() } else { 2 * self.low_water() };
        let left = free_space(&self.directory).unwrap_or(free);
        self.set(if state.held && !state.stuck && left >= enough { SpaceLevel::Ok } else { SpaceLevel::Reserve });
    }

    fn set(&self, level: SpaceLevel) {
        self.gauge.set(level);
    }

    /// A write found no space. Gives the reserve up; true if that may have helped and the write should be tried again.
    pub(super) fn give_up_reserve(&self) -> bool {
        let mut state = self.lock();
        self.set(SpaceLevel::Reserve);
        if state.held && std::fs::remove_file(&self.reserve).is_ok() {
            state.held = false;
            return true;
        }
        state.stuck = true;
        false
    }

    /// A write succeeded after `give_up_reserve` said no.
    pub(super) fn unstick(&self) {
        self.lock().stuck = false;
    }
}

/// Writes the reserve: blocks that are really taken, not a hole.
fn take(path: &Path, octets: u64) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    let result = allocate(&file, octets).and_then(|()| file.sync_all());
    if result.is_err() {
        let _ = std::fs::remove_file(path);
    }
    result
}

fn allocate(file: &File, octets: u64) -> std::io::Result<()> {
    Ok(fallocate(file, FallocateFlags::empty(), 0, octets)?)
}
