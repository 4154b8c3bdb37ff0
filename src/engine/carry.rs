//! Keeps the journal short: what is still alive in its oldest groups is carried into the ledger, then the groups are dropped.
//!
//! Everything alive knows its *home*: the batch of the oldest event that is needed to rebuild it, or the ledger's chunk that holds all of it. A walk over the
//! oldest batches writes what still lives there into chunks, as ordinary events. Logical time is the batch number: every chunk tells the batch up to which
//! it is true, and replay skips for its items what came before. So a walk may take many steps while life goes on, and a chunk never spans two of them.
//! The update becomes valid in this order:
//! the batch in which the walk ended is durable; the ledger has the chunks, the dead lists and the counters in one transaction; only then groups are dropped.

use super::Engine;
use super::balance::BALANCE_BLOB;
use super::cold::Place;
use super::event::{self, Event};
pub use super::homes::{Home, Homes, Item, Name, names};
use super::lanes::LaneId;
use super::messages::{Entry, PartState, Phase};
use super::port::{CarrierId, Output};
use super::runs::{Staged, Target};
use crate::model::{MessageId, State};
use crate::store::{Chunk, LedgerUpdate};

/// Octets at which a chunk is closed.
const CHUNK_OCTETS: usize = 64 << 10;
/// The same for sent messages: of these one is wanted and the others come back with it.
const SENT_CHUNK_OCTETS: usize = 16 << 10;
/// Items looked at in one step, and when memory is crowded.
const ITEMS_PER_STEP: usize = 2_000;
const ITEMS_WHEN_CROWDED: usize = 8_000;
/// A walk takes at most this part of what memory may hold, but at least so many items: its update is in memory until the ledger has it.
const WALK_SHARE: usize = 4;
const WALK_LEAST: usize = 50_000;
/// The name of the ledger's blob with counters and clocks.
pub const STATE_BLOB: &str = "engine";

