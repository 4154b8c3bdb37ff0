//! Where everything alive has its record: the batches of the journal and the chunks of the ledger, what lives in each, and what must not come back from it.

use super::event::DeliveryKey;
use super::port::DeliveryToken;
use crate::model::MessageId;
use crate::store::LedgerUpdate;
use std::collections::{BTreeMap, VecDeque};
use xxhash_rust::xxh3::xxh3_64;

/// What keeps chunks full: those with less than a quarter alive are written anew.
const LIVE_SHARE: u32 = 4;

/// Where a record lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Home {
    /// In the journal, from this batch on.
    Batch(u64),
    /// In this chunk of the ledger, all of it.
    Chunk(u64),
}

impl Home {
    /// In the journal from batch `number` on.
    pub fn batch(number: u64) -> Home {
        Home::Batch(number)
    }
}

/// Something alive that has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// A message.
    Message(MessageId),
    /// A delivery in an outbox.
    Delivery(DeliveryToken),
    /// A parked receipt.
    Parked(u64),
    /// A part of an inbound message that waits for its siblings.
    InboundPart(u64),
}

impl Item {
    /// The message, if it is one.
    pub(super) fn message(&self) -> Option<MessageId> {
        match self {
            Item::Message(id) => Some(*id),
            _ => None,
        }
    }
}

/// A name on a chunk's list of the dead: what must not come back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name(pub u8, pub u64);

impl Name {
    /// A message's.
    pub fn message(id: MessageId) -> Name {
        Name(1, id.0)
    }

    /// A delivery's.
    pub fn delivery(key: DeliveryKey) -> Name {
        Name(2 + (key.serial & 0x7f), key.message.0)
    }

    /// Of anything else: by its event's octets.
    pub fn octets(octets: &[u8]) -> Name {
        Name(0, xxh3_64(octets))
    }
}

/// The names in a chunk's list of the dead, as the ledger keeps it.
pub fn names(listed: &[u8]) -> impl Iterator<Item = Name> + '_ {
    listed.chunks_exact(9).map(|n| Name(n[0], u64::from_le_bytes(n[1..].try_into().unwrap_or_default())))
}

#[derive(Debug)]
struct Batch {
    number: u64,
    position: Option<u64>,
    octets: u64,
    items: Vec<Item>,
}

#[derive(Debug, Default)]
struct LiveChunk {
    items: Vec<Item>,
    live: u32,
    dead: Vec<Name>,
    changed: bool,
    /// How many items were written into it.
    written: u32,
    /// Its messages may leave memory: there are notes of where they are.
    noted: bool,
}

impl LiveChunk {
    fn is_sparse(&self) -> bool {
        self.live * LIVE_SHARE < self.written
    }
}

/// What lives where.
#[derive(Debug, Default)]
pub struct Homes {
    batches: VecDeque<Batch>,
    chunks: BTreeMap<u64, LiveChunk>,
    last_chunk: u64,
    octets: u64,
    /// The last durable batch.
    committed: u64,
}

impl Homes {
    /// The open batch is closed with these items.
    pub fn opened(&mut self, number: u64, octets: u64, items: Vec<Item>) {
        self.octets += octets;
        self.batches.push_back(Batch { number, position: None, octets, items });
    }

    /// Batches up to `number` are durable in the group at `position`.
    pub fn committed(&mut self, number: u64, position: u64) {
        self.committed = number;
        for batch in self.batches.iter_mut().rev().skip_while(|b| b.number > number).take_while(|b| b.position.is_none()) {
            batch.position = Some(position);
        }
    }

    /// Every batch up to `number` is durable.
    pub fn is_durable(&self, number: u64) -> bool {
        self.committed >= number
    }

    /// For recovery: what was read is durable.
    pub fn read_up_to(&mut self, number: u64) {
        self.committed = number;
    }

    /// A record joins the items of `home`; `open` is the batch that is being written, with `open_items`.
    pub fn adopt(&mut self, home: Home, open_items: &mut Vec<Item>, open: u64, item: Item) {
        match home {
            Home::Batch(number) if number == open => open_items.push(item),
            Home::Batch(number) => {
                let at = self.batches.partition_point(|b| b.number < number);
                match self.batches.get_mut(at).filter(|b| b.number == number) {
                    Some(batch) => batch.items.push(item),
                    None => open_items.push(item),
                }
            }
            Home::Chunk(id) => {
                let chunk = self.chunks.entry(id).or_default();
                chunk.items.push(item);
                chunk.live += 1;
            }
        }
    }

    /// One item of chunk `id` is no more (or has moved). [`Homes::bury`] names it.
    pub fn died(&mut self, id: u64) {
        if let Some(chunk) = self.chunks.get_mut(&id) {
            chunk.live = chunk.live.saturating_sub(1);
            chunk.changed = true;
        }
    }

    /// `name` must not come back from chunk `id`.
    pub fn bury(&mut self, id: u64, name: Name) {
        if let Some(chunk) = self.chunks.get_mut(&id) {
            chunk.dead.push(name);
            chunk.changed = true;
        }
    }

    /// A chunk was loaded. `noted`: there are notes of where its messages are.
    pub fn loaded(&mut self, id: u64, items: Vec<Item>, dead: Vec<Name>, noted: bool) {
        self.last_chunk = self.last_chunk.max(id);
        let live = items.len() as u32;
        let before = self.chunks.get(&id);
        let (changed, written) = before.map_or((false, live + dead.len() as u32), |chunk| (chunk.changed, chunk.written));
        self.chunks.insert(id, LiveChunk { items, live, dead, changed, written, noted });
    }

