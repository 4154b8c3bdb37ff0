//! A journal and a ledger in memory, for the deterministic world and as the second subject of the conformance suite. What is "live" and what
//! is "synced" are kept apart, so that a crash can forget; failures strike at the call that the test names.
//!
//! Both are handles: clones share the same store, so that a test keeps one while the gateway under test owns (and loses) the other.

use super::checksum::checksum;
use super::{Chunk, EachChunk, EachGroup, EachPage, Journal, Ledger, LedgerUpdate, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A failure to strike a memory store with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No space: the call fails, the store goes on.
    Full,
    /// The sync fails: the call and every later one fail. What the call wrote may or may not be there after the crash.
    Sync,
}

/// Faults by the number of writing calls that still pass before each.
#[derive(Debug, Default)]
struct Faults {
    planned: Vec<(u64, Fault)>,
    poisoned: Option<String>,
}

impl Faults {
    /// Counts one writing call; the fault that is due now, if any.
    fn step(&mut self, what: &'static str) -> Result<Option<Fault>, StoreError> {
        if let Some(why) = &self.poisoned {
            return Err(StoreError::Poisoned { what, why: why.clone() });
        }
        let due = self.planned.iter().position(|(left, _)| *left == 0).map(|at| self.planned.swap_remove(at).1);
        for (left, _) in &mut self.planned {
            *left = left.saturating_sub(1);
        }
        if due == Some(Fault::Sync) {
            self.poisoned = Some("injected failure of a sync".into());
        }
        Ok(due)
    }
}

#[derive(Debug)]
struct Group {
    checksum: u64,
    octets: Vec<u8>,
}

/// Positions `disk_first ..= disk_first + groups.len() - 1` are held; those up to `synced` survive a crash.
#[derive(Debug)]
struct JournalState {
    groups: VecDeque<Group>,
    /// The position of `groups[0]`; as of the last sync.
    disk_first: u64,
    /// The first position that still counts; after a crash it is `disk_first` again.
    live_first: u64,
    synced: u64,
    lazy: bool,
    faults: Faults,
}

impl JournalState {
    fn last(&self) -> u64 {
        self.disk_first + self.groups.len() as u64 - 1
    }

    fn sync(&mut self) {
        self.synced = self.last();
        while self.disk_first < self.live_first {
            self.groups.pop_front();
            self.disk_first += 1;
        }
    }
}

