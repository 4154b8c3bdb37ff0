//! What is alive and not in memory: messages due much later, the ends of long lanes, and messages that were sent and have waited long for their receipts.
//! They stand in chunks of the ledger, written by the walk of [`super::carry`]; memory keeps a few words per chunk, and the chunk is read back when its
//! messages may be needed: in time, for their turn, or because something that means one of them has come ([`super::seek`], [`super::search`]).
//!
//! A chunk leaves memory whole or not at all: only while every message of it that still lives is in the chunk alone and is as the chunk's events tell: fresh
//! (never tried), or sent. Leaving and coming back are events of the journal: replay knows at each of its steps which chunks are in memory. A walk's
//! chunks leave only once the ledger has them, and none leaves of which the walk that is under way may have taken a message: until its update is in the ledger,
//! replay would not know that the message has moved.

use super::Engine;
use super::carry::{Home, Item, Name};
use super::cold_chunk::ColdChunk;
use super::event::{self, Event, EventError};
use super::lanes::LaneKey;
use super::messages::{Entry, Phase};
use super::old::Old;
use super::port::{CarrierId, DiskState, Output};
use super::runs::{u32_of, u64_of};
use super::search::Search;
use crate::model::{AccountId, CampaignId, Class, Message, MessageId, State};
use crate::store::{LedgerUpdate, Page};
use hashbrown::HashSet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Chunks that are being read at once.
const READS_MAX: usize = 16;
/// Pause after a walk of crowded memory in which nothing could leave.
pub(super) const REST_US: u64 = 10_000_000;
/// Chunks that wait to be read because their time has come; the next ones are asked for when these are back.
const TIMELY_MAX: usize = 64;
/// Messages that leave memory in one step, and when it is crowded.
const COOLED_PER_STEP: usize = 2_000;
const COOLED_WHEN_CROWDED: usize = 5_000;
/// Memory is overfull at the bound, this part of it, and this many: what may come while a walk makes room.
const OVERFULL_SHARE: usize = 8;
const OVERFULL_LEAST: usize = 1_000;
/// Chunks that come back before the directory is written anew: replay must read each of them again.
const WARMED_MAX: usize = 5_000;
/// How long a chunk of sent messages stays after one of them was needed: more receipts may come for it.
const LINGER_US: u64 = 500_000;
/// How many such chunks stay.
const LINGERING_MAX: usize = 64;
/// Pages of the ledger: the directory of chunks that are out of memory, by their ids.
pub const DIRECTORY: u8 = 1;

/// What the messages of a chunk wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Their time.
    Time,
    /// Their turn in a lane.
    Lane(CarrierId, LaneKey),
    /// Receipts.
    Sent,
}

impl Place {
    /// As octets, for events and the ledger.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Place::Time => out.push(0),
            Place::Sent => out.push(2),
            Place::Lane(carrier, key) => {
                out.extend_from_slice(&[1, key.class as u8]);
                out.extend_from_slice(&carrier.0.to_le_bytes());
                out.extend_from_slice(&key.account.0.to_le_bytes());
                out.extend_from_slice(&key.campaign.0.to_le_bytes());
                out.extend_from_slice(&key.zone.to_le_bytes());
                out.extend_from_slice(&key.split.to_le_bytes());
            }
        }
    }

    /// From its octets, which it takes off the front.
    pub fn read(octets: &mut &[u8]) -> Option<Place> {
        match u8_of(octets)? {
            0 => Some(Place::Time),
            1 => {
                let class = Class::from_u8(u8_of(octets)?)?;
                let carrier = CarrierId(u16::from_le_bytes([u8_of(octets)?, u8_of(octets)?]));
                let (account, campaign) = (AccountId(u32_of(octets)?), CampaignId(u32_of(octets)?));
                let (zone, split) = (u32_of(octets)?, u64_of(octets)?);
                Some(Place::Lane(carrier, LaneKey { class, account, campaign, zone, split }))
            }
            2 => Some(Place::Sent),
            _ => None,
        }
    }
}

