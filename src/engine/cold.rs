//! What is alive and not in memory: messages due much later, and the ends of long lanes. They stand in chunks of the ledger, written by the walk of
//! [`super::carry`]; memory keeps a few words per chunk, and the chunk is read back when its messages may be needed.
//!
//! A chunk leaves memory whole or not at all: only while every message of it that still lives is in the chunk alone and fresh (never tried), so that
//! what is read back is what was there. Leaving and coming back are events of the journal: replay knows at each of its steps which chunks are in memory.

use super::Engine;
use super::carry::{Home, Item, Name};
use super::event::{self, Event, EventError};
use super::lanes::LaneKey;
use super::messages::{Entry, Phase};
use super::port::{CarrierId, DiskState, Output};
use super::search::Search;
use crate::model::{AccountId, CampaignId, Class, Message, MessageId};
use hashbrown::HashSet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Chunks that are being read at once.
const READS_MAX: usize = 16;
/// Pause after a walk of crowded memory in which nothing could leave.
pub(super) const REST_US: u64 = 10_000_000;
/// Chunks that leave memory in one step.
const COOLED_PER_STEP: usize = 4;
/// The name of the ledger's blob with the chunks that are out of memory.
pub const COLD_BLOB: &str = "cold";

/// What the messages of a chunk wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Their time.
    Time,
    /// Their turn in a lane.
    Lane(CarrierId, LaneKey),
}

impl Place {
    /// As octets, for events and the ledger.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Place::Time => out.push(0),
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
            _ => None,
        }
    }
}

/// A chunk whose messages are out of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ColdChunk {
    place: Place,
    /// The earliest due time and the earliest end of validity, wall milliseconds.
    due_ms: u64,
    expires_ms: u64,
    /// The range of its ids.
    first: MessageId,
    last: MessageId,
    /// How many of whom.
    accounts: Vec<(AccountId, u32)>,
    /// It is to be read, or is being read.
    asked: bool,
}

impl ColdChunk {
    fn new(place: Place) -> ColdChunk {
        let (none, all) = (MessageId(u64::MAX), MessageId(0));
        ColdChunk { place, due_ms: u64::MAX, expires_ms: u64::MAX, first: none, last: all, accounts: Vec::new(), asked: false }
    }

    fn add(&mut self, message: &Message) {
        self.due_ms = self.due_ms.min(message.due_ms);
        self.expires_ms = self.expires_ms.min(message.expires_ms);
        self.first = self.first.min(message.id);
        self.last = self.last.max(message.id);
        match self.accounts.iter_mut().find(|(account, _)| *account == message.account) {
            Some((_, count)) => *count += 1,
            None => self.accounts.push((message.account, 1)),
        }
    }