/// A journal in memory. Every append is durable at once unless `set_lazy(true)`.
#[derive(Debug, Clone)]
pub struct MemoryJournal(Arc<Mutex<JournalState>>);

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        MemoryJournal(Arc::new(Mutex::new(JournalState {
            groups: VecDeque::new(),
            disk_first: 1,
            live_first: 1,
            synced: 0,
            lazy: false,
            faults: Faults::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, JournalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lazy: `append` gives a position, but only `sync` makes it durable, as the disk of a world with virtual time does.
    pub fn set_lazy(&self, lazy: bool) {
        self.state().lazy = lazy;
    }

    /// Makes everything appended durable; gives the last durable position (0: none).
    pub fn sync(&self) -> Result<u64, StoreError> {
        let mut state = self.state();
        if let Some(why) = &state.faults.poisoned {
            return Err(StoreError::Poisoned { what: "journal", why: why.clone() });
        }
        state.sync();
        Ok(state.synced)
    }

    /// The last durable position; 0 if none.
    pub fn synced(&self) -> u64 {
        self.state().synced
    }

    /// Power loss: forgets what was not synced, and heals injected failures, as a restart does.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Power loss in which the first `unsynced` groups after the last sync had reached the disk by chance.
    pub fn crash_keeping(&self, unsynced: usize) {
        let mut state = self.state();
        let keep = (state.synced + 1 - state.disk_first) as usize + unsynced;
        state.groups.truncate(keep);
        state.synced = state.last();
        state.live_first = state.disk_first;
        state.faults = Faults::default();
    }

    /// Lets the `after`-th append from now fail (0: the next one).
    pub fn inject(&self, after: u64, fault: Fault) {
        self.state().faults.planned.push((after, fault));
    }

    /// Failures that were planned and have not struck yet are called off.
    pub fn heal(&self) {
        self.state().faults.planned.clear();
    }

    /// Flips one bit of a kept group, for tests of what reads it. False if there is no such group or it is empty.
    pub fn damage(&self, position: u64) -> bool {
        let mut state = self.state();
        let Some(index) = position.checked_sub(state.disk_first) else { return false };
        match state.groups.get_mut(index as usize).and_then(|group| group.octets.first_mut()) {
            Some(octet) => {
                *octet ^= 1;
                true
            }
            None => false,
        }
    }

    /// Octets of all groups kept.
    pub fn octets(&self) -> usize {
        self.state().groups.iter().map(|group| group.octets.len()).sum()
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, group: &[u8]) -> Result<u64, StoreError> {
        let mut state = self.state();
        let fault = state.faults.step("journal")?;
        if fault == Some(Fault::Full) {
            return Err(StoreError::Full { what: "journal" });
        }
        let position = state.last() + 1;
        state.groups.push_back(Group { checksum: checksum(position, group), octets: group.to_vec() });
        if fault == Some(Fault::Sync) {
            return Err(StoreError::io("syncing the journal", "injected failure of a sync"));
        }
        if !state.lazy {
            state.sync();
        }
        Ok(position)
    }

    fn replay(&mut self, from: u64, each: EachGroup<'_>) -> Result<(), StoreError> {
        // The lock is released around each call, so that the callback may look at the journal.
        let (first, last) = {
            let state = self.state();
            (state.live_first, state.last())
        };
        if from != 0 && from < first {
            return Err(StoreError::Corrupt { position: from, why: format!("asked for, but the journal begins at {first}") });
        }
        for position in from.max(first)..=last {
            let octets = {
                let state = self.state();
                let group = position.checked_sub(state.disk_first).and_then(|index| state.groups.get(index as usize));
                let Some(group) = group else {
                    return Err(StoreError::Corrupt { position, why: "dropped while it was read".into() });
                };
                if checksum(position, &group.octets) != group.checksum {
                    return Err(StoreError::Corrupt { position, why: "checksum does not agree".into() });
                }
                group.octets.clone()
            };
            each(position, &octets)?;
        }
        Ok(())
    }

    fn drop_before(&mut self, position: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(why) = &state.faults.poisoned {
            return Err(StoreError::Poisoned { what: "journal", why: why.clone() });
        }
        state.live_first = state.live_first.max(position.min(state.last()));
        Ok(())
    }

    fn bounds(&self) -> Option<(u64, u64)> {
        let state = self.state();
        (!state.groups.is_empty()).then(|| (state.live_first, state.last()))
    }
}

/// What a ledger holds. Small enough in tests to keep a whole second copy as the synced image.
#[derive(Debug, Clone, Default)]
struct LedgerImage {
    chunks: BTreeMap<u64, (Chunk, Vec<u8>)>,
    pages: BTreeMap<(u8, u64), Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
    absorbed: u64,
}

impl LedgerImage {
    fn apply(&mut self, update: &LedgerUpdate) {
        for chunk in &update.put {
            self.chunks.insert(chunk.id, (chunk.clone(), Vec::new()));
        }
        for (id, dead) in &update.dead {
            if let Some(entry) = self.chunks.get_mut(id) {
                entry.1.clone_from(dead);
            }
        }
        for id in &update.delete {
            self.chunks.remove(id);
        }
        for (kind, range) in &update.drop_pages {
            self.pages.retain(|(of, id), _| of != kind || !range.contains(id));
        }
        for page in &update.pages {
            self.pages.insert((page.kind, page.id), page.octets.clone());
        }
        for (name, octets) in &update.blobs {
            self.blobs.insert(name.clone(), octets.clone());
        }
        self.absorbed = self.absorbed.max(update.absorbed);
    }
}

#[derive(Debug, Default)]
struct LedgerState {
    live: LedgerImage,
    /// What is on top of the synced image, in order; empty unless lazy.
    unsynced: Vec<LedgerUpdate>,
    synced: LedgerImage,
    lazy: bool,
    faults: Faults,
}

/// A ledger in memory. Every update is durable at once unless `set_lazy(true)`.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Arc<Mutex<LedgerState>>);

impl MemoryLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, LedgerState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lazy: `apply` is seen at once, but only `sync` makes it durable.
    pub fn set_lazy(&self, lazy: bool) {
        self.state().lazy = lazy;
    }

    /// Makes everything applied durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(why) = &state.faults.poisoned {
            return Err(StoreError::Poisoned { what: "ledger", why: why.clone() });
        }
        let LedgerState { unsynced, synced, .. } = &mut *state;
        for update in unsynced.drain(..) {
            synced.apply(&update);
        }
        Ok(())
    }

    /// Power loss: forgets what was not synced, and heals injected failures.
    pub fn crash(&self) {
        let mut state = self.state();
        state.live = state.synced.clone();
        state.unsynced.clear();
        state.faults = Faults::default();
    }

    /// Lets the `after`-th apply from now fail (0: the next one).
    pub fn inject(&self, after: u64, fault: Fault) {
        self.state().faults.planned.push((after, fault));
    }
}

impl Ledger for MemoryLedger {
    fn apply(&mut self, update: &LedgerUpdate) -> Result<(), StoreError> {
        let mut state = self.state();
        match state.faults.step("ledger")? {
            Some(Fault::Full) => return Err(StoreError::Full { what: "ledger" }),
            Some(Fault::Sync) => return Err(StoreError::io("syncing the ledger", "injected failure of a sync")),
            None => {}
        }
        state.live.apply(update);
        if state.lazy {
            state.unsynced.push(update.clone());
        } else {
            let LedgerState { unsynced, synced, .. } = &mut *state;
            for earlier in unsynced.drain(..) {
                synced.apply(&earlier);
            }
            synced.apply(update);
        }
        Ok(())
    }

    fn absorbed(&self) -> Result<u64, StoreError> {
        Ok(self.state().live.absorbed)
    }

    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().live.blobs.get(name).cloned())
    }

    fn chunks(&mut self, each: EachChunk<'_>) -> Result<(), StoreError> {
        let all: Vec<_> = self.state().live.chunks.values().cloned().collect();
        all.into_iter().try_for_each(|(chunk, dead)| each(chunk, &dead))
    }

    fn chunk_ids(&mut self) -> Result<Vec<u64>, StoreError> {
        Ok(self.state().live.chunks.keys().copied().collect())
    }

    fn chunk(&mut self, id: u64) -> Result<Option<(Chunk, Vec<u8>)>, StoreError> {
        Ok(self.state().live.chunks.get(&id).cloned())
    }

    fn pages(&mut self, kind: u8, each: EachPage<'_>) -> Result<(), StoreError> {
        let all: Vec<_> =
            self.state().live.pages.range((kind, 0)..=(kind, u64::MAX)).map(|(&(_, id), octets)| (id, octets.clone())).collect();
        all.into_iter().try_for_each(|(id, octets)| each(id, octets))
    }

    fn page(&mut self, kind: u8, id: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().live.pages.get(&(kind, id)).cloned())
    }
}
