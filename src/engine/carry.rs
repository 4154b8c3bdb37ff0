//! Keeps the journal short: what is still alive in its oldest groups is carried into the ledger, then the groups are dropped.
//!
//! Everything alive knows its *home*: the batch of the oldest event that is needed to rebuild it, or the ledger's chunk that holds all of it. A walk over the
//! oldest batches writes what still lives there into chunks, as ordinary events. Logical time is the batch number: every chunk tells the batch up to which
//! it is true, and replay skips for its items what came before. So a walk may take many steps while life goes on, and a chunk never spans two of them.
//! The update becomes valid in this order:
//! the batch in which the walk ended is durable; the ledger has the chunks, the dead lists and the counters in one transaction; only then groups are dropped.

use super::Engine;
use super::balance::BALANCE_BLOB;
use super::cold::{COLD_BLOB, Place};
use super::event::{self, DeliveryKey, Event};
use super::lanes::LaneId;
use super::messages::{Entry, PartState, Phase};
use super::port::{CarrierId, DeliveryToken, Output};
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

impl Item {
    /// The message, if it is one.
    fn message(&self) -> Option<MessageId> {
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
        let changed = self.chunks.get(&id).is_some_and(|chunk| chunk.changed);
        self.chunks.insert(id, LiveChunk { items, live, dead, changed });
    }

    /// For recovery: a chunk of `live` messages that stay out of memory.
    pub fn registered(&mut self, id: u64, live: u32) {
        self.last_chunk = self.last_chunk.max(id);
        self.chunks.insert(id, LiveChunk { items: Vec::new(), live, dead: Vec::new(), changed: false });
    }

    /// The items that were written into chunk `id`, while it is in memory.
    pub fn items_of(&self, id: u64) -> &[Item] {
        self.chunks.get(&id).map_or(&[], |chunk| &chunk.items)
    }

