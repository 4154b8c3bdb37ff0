//! Recovery: the ledger's chunks, then the journal's groups after what the ledger has absorbed, through the same functions as live. Afterwards every
//! acknowledged message is where its policy puts it: sent ones wait for their receipts, attempted otps are in doubt, everything else goes out (again).

use super::Engine;
use super::balance::BALANCE_BLOB;
use super::campaigns::CAMPAIGNS_BLOB;
use super::carry::{Home, Item, Name, STATE_BLOB};
use super::cold::DIRECTORY;
use super::counts::Counts;
use super::event::{self, DeliveryKey, Event, EventError};
use super::messages::Phase;
use super::outcome::PartSent;
use super::parked::ParkedReceipt;
use super::plan::Plan;
use super::port::DeliveryToken;
use super::runs::{OPEN, RUN};
use super::{dedupe, index};
use crate::model::{MessageId, Now, State};
use crate::store::{Chunk, Journal, Ledger, StoreError};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// Why recovery stopped. Nothing is changed on disk then.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The store can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A group or chunk is sound as octets but not as events.
    #[error("{place} holds what is not an event: {source}; `hongyan store verify` tells more")]
    Event {
        /// `group N` or `chunk N`.
        place: String,
        /// What is wrong.
        source: EventError,
    },
}

/// What recovery found, for the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Groups read.
    pub groups: u64,
    /// Events applied.
    pub events: u64,
    /// Messages alive.
    pub messages: u64,
    /// Deliveries that wait.
    pub deliveries: u64,
}

struct Replay {
    engine: Engine,
    /// For items that came from a chunk: the batch up to which the chunk is true.
    absorbed: HashMap<MessageId, u64>,
    deliveries: HashMap<DeliveryKey, DeliveryToken>,
    /// Parked receipts by every key that their ids may mean.
    parked: HashMap<index::Key, Vec<u64>>,
    /// Counters are true up to this batch.
    counted: u64,
    /// Everything alive from batches before this one is in chunks.
    carried: u64,
    /// The open batch's octets, for the journal's length.
    events: u64,
}

/// Reads a chunk and its list of the dead.
type ReadChunk<'a> = &'a mut dyn FnMut(u64) -> Option<(Chunk, Vec<u8>)>;