fn u8_of(octets: &mut &[u8]) -> Option<u8> {
    let (head, rest) = octets.split_first()?;
    *octets = rest;
    Some(*head)
}

/// All that is out of memory.
#[derive(Debug, Default)]
pub struct Cold {
    chunks: BTreeMap<u64, ColdChunk>,
    /// Messages in them: waiting ones and sent ones.
    totals: [u64; 2],
    /// Chunks that left memory or came back since the directory was last written.
    changed: BTreeSet<u64>,
    /// When a chunk is needed at the latest, wall milliseconds.
    times: BTreeSet<(u64, u64)>,
    /// Chunks to be read, in this order; the first `reading` of them are asked for already.
    wanted: VecDeque<u64>,
    reading: usize,
    /// Chunks that are in the ledger and may leave memory.
    leaving: VecDeque<(u64, Place)>,
    /// Chunks that came back since the directory was last written.
    warmed: usize,
    /// Chunks of sent messages that came back and may leave again at this instant, mono_us; with their messages, which no sweep looks at meanwhile.
    lingering: VecDeque<(u64, u64, Vec<MessageId>)>,
    /// Sent messages that have waited long, as the last whole sweep saw them, and as the present one sees them.
    pub(super) old: Old,
    pub(super) getting_old: Old,
    pub(super) searches: VecDeque<Search>,
    /// Messages in memory that are due later than [`super::plan::Bounds::cold_after_ms`], as the last whole sweep counted them and were put off since: what a
    /// walk would take out of memory.
    pub(super) far: usize,
    /// A walk of crowded memory found nothing that may leave it: no other one before this instant, mono_us.
    pub(super) rest_until_us: u64,
    /// Recovery puts messages back into lanes, each in its place among the lane's chunks.
    pub(super) by_age: bool,
}

impl Cold {
    /// Messages out of memory.
    pub fn total(&self) -> u64 {
        self.totals[0] + self.totals[1]
    }

    /// Those that wait, and those that are sent.
    pub fn totals(&self) -> [u64; 2] {
        self.totals
    }

    /// Chunks out of memory.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Messages of a chunk that is out of memory; 0 for any other.
    pub(super) fn count_of(&self, chunk: u64) -> u64 {
        self.chunks.get(&chunk).map_or(0, ColdChunk::count)
    }

    /// There are chunks that can leave memory at once.
    pub(super) fn is_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// This chunk is in the ledger now.
    pub(super) fn written(&mut self, chunk: u64, place: Place) {
        self.leaving.push_back((chunk, place));
    }

    /// The directory as it stands now, for the ledger: what changed since it was last written.
    pub(super) fn write_directory(&mut self, update: &mut LedgerUpdate) {
        self.warmed = 0;
        for id in std::mem::take(&mut self.changed) {
            match self.chunks.get(&id) {
                Some(chunk) => update.pages.push(Page { kind: DIRECTORY, id, octets: chunk.to_octets() }),
                None => update.drop_pages.push((DIRECTORY, id..=id)),
            }
        }
    }

    /// So many chunks came back that the directory should be written, or the next start takes long.
    pub(super) fn is_directory_old(&self) -> bool {
        self.warmed > WARMED_MAX
    }

    /// Chunk `id` has come back and may soon leave again as it is.
    pub(super) fn is_lingering(&self, id: u64) -> bool {
        self.lingering.iter().any(|&(_, chunk, _)| chunk == id)
    }

    /// The oldest message of a chunk of a lane, and the earliest time, wall milliseconds, at which one of them is due.
    pub(super) fn head_of(&self, chunk: u64) -> Option<(MessageId, u64)> {
        self.chunks.get(&chunk).map(|c| (c.first, c.times_ms[0]))
    }

