//! Lists and counters in the ledger: one blob for each part of a list, one that names all parts, one with the counters of velocity. A walk writes only the parts that
//! have changed since the last one, some in each step; recovery reads them all and applies the journal's events behind them.

use super::super::Engine;
use super::super::event;
use super::lists::{ListName, Lists};
use super::velocity::Velocity;
use crate::store::{Ledger, LedgerUpdate, StoreError};

/// The blob that names all parts of all lists.
pub const LISTS_BLOB: &str = "lists";
/// The blob with the counters of velocity.
pub const VELOCITY_BLOB: &str = "velocity";
/// Parts written in one step: some 5 KB each for ten million numbers in a list.
const PARTS_PER_STEP: usize = 200;

/// What the ledger has.
#[derive(Debug, Default)]
pub struct Keeping {
    /// The ledger has counters of velocity.
    velocity_kept: bool,
}

fn part_blob(list: &ListName, part: u64) -> String {
    format!("list/{}/{part:x}", list.text())
}

impl Lists {
    /// Writes up to `most` parts that have changed; false if some are left.
    fn write_some(&mut self, most: usize, update: &mut LedgerUpdate) -> bool {
        let mut left = most;
        for (name, set) in self.sets_mut() {
            while set.changed() > 0 {
                if left == 0 {
                    return false;
                }
                left -= 1;
                if let Some(part) = set.take_changed() {
                    let mut octets = Vec::new();
                    event::put_numbers(&set.part(part), &mut octets);
                    update.blobs.push((part_blob(name, part), octets));
                }
            }
        }
        self.forget_empty();
        true
    }

    /// All lists with the keys of their parts.
    fn directory(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, set) in self.all().filter(|(_, set)| !set.is_empty()) {
            event::put_list(name, &mut out);
            event::put_numbers(&set.parts(), &mut out);
        }
        out
    }
}

impl Engine {
    /// For the end of a walk: writes parts of lists that have changed; false if more are to be written in the next step.
    pub(in crate::engine) fn keep_lists(&mut self, update: &mut LedgerUpdate) -> bool {
        self.rules.lists.write_some(PARTS_PER_STEP, update)
    }

    /// The rest of what a walk keeps, true as of the open batch.
    pub(in crate::engine) fn keep_rules(&mut self, update: &mut LedgerUpdate) {
        if std::mem::take(&mut self.rules.lists.changed) {
            update.blobs.push((LISTS_BLOB.to_owned(), self.rules.lists.directory()));
        }
        if !self.rules.velocity.is_empty() || self.rules.keeping.velocity_kept {
            let at_ms = (self.now.mono_us / 1000) as i64;
            let mut blob = self.now.wall_ms.to_le_bytes().to_vec();
            blob.extend(self.rules.velocity.to_octets(at_ms));
            self.rules.keeping.velocity_kept = !self.rules.velocity.is_empty();
            update.blobs.push((VELOCITY_BLOB.to_owned(), blob));
        }
    }

    /// Recovery: what the ledger keeps. A part that is missing or can't be read is an error: somebody in it must not be written to.
    pub(in crate::engine) fn restore_rules(&mut self, ledger: &dyn Ledger) -> Result<(), StoreError> {
        let broken = |what: &str| StoreError::Corrupt { position: 0, why: format!("{what} of the ledger is no list of numbers") };
        if let Some(octets) = ledger.blob(LISTS_BLOB)? {
            for (list, parts) in event::read_lists(&octets).map_err(|_| broken("blob lists"))? {
                for part in parts {
                    let name = part_blob(&list, part);
                    let octets = ledger.blob(&name)?.ok_or_else(|| broken("a missing part"))?;
                    let numbers = event::read_numbers(&octets).map_err(|_| broken("a part"))?;
                    self.rules.lists.restore(&list, &numbers);
                }
            }
            self.rules.lists.sets_mut().for_each(|(_, set)| set.settle());
        }
        if let Some(octets) = ledger.blob(VELOCITY_BLOB)?
            && let Some((wall_ms, octets)) = octets.split_first_chunk()
        {
            let age_ms = self.now.wall_ms as i64 - u64::from_le_bytes(*wall_ms) as i64;
            let at_ms = (self.now.mono_us / 1000) as i64 - age_ms;
            // Counters of another layout count anew.
            self.rules.velocity = Velocity::from_octets(octets, at_ms).unwrap_or_default();
            self.rules.keeping.velocity_kept = true;
        }
        Ok(())
    }
}
