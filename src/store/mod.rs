//! What survives a crash: the seams (`Journal`, `Ledger`), and two ways to keep them. What the stored octets mean belongs to
//! the engine; how they reach a disk belongs to `local` (SQLite); `memory` keeps them for the deterministic world of the tests.

pub mod checksum;
pub mod error;
pub mod ledger_writer;
pub mod local;
pub mod memory;
pub mod space;
pub mod tail;
pub mod writer;

pub use error::StoreError;
pub use space::{SpaceGauge, SpaceLevel};
use std::ops::RangeInclusive;

/// What `Journal::replay` calls for each group: its position and its octets. An error ends the replay and is returned from it.
pub type EachGroup<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), StoreError>;

/// What `Ledger::chunks` calls for each chunk: the chunk and its list of the dead (empty if it never had one).
pub type EachChunk<'a> = &'a mut dyn FnMut(Chunk, &[u8]) -> Result<(), StoreError>;

/// What `Ledger::pages` calls for each page: its number and its content.
pub type EachPage<'a> = &'a mut dyn FnMut(u64, Vec<u8>) -> Result<(), StoreError>;

/// The durable, ordered record of everything that happened: a list of *groups* (opaque octets: an encoded batch of events)
/// under positions that start at 1 and grow by exactly one. Positions are never used twice, whatever is dropped.
///
/// Each group is kept with a version and a checksum that covers its octets and its position, so that damage, a lost group
/// or one in the wrong place is told as `StoreError::Corrupt` and never skipped.
pub trait Journal: Send {
    /// Stores one group. On return it is on stable storage, together with all groups before it.
    ///
    /// `Full`: nothing was stored, the journal goes on and the call may be made again. Every other error poisons the journal: it is
    /// unknown what the disk holds, so each later call of `append` and `drop_before` fails with `Poisoned`.
    fn append(&mut self, group: &[u8]) -> Result<u64, StoreError>;

    /// Gives every group from `from` on (0: from the first that is kept) in order, each once.
    ///
    /// `Corrupt` names the first position that is damaged, missing, or was dropped although `from` asks for it;
    /// what was given before that is sound.
    fn replay(&mut self, from: u64, each: EachGroup<'_>) -> Result<(), StoreError>;

    /// Forgets the groups before `position` and lets their space be used again. The last group always stays. Not synced by itself: after a
    /// crash some of the forgotten groups may be back, from a position on and without holes.
    fn drop_before(&mut self, position: u64) -> Result<(), StoreError>;

    /// The first and the last position kept, or `None` while nothing was ever appended.
    fn bounds(&self) -> Option<(u64, u64)>;
}

/// The journal's groups, read beside the one who appends: what the tail falls back to.
pub trait JournalReader: Send {
    /// Gives up to `most` groups from `from` on in order; returns the position after the last one given.
    fn read(&mut self, from: u64, most: u32, each: EachGroup<'_>) -> Result<u64, StoreError>;

    /// The first and the last position kept; zeros if there is none.
    fn bounds(&mut self) -> Result<(u64, u64), StoreError>;
}

/// A bundle of messages (or of anything else that the engine encodes) that outlives the journal. Written once, never changed; what has
/// left it is told by its list of the dead, until the whole is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Chosen by the engine, below 2^63. The order of ids is the order in which chunks are given at the start.
    pub id: u64,
    /// What it holds; numbers are the engine's.
    pub kind: u8,
    /// What it belongs to: a lane, a minute; the engine's. Any value.
    pub key: u64,
    /// The content, opaque here.
    pub octets: Vec<u8>,
}

/// A small record found by its kind and number: an entry of a directory, a page of a sorted run. Replaced and deleted alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is; numbers are the engine's.
    pub kind: u8,
    /// Its number among those of its kind, below 2^63.
    pub id: u64,
    /// The content, opaque here.
    pub octets: Vec<u8>,
}

/// One atomic change of the ledger: all of it is durable after `Ledger::apply`, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerUpdate {
    /// Chunks to write. One with a known id is replaced and its list of the dead emptied, which makes applying twice harmless.
    pub put: Vec<Chunk>,
    /// New lists of the dead by chunk id, each in full (they replace the former ones). Unknown ids are passed over.
    pub dead: Vec<(u64, Vec<u8>)>,
    /// Chunks to delete, with their lists. Unknown ids are passed over.
    pub delete: Vec<u64>,
    /// Pages to delete: those of a kind with numbers in a range. Done before `pages` are written.
    pub drop_pages: Vec<(u8, RangeInclusive<u64>)>,
    /// Pages to write; one of the same kind and number is replaced.
    pub pages: Vec<Page>,
    /// Named octets to set, such as a snapshot of counters.
    pub blobs: Vec<(String, Vec<u8>)>,
    /// The journal position up to which (inclusive) the ledger knows everything once this is applied. Never falls: a lower one is ignored.
    pub absorbed: u64,
}

/// What must outlive the journal, or be found by a key. Reads see what the last `apply` wrote.
pub trait Ledger: Send {
    /// Applies the update as one; durable on return. Order inside: put, dead, delete, drop_pages, pages, blobs. `Full` leaves the ledger as it was and may
    /// be tried again; every other error poisons it as for the journal.
    fn apply(&mut self, update: &LedgerUpdate) -> Result<(), StoreError>;

    /// The journal position up to which the ledger knows everything; 0 when new.
    fn absorbed(&self) -> Result<u64, StoreError>;

    /// Named octets, as set last.
    fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Every chunk with its list of the dead, in the order of ids.
    fn chunks(&mut self, each: EachChunk<'_>) -> Result<(), StoreError>;

    /// The ids of all chunks, in order, without reading what is in them.
    fn chunk_ids(&mut self) -> Result<Vec<u64>, StoreError>;

    /// One chunk with its list of the dead (empty if it never had one).
    fn chunk(&mut self, id: u64) -> Result<Option<(Chunk, Vec<u8>)>, StoreError>;

    /// Every page of a kind, in the order of numbers.
    fn pages(&mut self, kind: u8, each: EachPage<'_>) -> Result<(), StoreError>;

    /// One page's content.
    fn page(&mut self, kind: u8, id: u64) -> Result<Option<Vec<u8>>, StoreError>;
}