    /// The id of the oldest message in `chunk`.
    pub(super) fn first_of(&self, chunk: u64) -> Option<MessageId> {
        self.chunks.get(&chunk).map(|c| c.first)
    }

    fn insert(&mut self, id: u64, chunk: ColdChunk, lead_ms: u64) {
        self.totals[usize::from(chunk.place == Place::Sent)] += chunk.count();
        self.times.insert((chunk.time_ms(lead_ms), id));
        self.chunks.insert(id, chunk);
    }

    fn remove(&mut self, id: u64, lead_ms: u64) -> Option<ColdChunk> {
        let chunk = self.chunks.remove(&id)?;
        self.totals[usize::from(chunk.place == Place::Sent)] -= chunk.count();
        self.times.remove(&(chunk.time_ms(lead_ms), id));
        self.changed.insert(id);
        Some(chunk)
    }

    /// `chunk` is to be read back.
    pub(super) fn ask(&mut self, id: u64) {
        if let Some(chunk) = self.chunks.get_mut(&id)
            && !std::mem::replace(&mut chunk.asked, true)
        {
            self.wanted.push_back(id);
        }
    }
}

impl Engine {
    fn lead_ms(&self) -> u64 {
        self.plan.bounds.cold_after_ms / 2
    }

    /// Due so much later that it needn't be in memory.
    pub(super) fn is_far(&self, message: &Message) -> bool {
        message.due_ms > self.now.wall_ms + self.plan.bounds.cold_after_ms
    }

    /// How much of each lane stays in memory: all of them together half of what memory may hold.
    pub(super) fn lane_keep(&self) -> usize {
        let lanes: usize = self.dispatchers.iter().map(|d| d.lanes.count()).sum();
        (self.plan.bounds.max_in_memory / (2 * lanes.max(4))).max(1)
    }

    /// Memory holds more than it should, and a walk would help.
    pub(super) fn is_crowded(&self) -> bool {
        if self.messages.len() <= self.plan.bounds.max_in_memory || self.now.mono_us < self.cold.rest_until_us {
            return false;
        }
        let keep = self.lane_keep();
        let lanes = self.dispatchers.iter().map(|d| d.lanes.excess(keep));
        self.cold.far + self.cold.old.seen + lanes.sum::<usize>() > keep
    }

    /// Memory is so crowded that nothing new is taken until a walk has made room.
    pub(super) fn is_overfull(&self) -> bool {
        let bound = self.plan.bounds.max_in_memory;
        let most = bound + bound / OVERFULL_SHARE + OVERFULL_LEAST;
        self.messages.len() > most && (self.carrying.is_some() || self.cold.is_leaving() || self.is_crowded())
    }

    /// What a message waits for outside of memory, if a chunk's events can tell all of it; `None`: it must stay.
    pub(super) fn cold_place(&self, entry: &Entry) -> Option<Place> {
        match entry.phase {
            // What another carrier may still report on is remembered in memory only.
            Phase::Sent(_) if entry.past.is_some() || !entry.body_cut => None,
            Phase::Sent(_) => Some(Place::Sent),
            _ if !entry.is_fresh() => None,
            Phase::Deferred if self.is_far(&entry.message) => Some(Place::Time),
            Phase::Waiting(carrier) => Some(Place::Lane(carrier, self.lane_of(&entry.message, carrier))),
            _ => None,
        }
    }

    /// Some chunks leave memory: those of the last walk, and those that came back only for some of their messages.
    pub(super) fn cool_some(&mut self) {
        let most = if self.messages.len() > self.plan.bounds.max_in_memory { COOLED_WHEN_CROWDED } else { COOLED_PER_STEP };
        let before = self.cold.total();
        while self.carrying.is_none()
            && self.cold.total() < before + most as u64
            && let Some((chunk, place)) = self.cold.leaving.pop_front()
        {
            self.cool(chunk, place);
        }
        while let Some((at_us, ..)) = self.cold.lingering.front()
            && (*at_us <= self.now.mono_us || self.cold.lingering.len() > LINGERING_MAX)
        {
            let Some((_, chunk, ids)) = self.cold.lingering.pop_front() else { return };
            // One with few alive is written anew by a walk, with others of its kind. From all others no walk takes anything while they linger.
            if !self.homes.is_sparse(chunk) {
                self.cool(chunk, Place::Sent);
            }
            self.sweeping.extend(ids.into_iter().filter(|id| self.messages.contains_key(id)));
        }
    }

