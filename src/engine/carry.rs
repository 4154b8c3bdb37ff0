//! Keeps the journal short (choice 5): what is still alive in its oldest groups is carried into the ledger, then the groups are dropped.
//!
//! Everything alive knows its *home*: the batch of the oldest event that is needed to rebuild it, or the ledger's chunk that holds all of it. A walk over the
//! oldest batches writes what still lives there into chunks, as ordinary events. Logical time is the batch number: every chunk tells the batch up to which
//! it is true, and replay skips for its items what came before. So a walk may take many steps while life goes on, and a chunk never spans two of them.
//! The update becomes valid in this order:
//! the batch in which the walk ended is durable; the ledger has the chunks, the dead lists and the counters in one transaction; only then groups are dropped.

use super::Engine;
use super::event::{self, DeliveryKey, Event};
use super::messages::{Entry, PartState, Phase};
use super::port::{DeliveryToken, Output};
use crate::model::{MessageId, State};
use crate::store::{Chunk, LedgerUpdate};
use hashbrown::HashMap;
use std::collections::VecDeque;
use xxhash_rust::xxh3::xxh3_64;

/// Octets at which a chunk is closed.
const CHUNK_OCTETS: usize = 64 << 10;
/// Items looked at in one step.
const ITEMS_PER_STEP: usize = 2_000;
/// Batches in which a chunk's item count is kept short: chunks with less than a quarter alive are written anew.
const LIVE_SHARE: u32 = 4;
/// The name of the ledger's blob with counters and clocks.
pub const STATE_BLOB: &str = "engine";

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
}

/// What lives where.
#[derive(Debug, Default)]
pub struct Homes {
    batches: VecDeque<Batch>,
    chunks: HashMap<u64, LiveChunk>,
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