/// A walk over the oldest batches that is under way.
#[derive(Debug)]
pub struct Carrying {
    /// Batches before this one are walked.
    upto: u64,
    /// Items that are still to be looked at, with the home at which they must still be.
    queue: Vec<(Item, Home)>,
    pass: Pass,
    /// Items that it may still take from batches.
    left: usize,
    /// Memory is crowded: the ends of lanes go out too.
    pub(super) crowded: bool,
    /// It is for room in memory.
    for_room: bool,
    /// Messages due much later, to be written in the order of their times.
    far: Vec<(u64, MessageId, Home)>,
    /// Sent messages that have waited long, to be written in the order in which they were sent: since when, which, where.
    pub(super) sent: Vec<(u64, MessageId, Home)>,
    /// Messages in lanes: written after the ends of lanes.
    waiting: Vec<(Item, Home)>,
    /// What the messages of the open chunk wait for, if they may leave memory.
    place: Option<Place>,
    /// Chunks that may leave memory once the ledger has them.
    cold: Vec<(u64, Place)>,
    /// Chunks whose lists of the dead go to the ledger.
    dead: Vec<u64>,
    chunk: Vec<u8>,
    chunk_items: Vec<Item>,
    notes: Staged,
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
    /// Sent messages that have waited long.
    Sent,
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
            if crowded || self.is_journal_long() || self.are_old_many() || self.are_far_many() || self.cold.is_directory_old() {
                self.start_carrying(crowded);
            }
        }
        let Some(mut carrying) = self.carrying.take() else { return };
        if carrying.stage == Stage::Walking {
            for _ in 0..if carrying.crowded { ITEMS_WHEN_CROWDED } else { ITEMS_PER_STEP } {
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
        self.ledger_may_follow(self.homes.durable(), outputs);
    }

    fn is_journal_long(&self) -> bool {
        self.homes.journal_octets() > self.plan.bounds.journal_octets
    }

    fn start_carrying(&mut self, crowded: bool) {
        // For room in memory everything durable is walked; for old messages alone what holds them.
        let for_room = crowded || self.are_far_many();
        let is_long = self.is_journal_long();
        let bound = if for_room || !is_long { 0 } else { self.plan.bounds.journal_octets };
        let Some(mut upto) = self.homes.boundary(bound) else { return };
        if !for_room && !is_long {
            upto = upto.min(self.old_upto());
        }
        let first = self.homes.first_batch();
        if first.is_none_or(|first| first >= upto) {
            if !self.cold.old.has_names() && !self.cold.is_directory_old() {
                return;
            }
            // No batch is walked: what there is to do is in chunks.
            upto = first.unwrap_or(self.writing.batch);
        }
        self.carrying = Some(Carrying {
            upto,
            left: (self.plan.bounds.max_in_memory / WALK_SHARE).max(WALK_LEAST),
            queue: Vec::new(),
            pass: Pass::Batches,
            crowded,
            for_room,
            far: Vec::new(),
            sent: Vec::new(),
            waiting: Vec::new(),
            place: None,
            cold: Vec::new(),
            dead: Vec::new(),
            chunk: Vec::new(),
            chunk_items: Vec::new(),
            notes: Staged::default(),
            update: LedgerUpdate::default(),
            stage: Stage::Walking,
        });
    }

    /// The next items of the walk; false when it is over. An empty queue means: go on.
    fn queue_more(&mut self, carrying: &mut Carrying) -> bool {
        match carrying.pass {
            Pass::Batches => {
                let Some(first) = self.homes.first_batch().filter(|&first| first < carrying.upto) else {
                    carrying.pass = Pass::Chunks;
                    return true;
                };
                if carrying.left == 0 {
                    carrying.upto = first;
                    return true;
                }
                let items = self.homes.take_first_batch();
                carrying.left = carrying.left.saturating_sub(items.len());
                carrying.queue.extend(items.into_iter().map(|item| (item, Home::Batch(first))));
            }
            Pass::Chunks => {
                self.homes.take_sparse(&mut carrying.queue);
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
                (carrying.pass, carrying.place) = (Pass::Sent, None);
            }
            Pass::Sent if carrying.place.is_none() => {
                self.close_chunk(carrying);
                carrying.place = Some(Place::Sent);
                self.queue_old(carrying);
                carrying.queue = std::mem::take(&mut carrying.sent).into_iter().map(|(_, id, home)| (Item::Message(id), home)).collect();
            }
            Pass::Sent => {
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
        if let Some(lane) = after {
            self.dispatchers[carrier].lanes.close_cut(lane);
        }
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
            (Pass::Batches | Pass::Chunks, Some(Place::Sent)) if self.is_old(entry, carrying.crowded) => {
                carrying.sent.push((entry.sent_ms, id, home));
                true
            }
            (Pass::Far | Pass::Sent, place) if carrying.place.is_some() && place != carrying.place => {
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
        let id = self.homes.next_chunk();
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
        let most = if carrying.place == Some(Place::Sent) { SENT_CHUNK_OCTETS } else { CHUNK_OCTETS };
        if carrying.chunk.len() >= most {
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
        let mut octets = std::mem::take(&mut carrying.chunk);
        event::seal(&mut octets);
        let id = self.homes.written(std::mem::take(&mut carrying.chunk_items), carrying.place.is_some());
        let (kind, key) = match carrying.place {
            None => (0, 0),
            Some(Place::Time) => (1, 0),
            Some(Place::Lane(carrier, key)) => (2, u64::from(carrier.0) << 8 | key.class as u64),
            Some(Place::Sent) => (3, 0),
        };
        if let Some(place) = carrying.place {
            carrying.cold.push((id, place));
            self.note_chunk(carrying, id);
            if let Place::Lane(carrier, key) = place {
                let ids = self.homes.items_of(id).iter().filter_map(Item::message).collect();
                let lane = self.lane(carrier, key);
                self.dispatchers[carrier.0 as usize].lanes.queue(lane).cut(id, ids);
            }
        }
        carrying.update.put.push(Chunk { id, kind, key, octets });
    }

    /// Notes of where the messages of a chunk are that may leave memory.
    fn note_chunk(&mut self, carrying: &mut Carrying, chunk: u64) {
        let Engine { homes, messages, runs, plan, .. } = self;
        let Carrying { notes, update, .. } = carrying;
        let mut note = |target| {
            let lives = |chunk| homes.is_any_noted(chunk, chunk);
            runs.note(notes, target, chunk, plan.bounds.notes_per_run, lives, update);
        };
        for id in homes.items_of(chunk).iter().filter_map(Item::message) {
            note(Target::Message(id));
            if let Some(entry) = messages.get(&id) {
                let keys = (0..entry.parts.len()).map(|part| entry.key_of(part));
                keys.filter(|&key| key != 0).for_each(|key| note(Target::Part(key)));
            }
        }
    }

    /// Everything is in chunks. Counters and dead lists of this moment go along.
    fn end_walk(&mut self, carrying: &mut Carrying) {
        self.close_chunk(carrying);
        self.save_dedupe(&mut carrying.update);
        self.homes.write_changes(&mut carrying.update);
        let mut blob = self.writing.batch.to_le_bytes().to_vec();
        blob.extend_from_slice(&self.ids.last().to_le_bytes());
        blob.extend_from_slice(&carrying.upto.to_le_bytes());
        blob.extend_from_slice(&self.counts.to_octets());
        carrying.update.blobs.push((STATE_BLOB.to_owned(), blob));
        self.cold.write_directory(&mut carrying.update);
        let homes = &self.homes;
        self.runs.write(&carrying.notes, |first, last| homes.is_any_noted(first, last), &mut carrying.update);
        carrying.dead = carrying.update.dead.iter().map(|(id, _)| *id).collect();
        self.keep_rules(&mut carrying.update);
        carrying.update.blobs.push((BALANCE_BLOB.to_owned(), self.balances_to_octets()));
        carrying.update.blobs.push((super::references::REFERENCES_BLOB.to_owned(), self.references.to_octets()));
        carrying.update.blobs.push((super::overlay::OVERLAY_BLOB.to_owned(), self.overlay.to_octets()));
        // The group of the first batch that stays is kept whole, with whatever older batches it has; replay passes over those (`upto`).
        carrying.update.absorbed = self.homes.first_position().map_or(0, |position| position - 1);
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
        if carrying.for_room && carrying.cold.is_empty() {
            self.cold.rest_until_us = self.now.mono_us + super::cold::REST_US;
        }
        self.runs.install(carrying.notes);
        for id in carrying.dead {
            if self.is_cold(id) {
                self.homes.forget_dead(id);
            }
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
        let Entry { reports, reported_final, told_taken, .. } = *entry;
        event::write(&Event::Settled { message: id, carrier, state, reports, reported_final, told_taken }, out);
    }
}