    fn cool(&mut self, chunk: u64, place: Place) {
        if self.may_cool(chunk, place) {
            self.record(&Event::Cooled { chunk, place });
            self.apply_cooled(chunk, place);
        }
    }

    fn may_cool(&mut self, chunk: u64, place: Place) -> bool {
        // What has come to the head of its lane stays: what stands behind it there would pass it.
        if let Place::Lane(carrier, key) = place {
            let lanes = &mut self.dispatchers[carrier.0 as usize].lanes;
            let Some(lane) = lanes.find(&key) else { return false };
            if !lanes.queue(lane).has_place(chunk) {
                return false;
            }
        }
        let mut live = 0;
        let all = self.homes.items_of(chunk).iter().all(|item| {
            let Item::Message(id) = item else { return false };
            let Some(entry) = self.messages.get(id) else { return true };
            let there = entry.home == Home::Chunk(chunk);
            live += u32::from(there);
            (there && self.cold_place(entry) == Some(place)) || (!there && entry.base != chunk)
        });
        all && live > 0 && live == self.homes.live_of(chunk)
    }

    /// What a COOLED event means. Live and in replay.
    pub(super) fn apply_cooled(&mut self, chunk: u64, place: Place) {
        let mut cold = ColdChunk::new(place, self.homes.written_of(chunk));
        for item in self.homes.chill(chunk) {
            let Item::Message(id) = item else { continue };
            if self.messages.get(&id).is_none_or(|entry| entry.home != Home::Chunk(chunk)) {
                continue;
            }
            if let Some(entry) = self.messages.remove(&id) {
                self.body_octets -= entry.message.body.octets.len();
                self.count_waiting(entry.phase, entry.message.class, -1);
                let until_ms = self.leave_index(&entry);
                cold.add(&entry, until_ms);
            }
        }
        let count = cold.count() as usize;
        match place {
            Place::Time => self.cold.far = self.cold.far.saturating_sub(count),
            Place::Sent => self.cold.old.seen = self.cold.old.seen.saturating_sub(count),
            Place::Lane(..) => {}
        }
        self.cold.changed.insert(chunk);
        self.put_cold(chunk, cold);
    }

    fn put_cold(&mut self, id: u64, cold: ColdChunk) {
        if let Place::Lane(carrier, key) = cold.place
            && self.dispatchers.len() > carrier.0 as usize
        {
            let lane = self.lane(carrier, key);
            self.dispatchers[carrier.0 as usize].lanes.queue(lane).cooled(id);
        }
        let lead_ms = self.lead_ms();
        self.cold.insert(id, cold, lead_ms);
    }

    /// Recovery: a chunk that was out of memory when the ledger was last written. Its messages are counted from here on. False if `octets` are none.
    pub(super) fn register_cold(&mut self, id: u64, octets: &[u8]) -> bool {
        let Some(chunk) = ColdChunk::read(octets) else { return false };
        let state = if chunk.place == Place::Sent { State::SentWaiting } else { State::Waiting };
        for &(account, count) in &chunk.accounts {
            if let Some(account) = self.accounts.get_mut(account.0 as usize) {
                account.waiting += if state == State::Waiting { u64::from(count) } else { 0 };
                account.figures.accepted += u64::from(count);
                account.figures.states[state as usize] += u64::from(count);
            }
        }
        self.homes.registered(id, chunk.count() as u32, chunk.written);
        self.put_cold(id, chunk);
        true
    }