    /// How many of them live.
    pub fn live_of(&self, id: u64) -> u32 {
        self.chunks.get(&id).map_or(0, |chunk| chunk.live)
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
    pass: Pass,
    /// Memory is crowded: the ends of lanes go out too.
    crowded: bool,
    /// Messages due much later, to be written in the order of their times.
    far: Vec<(u64, MessageId, Home)>,
    /// Messages in lanes: written after the ends of lanes.
    waiting: Vec<(Item, Home)>,
    /// What the messages of the open chunk wait for, if they may leave memory.
    place: Option<Place>,
    /// Chunks that may leave memory once the ledger has them.
    cold: Vec<(u64, Place)>,
    chunk: Vec<u8>,
    chunk_items: Vec<Item>,
    update: LedgerUpdate,
    stage: Stage,
}

/// What a walk does one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// The oldest batches; what may leave memory is only noted.
    Batches,
    /// Chunks with few alive.
    Chunks,
    /// Messages due much later.
    Far,
    /// The ends of lanes: this carrier, this lane; `None` before its first.
    Lane(usize, Option<LaneId>),
    /// What the batches held and is still there.
    Rest,
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
        if self.carrying.is_none() && !self.cold.is_leaving() {
            let crowded = self.is_crowded();
            if crowded || self.homes.octets > self.plan.bounds.journal_octets {
                self.start_carrying(crowded);
            }
        }
        let Some(mut carrying) = self.carrying.take() else { return };
        if carrying.stage == Stage::Walking {
            for _ in 0..ITEMS_PER_STEP {
                if let Some((item, home)) = carrying.queue.pop() {
                    self.carry(&mut carrying, item, home);
                } else if let Pass::Lane(carrier, lane) = carrying.pass {
                    self.carry_lane(&mut carrying, carrier, lane);
                } else if !self.queue_more(&mut carrying) {
                    if self.keep_lists(&mut carrying.update) {
                        self.end_walk(&mut carrying);
                    }
                    break;
                }
            }
            self.close_chunk(&mut carrying);
        }
        self.carrying = Some(carrying);
        self.ledger_may_follow(self.homes.committed, outputs);
    }

    fn start_carrying(&mut self, crowded: bool) {
        // Crowded: everything durable is walked.
        let bound = if crowded { 0 } else { self.plan.bounds.journal_octets };
        let Some(upto) = self.homes.boundary(bound) else { return };
        self.cold.far = 0;
        if self.homes.batches.front().is_none_or(|b| b.number >= upto) {
            return;
        }
        self.carrying = Some(Carrying {
            upto,
            queue: Vec::new(),
            pass: Pass::Batches,
            crowded,
            far: Vec::new(),
            waiting: Vec::new(),
            place: None,
            cold: Vec::new(),
            chunk: Vec::new(),
            chunk_items: Vec::new(),
            update: LedgerUpdate::default(),
            stage: Stage::Walking,
        });
    }

    /// The next items of the walk; false when it is over. An empty queue means: go on.
    fn queue_more(&mut self, carrying: &mut Carrying) -> bool {
        match carrying.pass {
            Pass::Batches => {
                let Some(batch) = self.homes.batches.front_mut().filter(|b| b.number < carrying.upto) else {
                    carrying.pass = Pass::Chunks;
                    return true;
                };
                let home = Home::Batch(batch.number);
                carrying.queue.extend(std::mem::take(&mut batch.items).into_iter().map(|item| (item, home)));
                self.homes.octets -= batch.octets;
                self.homes.batches.pop_front();
            }
            Pass::Chunks => {
                for (&id, chunk) in &mut self.homes.chunks {
                    if chunk.live > 0 && chunk.live * LIVE_SHARE < chunk.items.len() as u32 {
                        carrying.queue.extend(std::mem::take(&mut chunk.items).into_iter().map(|item| (item, Home::Chunk(id))));
                    }
                }
                // Chunk ids in order: nothing may depend on the order of a map.
                carrying.queue.sort_by_key(|&(_, home)| match home {
                    Home::Chunk(id) | Home::Batch(id) => id,
                });
                carrying.pass = Pass::Far;
            }
            Pass::Far if carrying.place.is_none() => {
                self.close_chunk(carrying);
                carrying.place = Some(Place::Time);
                carrying.far.sort_unstable_by_key(|&(minute, id, _)| (std::cmp::Reverse(minute), std::cmp::Reverse(id)));
                carrying.queue = std::mem::take(&mut carrying.far).into_iter().map(|(_, id, home)| (Item::Message(id), home)).collect();
            }
            Pass::Far => {
                self.close_chunk(carrying);
                carrying.pass = if carrying.crowded && !self.dispatchers.is_empty() { Pass::Lane(0, None) } else { Pass::Rest };
                carrying.place = None;
            }
            Pass::Lane(..) => {}
            Pass::Rest => {
                carrying.queue = std::mem::take(&mut carrying.waiting);
                return !carrying.queue.is_empty();
            }
        }
        true
    }

    /// Writes the next message of a lane's end into a chunk of the lane.
    fn carry_lane(&mut self, carrying: &mut Carrying, carrier: usize, lane: Option<LaneId>) {
        let Some(lane) = lane else { return self.next_lane(carrying, carrier, None) };
        let keep = self.lane_keep();
        let lanes = &mut self.dispatchers[carrier].lanes;
        let place = Place::Lane(CarrierId(carrier as u16), lanes.key(lane));
        if carrying.place != Some(place) {
            lanes.queue(lane).part(keep);
            self.close_chunk(carrying);
            carrying.place = Some(place);
        }
        let Some(id) = self.dispatchers[carrier].lanes.queue(lane).pop_back_part() else {
            return self.next_lane(carrying, carrier, Some(lane));
        };
        let Some(entry) = self.messages.get(&id) else { return };
        if entry.phase != Phase::Waiting(CarrierId(carrier as u16)) {
            // A stale place.
            return;
        }
        match entry.home {
            _ if !entry.is_fresh() => self.dispatchers[carrier].lanes.push_ahead(lane, id),
            // Its batch stays in the journal: it and all behind it stay too.
            Home::Batch(batch) if batch >= carrying.upto => {
                self.dispatchers[carrier].lanes.queue(lane).unpop_back_part(id);
                self.next_lane(carrying, carrier, Some(lane));
            }
            home => self.carry(carrying, Item::Message(id), home),
        }
    }

    fn next_lane(&mut self, carrying: &mut Carrying, carrier: usize, after: Option<LaneId>) {
        self.close_chunk(carrying);
        let next = match self.dispatchers[carrier].lanes.after(after) {
            Some(lane) => Some((carrier, Some(lane))),
            None => Some((carrier + 1, None)).filter(|(next, _)| *next < self.dispatchers.len()),
        };
        carrying.place = None;
        carrying.pass = next.map_or(Pass::Rest, |(carrier, lane)| Pass::Lane(carrier, lane));
    }

    /// True for what is not written now: it may leave memory and is written with its like, or it has become something else.
    fn is_put_off(&self, carrying: &mut Carrying, item: Item, home: Home) -> bool {
        let Item::Message(id) = item else { return false };
        let Some(entry) = self.messages.get(&id).filter(|entry| entry.home == home) else { return false };
        match (carrying.pass, self.cold_place(entry)) {
            (Pass::Batches | Pass::Chunks, Some(Place::Time)) | (Pass::Far, Some(Place::Time)) if carrying.place.is_none() => {
                carrying.far.push((entry.message.due_ms / 60_000, id, home));
                true
            }
            (Pass::Batches | Pass::Chunks | Pass::Far, Some(Place::Lane(..))) if carrying.crowded && carrying.place.is_none() => {
                carrying.waiting.push((item, home));
                true
            }
            (Pass::Far, place) if carrying.place.is_some() && place != carrying.place => {
                carrying.waiting.push((item, home));
                true
            }
            _ => false,
        }
    }

    /// Writes one item into the open chunk, if it still lives at `home`.
    fn carry(&mut self, carrying: &mut Carrying, item: Item, home: Home) {
        if self.is_put_off(carrying, item, home) {
            return;
        }
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
        let (kind, key) = match carrying.place {
            None => (0, 0),
            Some(Place::Time) => (1, 0),
            Some(Place::Lane(carrier, key)) => (2, u64::from(carrier.0) << 8 | key.class as u64),
        };
        if let Some(place) = carrying.place {
            carrying.cold.push((id, place));
            if let Place::Lane(carrier, key) = place {
                let ids = self.homes.items_of(id).iter().filter_map(Item::message).collect();
                let lane = self.lane(carrier, key);
                self.dispatchers[carrier.0 as usize].lanes.queue(lane).cut(id, ids);
            }
        }
        carrying.update.put.push(Chunk { id, kind, key, octets });
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
        self.save_dedupe(&mut carrying.update);
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
        carrying.update.blobs.push((COLD_BLOB.to_owned(), self.cold.to_octets()));
        self.keep_rules(&mut carrying.update);
        carrying.update.blobs.push((BALANCE_BLOB.to_owned(), self.balances_to_octets()));
        carrying.update.blobs.push((super::references::REFERENCES_BLOB.to_owned(), self.references.to_octets()));
        // The group of the first batch that stays is kept whole, with whatever older batches it has; replay passes over those (`upto`).
        carrying.update.absorbed = self.homes.batches.front().and_then(|b| b.position).map_or(0, |position| position - 1);
        if let Some(blob) = self.campaigns.fresh_blob() {
            carrying.update.blobs.push((super::campaigns::CAMPAIGNS_BLOB.to_owned(), blob));
        }
        // What the groups that go said of carriers' rates is said again.
        self.record_rates(true);
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
        let Some(carrying) = self.carrying.take() else { return };
        if carrying.crowded && carrying.cold.is_empty() {
            self.cold.rest_until_us = self.now.mono_us + super::cold::REST_US;
        }
        carrying.cold.into_iter().for_each(|(chunk, place)| self.cold.written(chunk, place));
    }
}

/// A message as events: what replaying them rebuilds is the message as it stands now.
fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    let id = entry.message.id;
    event::write_accepted(&entry.message, entry.charge, out);
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
    super::reroute::write_past(entry, out);
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