    /// Some chunk with notes from `first` to `last` is there.
    pub fn is_any_noted(&self, first: u64, last: u64) -> bool {
        self.chunks.range(first..=last).any(|(_, chunk)| chunk.noted)
    }

    /// The ledger has the list of the dead of chunk `id`, whose messages are out of memory: nothing joins it until they are back.
    pub fn forget_dead(&mut self, id: u64) {
        if let Some(chunk) = self.chunks.get_mut(&id).filter(|chunk| !chunk.changed) {
            chunk.dead = Vec::new();
        }
    }

    /// For recovery: a chunk of `live` messages that stay out of memory.
    pub fn registered(&mut self, id: u64, live: u32, written: u32) {
        self.last_chunk = self.last_chunk.max(id);
        self.chunks.insert(id, LiveChunk { items: Vec::new(), live, dead: Vec::new(), changed: false, written, noted: true });
    }

    /// The items that were written into chunk `id`, while it is in memory.
    pub fn items_of(&self, id: u64) -> &[Item] {
        self.chunks.get(&id).map_or(&[], |chunk| &chunk.items)
    }

    /// How many of them live.
    pub fn live_of(&self, id: u64) -> u32 {
        self.chunks.get(&id).map_or(0, |chunk| chunk.live)
    }

    /// How many items were written into chunk `id`.
    pub fn written_of(&self, id: u64) -> u32 {
        self.chunks.get(&id).map_or(0, |chunk| chunk.written)
    }

    /// The items of chunk `id` leave memory.
    pub fn chill(&mut self, id: u64) -> Vec<Item> {
        self.chunks.get_mut(&id).map(|chunk| std::mem::take(&mut chunk.items)).unwrap_or_default()
    }

    /// Everything that must not come back from chunk `id`, with the list that the ledger has.
    pub fn dead_of(&self, id: u64, listed: &[u8]) -> Vec<Name> {
        let mut dead: Vec<Name> = names(listed).collect();
        if let Some(chunk) = self.chunks.get(&id) {
            dead.extend(&chunk.dead);
        }
        dead.sort_unstable_by_key(|name| (name.0, name.1));
        dead.dedup();
        dead
    }

    /// Octets in the journal, as far as known.
    pub fn journal_octets(&self) -> u64 {
        self.octets
    }

    /// Groups in the journal, as far as known.
    pub fn journal_groups(&self) -> u64 {
        let mut positions = self.batches.iter().filter_map(|batch| batch.position);
        let first = positions.next();
        let last = positions.next_back().or(first);
        first.zip(last).map_or(0, |(first, last)| last - first + 1)
    }

    /// The last durable batch.
    pub fn durable(&self) -> u64 {
        self.committed
    }

    /// The oldest batch that is still in the journal.
    pub fn first_batch(&self) -> Option<u64> {
        self.batches.front().map(|batch| batch.number)
    }

    /// The group that it is in, once that is durable.
    pub fn first_position(&self) -> Option<u64> {
        self.batches.front().and_then(|batch| batch.position)
    }

    /// The oldest batch is walked: its items.
    pub fn take_first_batch(&mut self) -> Vec<Item> {
        let Some(batch) = self.batches.pop_front() else { return Vec::new() };
        self.octets -= batch.octets;
        batch.items
    }

    /// The id that the next chunk will have.
    pub fn next_chunk(&self) -> u64 {
        self.last_chunk + 1
    }

    /// A chunk of these items was written. `noted`: its messages may leave memory.
    pub fn written(&mut self, items: Vec<Item>, noted: bool) -> u64 {
        self.last_chunk += 1;
        let live = items.len() as u32;
        self.chunks.insert(self.last_chunk, LiveChunk { items, live, dead: Vec::new(), changed: false, written: live, noted });
        self.last_chunk
    }

    /// Few of chunk `id` live: a walk writes them anew.
    pub fn is_sparse(&self, id: u64) -> bool {
        self.chunks.get(&id).is_none_or(LiveChunk::is_sparse)
    }

    /// The items of all chunks in memory of which few live.
    pub fn take_sparse(&mut self, out: &mut Vec<(Item, Home)>) {
        for (&id, chunk) in self.chunks.iter_mut().filter(|(_, chunk)| chunk.live > 0 && chunk.is_sparse()) {
            out.extend(std::mem::take(&mut chunk.items).into_iter().map(|item| (item, Home::Chunk(id))));
        }
    }

    /// What changed since the last walk: lists of the dead, and chunks of which nothing lives.
    pub fn write_changes(&mut self, update: &mut LedgerUpdate) {
        for (&id, chunk) in &mut self.chunks {
            if chunk.live == 0 {
                update.delete.push(id);
            } else if std::mem::take(&mut chunk.changed) {
                let dead = chunk.dead.iter().flat_map(|name| std::iter::once(name.0).chain(name.1.to_le_bytes())).collect();
                update.dead.push((id, dead));
            }
        }
        for id in &update.delete {
            self.chunks.remove(id);
        }
    }

    /// The first batch after which half of `bound` octets follow.
    pub fn boundary(&self, bound: u64) -> Option<u64> {
        let mut kept = 0;
        for batch in self.batches.iter().rev() {
            kept += batch.octets;
            if kept > bound / 2 && batch.position.is_some() {
                return Some(batch.number);
            }
        }
        None
    }
}