    /// The messages of a chunk come back into the table: as just accepted, or as sent. Live and in replay.
    pub(super) fn apply_warmed(&mut self, id: u64, octets: &[u8], dead: &[u8]) -> Result<Vec<MessageId>, EventError> {
        let lead_ms = self.lead_ms();
        let Some(cold) = self.cold.remove(id, lead_ms) else { return Ok(Vec::new()) };
        self.cold.warmed += 1;
        let dead = self.homes.dead_of(id, dead);
        let names: HashSet<Name> = dead.iter().copied().collect();
        let mut ids = Vec::new();
        event::read_group(octets, &mut |_, event| match event {
            Event::Accepted(message) if names.contains(&Name::message(message.id)) || self.messages.contains_key(&message.id) => {}
            Event::Accepted(message) => {
                ids.push(message.id);
                self.take_back(Arc::from(message), Home::Chunk(id));
            }
            // What follows an acceptance tells of the same message.
            event if ids.last().copied() == event.message() => self.thaw(&event),
            _ => {}
        })?;
        debug_assert_eq!(ids.len() as u64, cold.count(), "what left memory is what comes back");
        let items = ids.iter().map(|&message| Item::Message(message)).collect();
        // Sent ones are looked at when they come back, and most are gone again before the next sweep.
        if cold.place != Place::Sent || self.replaying {
            self.sweeping.extend(&ids);
        }
        self.homes.loaded(id, items, dead, true);
        if self.replaying
            && let Place::Lane(carrier, key) = cold.place
            && let Some(dispatcher) = self.dispatchers.get_mut(carrier.0 as usize)
            && let Some(lane) = dispatcher.lanes.find(&key)
        {
            dispatcher.lanes.queue(lane).forget(id);
        }
        Ok(ids)
    }

    /// A chunk was read: it was wanted, or something is looked for in it.
    pub(super) fn chunk_read(&mut self, id: u64, found: Option<(Vec<u8>, Vec<u8>)>, outputs: &mut Vec<Output>) {
        let mut wanted = false;
        if let Some(at) = self.cold.wanted.iter().take(self.cold.reading).position(|&wanted| wanted == id) {
            self.cold.wanted.remove(at);
            self.cold.reading -= 1;
            wanted = true;
        }
        if found.is_none() && self.is_cold(id) {
            self.disk = DiskState::Failed;
        }
        let seeking = self.seeks_in(id, found.as_ref());
        let mut sent = Vec::new();
        let cancelled = self.is_cancelled_in(id, found.as_ref());
        if cancelled || wanted || self.is_sought(id, found.as_ref()) || seeking.iter().any(|(_, hit)| hit.is_some()) {
            sent = self.warm(id, found);
        }
        self.searched(id, outputs);
        self.sought_in_chunk(seeking, outputs);
        // Whose receipt is no longer expected ends at once, so that many chunks of them never fill memory.
        sent.into_iter().for_each(|id| self.sweep_one(id));
    }

    /// A chunk comes back. Its messages, if they are sent ones.
    fn warm(&mut self, id: u64, found: Option<(Vec<u8>, Vec<u8>)>) -> Vec<MessageId> {
        let Some(place) = self.cold.chunks.get(&id).map(|c| c.place) else { return Vec::new() };
        let warmed = found.and_then(|(octets, dead)| {
            event::read_group(&octets, &mut |_, _| {}).ok()?;
            self.record(&Event::Warmed { chunk: id });
            self.apply_warmed(id, &octets, &dead).ok()
        });
        match warmed {
            Some(ids) if place == Place::Sent => {
                self.cold.lingering.push_back((self.now.mono_us + LINGER_US, id, ids.clone()));
                return ids;
            }
            Some(ids) => self.set_off_again(id, place, ids),
            // Accepted messages are in it: nothing more is promised by a gateway whose ledger has lost some.
            None => self.disk = DiskState::Failed,
        }
        Vec::new()
    }