/// Rebuilds the engine from what is on disk.
pub fn recover(plan: Arc<Plan>, journal: &mut dyn Journal, ledger: &mut dyn Ledger, now: Now) -> Result<(Engine, Recovered), RecoverError> {
    let mut engine = Engine::new(plan, now);
    engine.replaying = true;
    let mut replay =
        Replay { engine, absorbed: HashMap::new(), deliveries: HashMap::new(), parked: HashMap::new(), counted: 0, carried: 0, events: 0 };
    let mut failed = None;
    let mut fail = |place: String, source: EventError| {
        failed = Some(RecoverError::Event { place, source });
        StoreError::io("reading events", source)
    };
    let mut recovered = Recovered::default();
    if let Some(blob) = ledger.blob(STATE_BLOB)? {
        replay.state(&blob);
    }
    if let Some(blob) = ledger.blob(CAMPAIGNS_BLOB)? {
        replay.engine.read_campaigns(&blob);
    }
    replay.engine.restore_rules(ledger)?;
    if let Some(blob) = ledger.blob(super::overlay::OVERLAY_BLOB)? {
        let loaded = replay.engine.load_overlay(&blob);
        loaded.map_err(|source| RecoverError::Event { place: "the overlay's blob".to_owned(), source })?;
    }
    let absorbed = ledger.absorbed()?;
    if let Some(blob) = ledger.blob(BALANCE_BLOB)? {
        replay.engine.load_balances(&blob);
    }
    let cold = replay.directory(ledger)?;
    let mut chunks = Ok(());
    for id in ledger.chunk_ids()?.into_iter().filter(|id| !cold.contains(id)) {
        if let Some((chunk, dead)) = ledger.chunk(id)? {
            chunks = chunks.and_then(|()| replay.chunk(&chunk, &dead).map_err(|e| fail(format!("chunk {id}"), e)));
        }
    }
    if let Some(blob) = ledger.blob(super::references::REFERENCES_BLOB)? {
        replay.engine.references.read(&blob, now.mono_us);
    }
    let groups = chunks.and_then(|()| {
        journal.replay(absorbed + 1, &mut |position, group| {
            recovered.groups += 1;
            let mut unread = None;
            let read = &mut |id| {
                ledger.chunk(id).unwrap_or_else(|error| {
                    unread = Some(error);
                    None
                })
            };
            let done = replay.group(position, group, read).map_err(|e| fail(format!("group {position}"), e));
            unread.map_or(done, Err)
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    groups?;
    recovered.events = replay.events;
    let engine = replay.finish();
    recovered.messages = engine.alive() as u64;
    recovered.deliveries = engine.outbox.tokens().len() as u64;
    Ok((engine, recovered))
}

impl Replay {
    fn state(&mut self, blob: &[u8]) {
        let number = |at: usize| blob.get(at..at + 8).and_then(|o| o.try_into().ok()).map_or(0, u64::from_le_bytes);
        self.counted = number(0);
        self.engine.ids.advance_past(MessageId(number(8)));
        self.carried = number(16);
        self.engine.counts = blob.get(24..).and_then(Counts::from_octets).unwrap_or_default();
    }

    /// What is out of memory, and the notes of where it is. Gives the ids of its chunks.
    fn directory(&mut self, ledger: &mut dyn Ledger) -> Result<HashSet<u64>, StoreError> {
        let mut cold = HashSet::new();
        let engine = &mut self.engine;
        for kind in [DIRECTORY, RUN, OPEN] {
            ledger.pages(kind, &mut |id, octets| {
                let is_sound = match kind {
                    DIRECTORY => cold.insert(id) && engine.register_cold(id, &octets),
                    RUN => engine.runs.recover_run(id, &octets),
                    _ => engine.runs.recover_open(&octets),
                };
                let corrupt =
                    || StoreError::Corrupt { position: id, why: format!("a page of kind {kind} is not what this program writes") };
                if is_sound { Ok(()) } else { Err(corrupt()) }
            })?;
        }
        Ok(cold)
    }

    fn chunk(&mut self, chunk: &Chunk, dead: &[u8]) -> Result<(), EventError> {
        let (id, octets) = (chunk.id, chunk.octets.as_slice());
        if id >= dedupe::FIRST_CHUNK {
            return event::read_group(octets, &mut |_, event| {
                if let Event::Remembered { account, of, generation, entries } = event {
                    self.engine.load_dedupe(id, account, of, generation, entries);
                }
            });
        }
        let dead: HashSet<Name> = super::carry::names(dead).collect();
        let (mut items, mut scratch) = (Vec::new(), Vec::new());
        self.engine.counting = false;
        event::read_group(octets, &mut |batch, event| {
            scratch.clear();
            event::write(&event, &mut scratch);
            if !self.name(&event, &scratch).is_some_and(|name| dead.contains(&name)) {
                if let Event::Accepted(message) = &event {
                    self.absorbed.insert(message.id, batch);
                }
                self.events += 1;
                items.extend(self.apply(event, Home::Chunk(id)));
            }
        })?;
        self.engine.writing.items.clear();
        for item in &items {
            // Whatever its events said, all of it is in this chunk.
            if let Item::Message(message) = item
                && let Some(entry) = self.engine.messages.get_mut(message)
            {
                (entry.home, entry.base) = (Home::Chunk(id), 0);
            }
        }
        self.engine.homes.loaded(id, items, dead.into_iter().collect(), chunk.kind != 0);
        Ok(())
    }

    /// The name under which a chunk's event may be dead.
    fn name(&self, event: &Event, octets: &[u8]) -> Option<Name> {
        match event {
            Event::Accepted(message) => Some(Name::message(message.id)),
            Event::SentBefore { message, .. }
            | Event::Attempt { message, .. }
            | Event::SentEarlier { message, .. }
            | Event::Past { message, .. }
            | Event::Settled { message, .. } => Some(Name::message(*message)),
            Event::Outboxed { key, .. } => Some(Name::delivery(*key)),
            Event::Parked { .. } | Event::InboundPart { .. } => Some(Name::octets(octets)),
            _ => None,
        }
    }

    fn group(&mut self, position: u64, group: &[u8], read: ReadChunk<'_>) -> Result<(), EventError> {
        let (mut open, mut failed) = (None, None);
        let length = group.len() as u64;
        let mut octets = length;
        event::read_group(group, &mut |batch, event| {
            if open != Some(batch) {
                if let Some(done) = open {
                    self.close(done, position, std::mem::take(&mut octets));
                }
                open = Some(batch);
                self.engine.writing.batch = batch;
            }
            if batch < self.carried {
                return;
            }
            if self.is_absorbed(batch, &event) {
                return self.unpark(&event);
            }
            self.events += 1;
            self.engine.counting = batch > self.counted;
            match event {
                Event::Cooled { .. } | Event::Warmed { .. } if batch <= self.counted => {}
                // The overlay's blob is as old as the counters.
                Event::Changed { .. } if batch <= self.counted => {}
                Event::Changed { octets } => failed = failed.or(self.engine.replay_change(&octets).err()),
                Event::Cooled { chunk, place } => self.engine.apply_cooled(chunk, place),
                Event::Warmed { chunk } => {
                    if let Some((found, dead)) = read(chunk)
                        && let Err(error) = self.engine.apply_warmed(chunk, &found.octets, &dead)
                    {
                        failed = Some(error);
                    }
                }
                event => {
                    self.apply(event, Home::Batch(batch));
                }
            }
        })?;
        if let Some(done) = open {
            self.close(done, position, octets);
        }
        // One without events has used up its number all the same.
        self.engine.writing.batch = self.engine.writing.batch.max(event::last_batch(group).map_or(0, |last| last + 1));
        failed.map_or(Ok(()), Err)
    }

    fn close(&mut self, batch: u64, position: u64, octets: u64) {
        let items = std::mem::take(&mut self.engine.writing.items);
        self.engine.homes.opened(batch, octets, items);
        self.engine.homes.committed(batch, position);
        self.engine.writing.batch = batch + 1;
    }

    /// The message came from a chunk that knows this event already.
    fn is_absorbed(&self, batch: u64, event: &Event) -> bool {
        let Some(id) = event.message() else { return false };
        self.absorbed.get(&id).is_some_and(|&upto| batch <= upto)
    }

    /// The event is about a message that isn't in memory at this point, as it was not in memory, or had changed no more, when the event was followed live: a
    /// chunk tells what came of it, or it has ended.
    fn is_elsewhere(&self, event: &Event) -> bool {
        !matches!(event, Event::Accepted(_)) && event.message().is_some_and(|id| !self.engine.messages.contains_key(&id))
    }

    /// The answer that this event tells of has found its receipts among those parked.
    fn unpark(&mut self, event: &Event) {
        let Event::Sent { message, carrier, carrier_id, .. } = event else { return };
        let engine = &mut self.engine;
        if let Some(number) = engine.messages.get(message).map(|e| e.message.number) {
            while let Some(parked) = engine.parked.take_match(*carrier, number, carrier_id) {
                engine.parked_ended(&parked);
            }
        } else {
            // The message has ended and was left out; nobody remembers its phone.
            let keys = index::answer_key(*carrier, carrier_id).and_then(|key| self.parked.remove(&key));
            for parked in keys.into_iter().flatten().filter_map(|key| engine.parked.remove(key)).collect::<Vec<_>>() {
                engine.parked_ended(&parked);
            }
        }
    }

    fn apply(&mut self, event: Event, home: Home) -> Option<Item> {
        self.unpark(&event);
        if self.is_elsewhere(&event) {
            return None;
        }
        let engine = &mut self.engine;
        match event {
            Event::Accepted(message) => {
                let id = message.id;
                engine.admit(Arc::from(message));
                if let Some(entry) = engine.messages.get_mut(&id) {
                    entry.home = home;
                }
                return Some(Item::Message(id));
            }
            Event::Attempt { message, carrier } => {
                engine.touch(message);
                engine.cut_for(message, carrier);
                engine.stays_with(message, carrier);
                if let Some(entry) = engine.messages.get_mut(&message) {
                    entry.attempted = true;
                    entry.attempted_at = carrier;
                }
            }
            Event::Sent { message: id, part, parts, carrier, at_ms, reference, carrier_id } => {
                engine.apply_sent(&PartSent { id, part, parts, carrier, at_ms, reference }, &carrier_id);
            }
            Event::SentBefore { message, part, parts, carrier, at_ms, reference, key, reported } => {
                engine.apply_sent_key(&PartSent { id: message, part, parts, carrier, at_ms, reference }, key);
                engine.index.insert_key(key, (message, part));
                if reported && let Some(entry) = engine.messages.get_mut(&message) {
                    entry.parts.set(part, super::messages::PartState::Delivered);
                }
                // Unless its PAST, which follows, says otherwise.
                if let Some(entry) = engine.messages.get_mut(&message) {
                    entry.body_cut = true;
                }
            }
            Event::Moved { message, carrier, status, .. } => engine.apply_moved(message, carrier, status),
            Event::Rerouted { message, carrier, part, facts, .. } => engine.apply_rerouted(message, carrier, part, &facts),
            Event::CopyReceipt { message, carrier, part, key, at_ms, facts } => {
                engine.apply_copy_receipt(message, carrier, part, key, at_ms, &facts);
                if !engine.messages.contains_key(&message) {
                    engine.index.end(key, message);
                }
            }
            Event::SentEarlier { message, copy } => engine.apply_sent_earlier(message, copy),
            Event::Past { message, tried, reroutes, whole, failed } => engine.apply_past(message, tried, reroutes, whole, failed),
            Event::Receipt { message, part, at_ms, facts } => {
                let key = engine.messages.get(&message).map(|e| e.key_of(part as usize)).unwrap_or(0);
                engine.apply_receipt(message, part, at_ms, &facts);
                if !engine.messages.contains_key(&message) {
                    engine.index.end(key, message);
                }
            }
            Event::Verdict { message, state, carrier, at_ms, error } => {
                engine.cut_for(message, carrier);
                engine.apply_verdict(message, state, carrier, at_ms, error);
            }
            Event::HandedOver { key, .. } => {
                if let Some(token) = self.deliveries.remove(&key) {
                    self.engine.outbox_gone(token);
                }
            }
            Event::Parked { carrier, at_ms, facts } => {
                let ids: Vec<_> = [&facts.id, &facts.other_id].into_iter().flat_map(|id| index::receipt_keys(carrier, id)).collect();
                let key = engine.parked.insert(ParkedReceipt { carrier, facts: *facts, at_ms, home });
                engine.writing.items.push(Item::Parked(key));
                ids.into_iter().for_each(|id| self.parked.entry(id).or_default().push(key));
                return Some(Item::Parked(key));
            }
            Event::InboundPart { carrier, at_ms, part } => {
                let item = engine.apply_inbound_part(carrier, at_ms, *part, home);
                engine.writing.items.extend(item);
                return item;
            }
            Event::InboundReady { carrier, account, part, inbound } => engine.apply_inbound_ready(carrier, account, part, *inbound, home),
            Event::Replaced { message, with } => engine.apply_replaced(message, &with),
            Event::Outboxed { account, key, at_ms, delivery } => {
                if let Some(token) = self.deliveries.remove(&key) {
                    self.engine.outbox_gone(token);
                }
                self.engine.deliver(account, key, home, at_ms, *delivery);
                let token = self.engine.outbox.last_token();
                self.deliveries.insert(key, token);
                return Some(Item::Delivery(token));
            }
            Event::Settled { message, carrier, state, reports, reported_final, told_taken } => {
                if let Some(entry) = engine.messages.get_mut(&message) {
                    entry.reports = reports;
                    entry.reported_final = reported_final;
                    entry.told_taken = told_taken;
                }
                if state != State::Waiting {
                    engine.cut_for(message, carrier);
                    engine.doubt_open_parts(message);
                    engine.set_phase(message, Phase::Settled(carrier, state));
                }
            }
            Event::Forgotten { message } => {
                engine.remove(message);
            }
            Event::Campaign { campaign, name } => engine.apply_campaign(campaign, &name),
            Event::Rate { carrier, rate, said_no } => engine.apply_rate(carrier, rate, said_no),
            // The ledger's lists know what came before its last walk.
            Event::Listed { .. } | Event::Unlisted { .. } | Event::Replied { .. } if !engine.counting => {}
            Event::Listed { list, add, numbers } => _ = engine.apply_listed(&list, add, &numbers),
            Event::Unlisted { list } => engine.apply_unlisted(&list),
            Event::Replied { message, list, number, back, .. } => engine.apply_reply(message, &list, number, back),
            Event::ToppedUp { account, change, .. } => engine.apply_topped_up(account, change),
            Event::Reserved { message, charge } => engine.apply_reserved(message, charge),
            // For the reader of the journal.
            Event::Flagged { .. } => {}
            // A chunk of its own: see `chunk`.
            Event::Remembered { .. } => {}
            Event::Renamed { pair, set, upstream, reference } => {
                engine.references.renamed(pair, set, [upstream, reference], engine.now.mono_us)
            }
            // Of chunks and of the overlay, not of messages: see `group`.
            Event::Cooled { .. } | Event::Warmed { .. } | Event::Changed { .. } => {}
        }
        self.learn_tokens();
        None
    }

    /// Deliveries made since the last look are found by their key from now on.
    fn learn_tokens(&mut self) {
        let last = self.engine.outbox.last_token();
        if let Some(waiting) = self.engine.outbox.get(last) {
            self.deliveries.insert(waiting.key, last);
        }
    }

    /// Everything alive goes to where it waits.
    fn finish(self) -> Engine {
        let mut engine = self.engine;
        engine.replaying = false;
        engine.counting = true;
        // The batch in which the last walk ended may have had no event of its own: its number is used up all the same.
        engine.writing.batch = engine.writing.batch.max(self.counted + 1);
        engine.homes.read_up_to(engine.writing.batch - 1);
        engine.recount();
        engine.outbox_recovered();
        engine.overlay_changed();
        let mut ids: Vec<MessageId> = engine.messages.keys().copied().collect();
        ids.sort_unstable();
        engine.cold.by_age = true;
        for id in ids {
            let Some(entry) = engine.messages.get(&id) else { continue };
            match entry.phase {
                Phase::Accepting if entry.attempted => engine.recovered_attempt(id),
                Phase::Accepting => engine.set_off(id),
                Phase::Settled(carrier, State::InDoubt) => {
                    let number = entry.message.number;
                    engine.doubts.entry((carrier, crate::number::tail(number))).or_default().push(id);
                }
                _ => {}
            }
        }
        engine.cold.by_age = false;
        engine
    }
}

impl Engine {
    /// What is alive is counted by walking; the ends were counted as they happened.
    fn recount(&mut self) {
        let [waiting, sent] = self.walk();
        self.counts.by_state[State::Waiting as usize] = waiting;
        self.counts.by_state[State::SentWaiting as usize] = sent;
        // Figures of accounts start with what is alive: they are for metrics, which start with the process.
        for account in &mut self.accounts {
            account.waiting = account.figures.states[State::Waiting as usize];
        }
    }

    /// How many parts a message was cut into is on record only with the first that a carrier took; until then it follows from its text.
    fn cut_for(&mut self, id: MessageId, carrier: crate::model::CarrierId) {
        let Some(entry) = self.messages.get_mut(&id) else { return };
        if !entry.parts.any_taken() {
            let parts = crate::text::segment::count(&entry.message.body, &self.plan.carrier(carrier).segments);
            entry.parts = super::messages::Parts::unsent(parts.min(255) as u8);
        }
    }

    /// An otp was about to be written to a socket when the process ended: it may be out. It waits as a doubt.
    fn recovered_attempt(&mut self, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let carrier = entry.attempted_at;
        self.doubt_open_parts(id);
        self.enter_doubt(id, carrier);
    }
}