    fn count(&self) -> u64 {
        self.accounts.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    fn write(&self, id: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_le_bytes());
        self.place.write(out);
        for number in [self.due_ms, self.expires_ms, self.first.0, self.last.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&(self.accounts.len() as u32).to_le_bytes());
        for (account, count) in &self.accounts {
            out.extend_from_slice(&account.0.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
        }
    }

    fn read(octets: &mut &[u8]) -> Option<(u64, ColdChunk)> {
        let id = u64_of(octets)?;
        let place = Place::read(octets)?;
        let (due_ms, expires_ms) = (u64_of(octets)?, u64_of(octets)?);
        let (first, last) = (MessageId(u64_of(octets)?), MessageId(u64_of(octets)?));
        let mut accounts = Vec::new();
        for _ in 0..u32_of(octets)? {
            accounts.push((AccountId(u32_of(octets)?), u32_of(octets)?));
        }
        Some((id, ColdChunk { place, due_ms, expires_ms, first, last, accounts, asked: false }))
    }
}

fn u64_of(octets: &mut &[u8]) -> Option<u64> {
    let (head, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(u64::from_le_bytes(*head))
}

fn u8_of(octets: &mut &[u8]) -> Option<u8> {
    let (head, rest) = octets.split_first()?;
    *octets = rest;
    Some(*head)
}

fn u32_of(octets: &mut &[u8]) -> Option<u32> {
    let (head, rest) = octets.split_first_chunk()?;
    *octets = rest;
    Some(u32::from_le_bytes(*head))
}

/// All that is out of memory.
#[derive(Debug, Default)]
pub struct Cold {
    chunks: BTreeMap<u64, ColdChunk>,
    /// Messages in them.
    total: u64,
    /// When a chunk is needed at the latest, wall milliseconds.
    times: BTreeSet<(u64, u64)>,
    /// Chunks to be read, in this order; the first `reading` of them are asked for already.
    wanted: VecDeque<u64>,
    reading: usize,
    /// Chunks that are in the ledger and may leave memory.
    leaving: VecDeque<(u64, Place)>,
    pub(super) searches: VecDeque<Search>,
    /// Messages that were put off beyond [`super::plan::Bounds::cold_after_ms`] since the last walk: what a walk would take out of memory.
    pub(super) far: usize,
    /// A walk of crowded memory found nothing that may leave it: no other one before this instant, mono_us.
    pub(super) rest_until_us: u64,
    /// Recovery puts messages back into lanes: older ones than the first chunk go before it.
    pub(super) by_age: bool,
}

impl Cold {
    /// Messages out of memory.
    pub fn total(&self) -> u64 {
        self.total
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

    /// All chunks, for the ledger.
    pub(super) fn to_octets(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.chunks.iter().for_each(|(&id, chunk)| chunk.write(id, &mut out));
        out
    }

    /// The id of the oldest message in `chunk`.
    pub(super) fn first_of(&self, chunk: u64) -> Option<MessageId> {
        self.chunks.get(&chunk).map(|c| c.first)
    }

    fn insert(&mut self, id: u64, chunk: ColdChunk, lead_ms: u64) {
        self.total += chunk.count();
        self.times.insert((chunk_time(&chunk, lead_ms), id));
        self.chunks.insert(id, chunk);
    }

    fn remove(&mut self, id: u64, lead_ms: u64) -> Option<ColdChunk> {
        let chunk = self.chunks.remove(&id)?;
        self.total -= chunk.count();
        self.times.remove(&(chunk_time(&chunk, lead_ms), id));
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

/// When a chunk must be back: some time before the first message is due, or when the first ends.
fn chunk_time(chunk: &ColdChunk, lead_ms: u64) -> u64 {
    match chunk.place {
        Place::Time => chunk.expires_ms.min(chunk.due_ms.saturating_sub(lead_ms)),
        Place::Lane(..) => chunk.expires_ms,
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
        self.cold.far + lanes.sum::<usize>() > keep
    }

    /// What `id`, of which nothing but its acceptance is worth remembering, waits for outside of memory; `None`: it must stay.
    pub(super) fn cold_place(&self, entry: &Entry) -> Option<Place> {
        match entry.phase {
            _ if !entry.is_fresh() => None,
            Phase::Deferred if self.is_far(&entry.message) => Some(Place::Time),
            Phase::Waiting(carrier) => Some(Place::Lane(carrier, self.lane_of(&entry.message, carrier))),
            _ => None,
        }
    }

    /// Some chunks of the last walk leave memory.
    pub(super) fn cool_some(&mut self) {
        for _ in 0..COOLED_PER_STEP {
            let Some((chunk, place)) = self.cold.leaving.pop_front() else { return };
            if self.may_cool(chunk, place) {
                self.record(&Event::Cooled { chunk, place });
                self.apply_cooled(chunk, place);
            }
        }
    }

    fn may_cool(&self, chunk: u64, place: Place) -> bool {
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
        let mut cold = ColdChunk::new(place);
        for item in self.homes.chill(chunk) {
            let Item::Message(id) = item else { continue };
            if self.messages.get(&id).is_none_or(|entry| entry.home != Home::Chunk(chunk)) {
                continue;
            }
            if let Some(entry) = self.messages.remove(&id) {
                self.body_octets -= entry.message.body.octets.len();
                cold.add(&entry.message);
            }
        }
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

    /// Recovery: the chunks that were out of memory when the ledger was last written. Their messages are counted as waiting from here on.
    pub(super) fn register_cold(&mut self, mut octets: &[u8]) -> HashSet<u64> {
        let mut ids = HashSet::new();
        while let Some((id, chunk)) = ColdChunk::read(&mut octets) {
            for &(account, count) in &chunk.accounts {
                if let Some(account) = self.accounts.get_mut(account.0 as usize) {
                    account.waiting += u64::from(count);
                    account.figures.accepted += u64::from(count);
                    account.figures.states[crate::model::State::Waiting as usize] += u64::from(count);
                }
            }
            self.homes.registered(id, chunk.count() as u32);
            self.put_cold(id, chunk);
            ids.insert(id);
        }
        ids
    }

    /// The messages of a chunk come back into the table, as just accepted. Live and in replay.
    pub(super) fn apply_warmed(&mut self, id: u64, octets: &[u8], dead: &[u8]) -> Result<Vec<MessageId>, EventError> {
        let lead_ms = self.lead_ms();
        let Some(cold) = self.cold.remove(id, lead_ms) else { return Ok(Vec::new()) };
        let dead = self.homes.dead_of(id, dead);
        let names: HashSet<Name> = dead.iter().copied().collect();
        let mut ids = Vec::new();
        event::read_group(octets, &mut |_, event| {
            if let Event::Accepted(message) = event
                && !names.contains(&Name::message(message.id))
                && !self.messages.contains_key(&message.id)
            {
                ids.push(message.id);
                self.take_back(Arc::from(message), Home::Chunk(id));
            }
        })?;
        debug_assert_eq!(ids.len() as u64, cold.count(), "what left memory is what comes back");
        let items = ids.iter().map(|&message| Item::Message(message)).collect();
        self.homes.loaded(id, items, dead);
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
        if wanted || self.is_sought(id, found.as_ref()) {
            self.warm(id, found);
        }
        self.searched(id, outputs);
    }

    fn warm(&mut self, id: u64, found: Option<(Vec<u8>, Vec<u8>)>) {
        let Some(place) = self.cold.chunks.get(&id).map(|c| c.place) else { return };
        let sound = found.is_some_and(|(octets, dead)| {
            event::read_group(&octets, &mut |_, _| {}).is_ok() && {
                self.record(&Event::Warmed { chunk: id });
                self.apply_warmed(id, &octets, &dead).map(|ids| self.set_off_again(id, place, ids)).is_ok()
            }
        });
        if !sound {
            // Accepted messages are in it: nothing more is promised by a gateway whose ledger has lost some.
            self.disk = DiskState::Failed;
        }
    }

    fn set_off_again(&mut self, chunk: u64, place: Place, ids: Vec<MessageId>) {
        match place {
            Place::Time => ids.into_iter().for_each(|id| self.set_off(id)),
            Place::Lane(carrier, key) => {
                for id in &ids {
                    self.set_phase(*id, Phase::Waiting(carrier));
                }
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
        if self.cold.chunks.is_empty() {
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

    /// Chunks whose time has come.
    pub(super) fn sweep_cold(&mut self) {
        while let Some(&(at_ms, chunk)) = self.cold.times.first()
            && at_ms <= self.now.wall_ms
        {
            self.cold.times.pop_first();
            self.cold.ask(chunk);
        }
    }

    /// Asks the ledger for chunks, a few at a time.
    pub(super) fn read_some(&mut self, outputs: &mut Vec<Output>) {
        while self.cold.reading < READS_MAX
            && let Some(&id) = self.cold.wanted.get(self.cold.reading)
        {
            self.cold.reading += 1;
            outputs.push(Output::ReadChunk(id));
        }
        self.read_for_searches(outputs);
    }

    /// Chunks written after `after` with messages of this account, among them `id` if one is meant.
    pub(super) fn may_hold(&self, id: Option<MessageId>, account: AccountId, after: u64) -> VecDeque<u64> {
        let holds = |c: &ColdChunk| {
            id.is_none_or(|id| c.first <= id && id <= c.last) && c.accounts.iter().any(|&(a, count)| a == account && count > 0)
        };
        self.cold.chunks.range(after + 1..).filter(|(_, c)| holds(c)).map(|(&id, _)| id).collect()
    }

    /// Its messages are out of memory.
    pub(super) fn is_cold(&self, chunk: u64) -> bool {
        self.cold.chunks.contains_key(&chunk)
    }
}