    fn set_off_again(&mut self, chunk: u64, place: Place, ids: Vec<MessageId>) {
        match place {
            Place::Time | Place::Sent => self.not_cancelled(ids).into_iter().for_each(|id| self.set_off(id)),
            Place::Lane(carrier, key) => {
                for id in &ids {
                    self.set_phase(*id, Phase::Waiting(carrier));
                }
                let ids = self.not_cancelled(ids);
                let lane = self.lane(carrier, key);
                self.dispatchers[carrier.0 as usize].lanes.warmed(lane, chunk, ids.into());
                if !self.dispatchers[carrier.0 as usize].is_usable() {
                    self.failover(carrier);
                }
            }
        }
    }

    /// Lanes whose heads run low ask for their next chunk.
    pub(super) fn refill(&mut self) {
        if self.cold.chunks.is_empty() || self.overlay.held() > self.plan.bounds.max_in_memory {
            return;
        }
        let low = self.lane_keep() / 2 + 1;
        for dispatcher in self.dispatchers.iter().filter(|d| d.is_usable()) {
            dispatcher.lanes.wanted(low).for_each(|chunk| self.cold.ask(chunk));
        }
    }

    /// The next chunk of every lane of a carrier that can't send, for carriers that can.
    pub(super) fn refill_for_others(&mut self, carrier: CarrierId) {
        self.dispatchers[carrier.0 as usize].lanes.wanted(1).for_each(|chunk| self.cold.ask(chunk));
    }

    /// Chunks whose time has come, a few at a time, and none while memory has no room for what they hold.
    pub(super) fn sweep_cold(&mut self) {
        while let Some(&(at_ms, chunk)) = self.cold.times.first()
            && at_ms <= self.now.wall_ms
            && self.cold.wanted.len() < TIMELY_MAX
            && (self.messages.len() <= self.plan.bounds.max_in_memory * 3 / 2 || !self.is_crowded())
        {
            self.cold.times.pop_first();
            self.cold.ask(chunk);
        }
    }

    /// Asks the ledger for chunks, a few at a time.
    pub(super) fn read_some(&mut self, outputs: &mut Vec<Output>) {
        self.sweep_cold();
        while self.cold.reading < READS_MAX
            && let Some(&id) = self.cold.wanted.get(self.cold.reading)
        {
            self.cold.reading += 1;
            outputs.push(Output::ReadChunk(id));
        }
        self.read_for_searches(outputs);
        self.read_for_seeks(outputs);
        self.read_for_cancels(outputs);
    }

    /// Chunks written after `after` with waiting messages of this account.
    pub(super) fn may_hold(&self, account: AccountId, after: u64) -> VecDeque<u64> {
        let holds = |c: &ColdChunk| c.place != Place::Sent && c.accounts.iter().any(|&(a, count)| a == account && count > 0);
        self.cold.chunks.range(after + 1..).filter(|(_, c)| holds(c)).map(|(&id, _)| id).collect()
    }

    /// Chunks that may hold what is meant among the messages accepted up to `upto`.
    pub(super) fn cold_chunks_of(&self, meant: &super::scope::Matcher, upto: MessageId) -> VecDeque<u64> {
        let holds = |c: &ColdChunk| {
            let there =
                c.place != Place::Sent && meant.carrier.is_none_or(|carrier| matches!(c.place, Place::Lane(of, _) if of == carrier));
            let owned = meant.account.is_none_or(|of| c.accounts.iter().any(|&(account, count)| account == of && count > 0));
            c.first <= upto && there && owned && meant.message.is_none_or(|id| c.first <= id)
        };
        self.cold.chunks.iter().filter(|(_, c)| holds(c)).map(|(&id, _)| id).collect()
    }

    /// Its messages are out of memory.
    pub(super) fn is_cold(&self, chunk: u64) -> bool {
        self.cold.chunks.contains_key(&chunk)
    }
}