    /// For recovery: a chunk was loaded.
    pub fn loaded(&mut self, id: u64, items: Vec<Item>, dead: Vec<Name>) {
        self.last_chunk = self.last_chunk.max(id);
        let live = items.len() as u32;
        self.chunks.insert(id, LiveChunk { items, live, dead, changed: false });
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

    /// Chunks in the ledger.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The first batch after which half of `bound` octets follow.
    fn boundary(&self, bound: u64) -> Option<u64> {
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

/// A walk over the oldest batches that is under way.
#[derive(Debug)]
pub struct Carrying {
    /// Batches before this one are walked.
    upto: u64,
    /// Items that are still to be looked at, with the home at which they must still be.
    queue: Vec<(Item, Home)>,
    queued_chunks: bool,
    chunk: Vec<u8>,
    chunk_items: Vec<Item>,
    update: LedgerUpdate,
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Walking,
    /// The walk is over; its update waits until this batch is durable.
    Ended(u64),
    /// The ledger has the update; groups go when it says so.
    Applying,
}

impl Carrying {
    /// It has items left to look at.
    pub fn is_walking(&self) -> bool {
        self.stage == Stage::Walking
    }
}

impl Engine {
    /// A record of a message changed: from now on it also needs the open batch.
    pub(super) fn touch(&mut self, id: MessageId) {
        let open = self.home();
        let Some(entry) = self.messages.get_mut(&id) else { return };
        if let Home::Chunk(chunk) = entry.home {
            entry.base = chunk;
            entry.home = open;
            self.writing.items.push(Item::Message(id));
        }
    }

    /// Starts a walk when the journal has grown past its bound; goes on with one that has started.
    pub(super) fn carry_some(&mut self, outputs: &mut Vec<Output>) {
        if self.carrying.is_none() && self.homes.octets > self.plan.bounds.journal_octets {
            self.start_carrying();
        }
        let Some(mut carrying) = self.carrying.take() else { return };
        if carrying.stage == Stage::Walking {
            for _ in 0..ITEMS_PER_STEP {
                if carrying.queue.is_empty() && !self.queue_more(&mut carrying) {
                    self.end_walk(&mut carrying);
                    break;
                }
                let Some((item, home)) = carrying.queue.pop() else { continue };
                self.carry(&mut carrying, item, home);
            }
            self.close_chunk(&mut carrying);
        }
        self.carrying = Some(carrying);
        self.ledger_may_follow(self.homes.committed, outputs);
    }

    fn start_carrying(&mut self) {
        let Some(upto) = self.homes.boundary(self.plan.bounds.journal_octets) else { return };
        if self.homes.batches.front().is_none_or(|b| b.number >= upto) {
            return;
        }
        self.carrying = Some(Carrying {
            upto,
            queue: Vec::new(),
            queued_chunks: false,
            chunk: Vec::new(),
            chunk_items: Vec::new(),
            update: LedgerUpdate::default(),
            stage: Stage::Walking,
        });
    }

    fn queue_more(&mut self, carrying: &mut Carrying) -> bool {
        while let Some(batch) = self.homes.batches.front_mut().filter(|b| b.number < carrying.upto) {
            let home = Home::Batch(batch.number);
            carrying.queue.extend(std::mem::take(&mut batch.items).into_iter().map(|item| (item, home)));
            self.homes.octets -= batch.octets;
            self.homes.batches.pop_front();
            if !carrying.queue.is_empty() {
                return true;
            }
        }
        if !carrying.queued_chunks {
            carrying.queued_chunks = true;
            for (&id, chunk) in &mut self.homes.chunks {
                if chunk.live > 0 && chunk.live * LIVE_SHARE < chunk.items.len() as u32 {
                    carrying.queue.extend(std::mem::take(&mut chunk.items).into_iter().map(|item| (item, Home::Chunk(id))));
                }
            }
            // Chunk ids in order: nothing may depend on the order of a map.
            carrying.queue.sort_by_key(|&(_, home)| match home {
                Home::Chunk(id) | Home::Batch(id) => id,
            });
            return !carrying.queue.is_empty();
        }
        false
    }

    /// Writes one item into the open chunk, if it still lives at `home`.
    fn carry(&mut self, carrying: &mut Carrying, item: Item, home: Home) {
        let id = self.homes.last_chunk + 1;
        if carrying.chunk.is_empty() {
            // True up to and including the batch that is open now: its events are applied already.
            event::open(&mut carrying.chunk, self.writing.batch);
        }
        let new = Home::Chunk(id);
        let out = &mut carrying.chunk;
        let start = out.len();
        let carried = match item {
            Item::Message(message) => match self.messages.get_mut(&message) {
                Some(entry) if entry.home == home => {
                    write_entry(entry, out);
                    if entry.base != 0 {
                        self.homes.bury(entry.base, Name::message(message));
                        self.homes.died(entry.base);
                        entry.base = 0;
                    }
                    entry.home = new;
                    Some(Name::message(message))
                }
                _ => None,
            },
            Item::Delivery(token) => match self.outbox.get_mut(token) {
                Some(waiting) if waiting.home == home => {
                    let delivery = Box::new((*waiting.delivery).clone());
                    event::write(&Event::Outboxed { account: waiting.account, key: waiting.key, at_ms: waiting.since_ms, delivery }, out);
                    waiting.home = new;
                    Some(Name::delivery(waiting.key))
                }
                _ => None,
            },
            Item::Parked(key) => match self.parked.get_mut(key) {
                Some(parked) if parked.home == home => {
                    let facts = Box::new(parked.facts.clone());
                    event::write(&Event::Parked { carrier: parked.carrier, at_ms: parked.at_ms, facts }, out);
                    parked.home = new;
                    Some(Name::octets(&out[start..]))
                }
                _ => None,
            },
            Item::InboundPart(key) => self.inbound.carry(key, home, new, out).then(|| Name::octets(&out[start..])),
        };
        if let Some(name) = carried {
            carrying.chunk_items.push(item);
            if let Home::Chunk(old) = home {
                // The old chunk may stay for others' sake.
                self.homes.bury(old, name);
                self.homes.died(old);
            }
        }
        if carrying.chunk.len() >= CHUNK_OCTETS {
            self.close_chunk(carrying);
        } else if carrying.chunk_items.is_empty() {
            carrying.chunk.clear();
        }
    }

    fn close_chunk(&mut self, carrying: &mut Carrying) {
        if carrying.chunk_items.is_empty() {
            carrying.chunk.clear();
            return;
        }
        self.homes.last_chunk += 1;
        let id = self.homes.last_chunk;
        let mut octets = std::mem::take(&mut carrying.chunk);
        event::seal(&mut octets);
        let items = std::mem::take(&mut carrying.chunk_items);
        let live = items.len() as u32;
        self.homes.chunks.insert(id, LiveChunk { items, live, dead: Vec::new(), changed: false });
        carrying.update.put.push(Chunk { id, kind: 0, key: 0, octets });
    }

    /// Everything is in chunks. Counters and dead lists of this moment go along.
    fn end_walk(&mut self, carrying: &mut Carrying) {
        self.close_chunk(carrying);
        for (&id, chunk) in &mut self.homes.chunks {
            if chunk.live == 0 {
                carrying.update.delete.push(id);
            } else if chunk.changed {
                chunk.changed = false;
                let dead = chunk.dead.iter().flat_map(|name| std::iter::once(name.0).chain(name.1.to_le_bytes())).collect();
                carrying.update.dead.push((id, dead));
            }
        }
        carrying.update.delete.sort_unstable();
        carrying.update.dead.sort_unstable();
        for id in &carrying.update.delete {
            self.homes.chunks.remove(id);
        }
        let mut blob = self.writing.batch.to_le_bytes().to_vec();
        blob.extend_from_slice(&self.ids.last().to_le_bytes());
        blob.extend_from_slice(&carrying.upto.to_le_bytes());
        blob.extend_from_slice(&self.counts.to_octets());
        carrying.update.blobs.push((STATE_BLOB.to_owned(), blob));
        // The group of the first batch that stays is kept whole, with whatever older batches it has; replay passes over those (`upto`).
        carrying.update.absorbed = self.homes.batches.front().and_then(|b| b.position).map_or(0, |position| position - 1);
        // Make sure that the open batch exists, so that "durable" will come.
        self.open_batch();
        carrying.stage = Stage::Ended(self.writing.batch);
    }

    /// The update goes to the ledger once the batch in which the walk ended is durable.
    pub(super) fn ledger_may_follow(&mut self, durable: u64, outputs: &mut Vec<Output>) {
        if let Some(carrying) = &mut self.carrying
            && matches!(carrying.stage, Stage::Ended(batch) if batch <= durable)
        {
            carrying.stage = Stage::Applying;
            outputs.push(Output::Ledger(Box::new(std::mem::take(&mut carrying.update))));
        }
    }

    /// The ledger has taken the update and the groups before it are on their way out.
    pub(super) fn ledger_applied(&mut self) {
        self.carrying = None;
    }
}

/// A message as events: what replaying them rebuilds is the message as it stands now.
fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    let id = entry.message.id;
    event::write_accepted(&entry.message, out);
    let carrier = entry.phase.carrier().unwrap_or(entry.attempted_at);
    let parts = entry.parts.len() as u8;
    for (part, state) in entry.parts.as_slice().iter().enumerate() {
        if matches!(state, PartState::Sent | PartState::Delivered | PartState::Failed) {
            let key = entry.key_of(part);
            let (reference, at_ms) = (entry.reference, entry.sent_ms);
            event::write(
                &Event::SentBefore {
                    message: id,
                    part: part as u8,
                    parts,
                    carrier,
                    at_ms,
                    reference,
                    key,
                    reported: *state != PartState::Sent,
                },
                out,
            );
        }
    }
    if entry.attempted {
        event::write(&Event::Attempt { message: id, carrier }, out);
    }
    let state = match entry.phase {
        Phase::Settled(_, state) => state,
        _ => State::Waiting,
    };
    if entry.reports > 0 || state != State::Waiting {
        event::write(&Event::Settled { message: id, carrier, state, reports: entry.reports, reported_final: entry.reported_final }, out);
    }
}
