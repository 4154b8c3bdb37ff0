//! Waiting for what is out of memory: a receipt whose id may be in a run, a late answer, and query, cancel and replace of one message. Each goes from hint
//! to hint ([`super::runs`]): a page names a chunk, the chunk tells whether what is meant is in it; if so it comes back into memory, and then the thing is
//! taken exactly as if the message had been there all the time. If not it is taken as unknown. Nothing is answered before.
//!
//! Receipts for one part keep their order: what shares an id with one that waits, waits behind it.

use super::Engine;
use super::carry::Name;
use super::event::{self, Event};
use super::index::{Found, Key};
use super::port::{BindCommand, BindId, CarrierId, DiskState, Input, Outcome, Output, ReceiptFacts, SessionId, Ticket};
use super::runs::{Probe, RUN_PAGE, Step, Target, Targets};
use crate::model::MessageId;
use crate::number;
use hashbrown::{HashMap, HashSet};
use std::collections::{BTreeMap, VecDeque};

/// What may wait at once; beyond it a carrier is asked to deliver its receipt again later, and an upstream is refused.
const WAITING_MAX: usize = 10_000;
/// Reads of the ledger that are under way at once.
const READS_MAX: usize = 32;

/// The ids of one receipt in all their forms.
type Keys = arrayvec::ArrayVec<Key, 6>;

/// What was found in a chunk: the message, and the part and the key if it was found by an id of a carrier's.
pub(super) type Hit = (MessageId, Option<(u8, Key)>);

/// A receipt on its way in.
#[derive(Debug)]
pub(super) struct Arrived {
    pub bind: BindId,
    pub token: u64,
    pub facts: Box<ReceiptFacts>,
}

#[derive(Debug)]
enum What {
    Receipt { arrived: Arrived, keys: Keys, behind: VecDeque<Arrived> },
    Answer { bind: BindId, ticket: Ticket, outcome: Outcome },
    Input { input: Input, message: MessageId },
}

#[derive(Debug)]
struct Seek {
    what: What,
    probe: Probe,
}

/// What is read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Read {
    Page(u64),
    Chunk(u64),
}

/// All that waits.
#[derive(Debug, Default)]
pub struct Seeks {
    all: BTreeMap<u64, Seek>,
    last: u64,
    /// Those and all that waits behind them.
    waiting: usize,
    by_key: HashMap<Key, u64>,
    readers: HashMap<Read, Vec<u64>>,
    wanted: VecDeque<Read>,
    reading: HashSet<Read>,
}

impl Seeks {
    fn wait(&mut self, number: u64, seek: Seek, read: Read) {
        self.all.insert(number, seek);
        let readers = self.readers.entry(read).or_default();
        readers.push(number);
        if readers.len() == 1 {
            self.wanted.push_back(read);
        }
    }

    /// This was read: who waits for it, in order.
    fn answered(&mut self, read: Read) -> Vec<u64> {
        self.reading.remove(&read);
        self.readers.remove(&read).unwrap_or_default()
    }
}

impl Engine {
    // ---- what begins to wait ----

    /// A receipt that must wait behind one with the same id waits there. Else it is given back.
    pub(super) fn wait_behind(&mut self, arrived: Arrived) -> Option<Arrived> {
        if self.seeks.by_key.is_empty() {
            return Some(arrived);
        }
        let keys = self.keys_of(arrived.bind.carrier, &arrived.facts);
        let Some(number) = keys.iter().find_map(|key| self.seeks.by_key.get(key)).copied() else { return Some(arrived) };
        if self.is_seeking_enough() {
            self.put_off(&arrived);
            return None;
        }
        match self.seeks.all.get_mut(&number).map(|seek| &mut seek.what) {
            Some(What::Receipt { behind, .. }) => {
                behind.push_back(arrived);
                self.seeks.waiting += 1;
                None
            }
            _ => Some(arrived),
        }
    }

    /// A receipt of which memory knows nothing may mean a message out of memory: then it waits. Else it is given back.
    pub(super) fn seek_receipt(&mut self, arrived: Arrived, found: Found) -> Option<Arrived> {
        if self.runs.is_empty() {
            return Some(arrived);
        }
        let mut keys = Keys::new();
        let targets: Targets = match found {
            // One that has ended may have had this id in another form: what is out of memory comes first, as it does in memory.
            Found::Nothing | Found::Ended => {
                keys = self.keys_of(arrived.bind.carrier, &arrived.facts);
                keys.iter().map(|&key| Target::Part(key)).collect()
            }
            // An id from before, of a copy that was sent again: the message itself may be out of memory.
            Found::Part(id, ..) if !self.messages.contains_key(&id) => [Target::Message(id)].into_iter().collect(),
            _ => return Some(arrived),
        };
        let mut probe = self.runs.probe(targets);
        let Some(read) = self.next_read(&mut probe) else { return Some(arrived) };
        if self.is_seeking_enough() {
            self.put_off(&arrived);
            return None;
        }
        let number = self.seeks.last + 1;
        keys.iter().for_each(|&key| {
            self.seeks.by_key.entry(key).or_insert(number);
        });
        self.begin(What::Receipt { arrived, keys, behind: VecDeque::new() }, probe, read);
        None
    }

    /// A late answer to a message that isn't in memory: it may be out of it.
    pub(super) fn seek_answer(&mut self, bind: BindId, ticket: Ticket, outcome: Outcome) {
        if self.runs.is_empty() || !matches!(outcome, Outcome::Sent { .. }) || self.is_seeking_enough() {
            return;
        }
        let mut probe = self.runs.probe([Target::Message(ticket.message)].into_iter().collect());
        if let Some(read) = self.next_read(&mut probe) {
            self.begin(What::Answer { bind, ticket, outcome }, probe, read);
        }
    }

    /// An input that means one message: given back if that is in memory, or nowhere.
    pub(super) fn seek_one(&mut self, input: Input, message: MessageId, session: SessionId) -> Option<Input> {
        if self.messages.contains_key(&message) || self.runs.is_empty() {
            return Some(input);
        }
        let mut probe = self.runs.probe([Target::Message(message)].into_iter().collect());
        let Some(read) = self.next_read(&mut probe) else { return Some(input) };
        if self.is_seeking_enough() {
            self.refuse_search(session, &input);
            return None;
        }
        self.begin(What::Input { input, message }, probe, read);
        None
    }

    fn is_seeking_enough(&self) -> bool {
        self.seeks.waiting >= WAITING_MAX
    }

    fn put_off(&mut self, arrived: &Arrived) {
        self.tally.receipts_put_off += 1;
        self.command(arrived.bind, BindCommand::Answer { token: arrived.token, stored: false });
    }

    fn keys_of(&self, carrier: CarrierId, facts: &ReceiptFacts) -> Keys {
        let mut keys: Keys = self.index.keys(carrier, &facts.id).into_iter().collect();
        for key in self.index.keys(carrier, &facts.other_id) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn begin(&mut self, what: What, probe: Probe, read: Read) {
        self.seeks.last += 1;
        self.seeks.waiting += 1;
        let number = self.seeks.last;
        self.seeks.wait(number, Seek { what, probe }, read);
    }

    // ---- from hint to hint ----

    /// What is to be read next; `None`: nothing leads any further.
    fn next_read(&self, probe: &mut Probe) -> Option<Read> {
        loop {
            match self.runs.next(probe) {
                Step::Chunk(chunk) if self.is_cold(chunk) => return Some(Read::Chunk(chunk)),
                Step::Chunk(_) => {}
                Step::Page(page) => return Some(Read::Page(page)),
                Step::Over => return None,
            }
        }
    }

    /// Asks the ledger, a few at a time.
    pub(super) fn read_for_seeks(&mut self, outputs: &mut Vec<Output>) {
        while self.seeks.reading.len() < READS_MAX
            && let Some(read) = self.seeks.wanted.pop_front()
        {
            // Another's reading of the chunk may have served already.
            if self.seeks.readers.contains_key(&read) && self.seeks.reading.insert(read) {
                outputs.push(match read {
                    Read::Page(id) => Output::ReadPage { kind: RUN_PAGE, id },
                    Read::Chunk(id) => Output::ReadChunk(id),
                });
            }
        }
    }

    /// A page was read.
    pub(super) fn page_read(&mut self, page: u64, found: Option<Vec<u8>>, outputs: &mut Vec<Output>) {
        if found.is_none() && self.runs.has(page) {
            // Receipts could no longer find their messages.
            self.disk = DiskState::Failed;
        }
        for number in self.seeks.answered(Read::Page(page)) {
            let target = self.seeks.all.get(&number).and_then(|seek| seek.probe.target());
            let chunk = target.zip(found.as_ref()).and_then(|(target, octets)| self.runs.chunk_in(page, octets, target));
            self.seek_on(number, chunk.filter(|&chunk| self.is_cold(chunk)), outputs);
        }
    }

    /// What waits for this chunk, and what of it is in there. To be told with [`Engine::sought_in_chunk`] once the chunk is back.
    pub(super) fn seeks_in(&mut self, chunk: u64, found: Option<&(Vec<u8>, Vec<u8>)>) -> Vec<(u64, Option<Hit>)> {
        let mut seeking: Vec<(u64, Option<Hit>)> =
            self.seeks.answered(Read::Chunk(chunk)).into_iter().map(|number| (number, None)).collect();
        let Some((octets, dead)) = found.filter(|_| !seeking.is_empty() && self.is_cold(chunk)) else { return seeking };
        let dead: HashSet<Name> = self.homes.dead_of(chunk, dead).into_iter().collect();
        let mut current = None;
        // Octets that are no events are told when the chunk comes back.
        let _ = event::read_group(octets, &mut |_, event| match &event {
            Event::Accepted(message) => {
                current = Some((message.id, message.number)).filter(|(id, _)| !dead.contains(&Name::message(*id)));
                let Some((id, _)) = current else { return };
                self.hit(&mut seeking, |target, _| (target == Target::Message(id)).then_some((id, None)));
            }
            Event::SentBefore { message, part, key, .. } => {
                let Some((id, phone)) = current.filter(|(id, _)| id == message) else { return };
                let meant = |target, what: &What| target == Target::Part(*key) && what.agrees(phone);
                self.hit(&mut seeking, |target, what| meant(target, what).then_some((id, Some((*part, *key)))));
            }
            _ => {}
        });
        seeking
    }

    fn hit(&self, seeking: &mut [(u64, Option<Hit>)], is: impl Fn(Target, &What) -> Option<Hit>) {
        for (number, hit) in seeking.iter_mut().filter(|(_, hit)| hit.is_none()) {
            if let Some(seek) = self.seeks.all.get(number)
                && let Some(target) = seek.probe.target()
            {
                *hit = is(target, &seek.what);
            }
        }
    }

    /// The chunk was looked into, and is back if anything was in it.
    pub(super) fn sought_in_chunk(&mut self, seeking: Vec<(u64, Option<Hit>)>, outputs: &mut Vec<Output>) {
        for (number, hit) in seeking {
            match hit {
                Some(_) => self.seek_over(number, hit, outputs),
                None => self.seek_on(number, None, outputs),
            }
        }
    }

    /// On to `chunk`, or to the next hint; over if what is meant is in memory by now, or if nothing leads any further.
    fn seek_on(&mut self, number: u64, chunk: Option<u64>, outputs: &mut Vec<Output>) {
        let Some(mut seek) = self.seeks.all.remove(&number) else { return };
        let here = match &seek.what {
            What::Receipt { arrived, .. } => match self.find(arrived.bind.carrier, &arrived.facts) {
                Found::Part(id, ..) => self.messages.contains_key(&id),
                Found::Ended | Found::Nothing => false,
            },
            What::Answer { ticket, .. } => self.messages.contains_key(&ticket.message),
            What::Input { message, .. } => self.messages.contains_key(message),
        };
        let next = if here { None } else { chunk.map(Read::Chunk).or_else(|| self.next_read(&mut seek.probe)) };
        match next {
            Some(read) => self.seeks.wait(number, seek, read),
            None => {
                self.seeks.all.insert(number, seek);
                self.seek_over(number, None, outputs);
            }
        }
    }

    /// The waiting is over.
    fn seek_over(&mut self, number: u64, hit: Option<Hit>, outputs: &mut Vec<Output>) {
        let Some(seek) = self.seeks.all.remove(&number) else { return };
        self.seeks.waiting -= 1;
        match seek.what {
            What::Receipt { arrived, keys, behind } => {
                self.seeks.waiting -= behind.len();
                for key in &keys {
                    if self.seeks.by_key.get(key) == Some(&number) {
                        self.seeks.by_key.remove(key);
                    }
                }
                let carrier = arrived.bind.carrier;
                let found = match hit {
                    Some((id, Some((part, key)))) if self.messages.contains_key(&id) => {
                        self.index.learn(carrier, &arrived.facts.id, key);
                        Found::Part(id, part, key)
                    }
                    _ => self.find(carrier, &arrived.facts),
                };
                self.receipt_found(arrived, found);
                behind.into_iter().for_each(|arrived| self.receipt_behind(arrived, &keys));
            }
            What::Answer { bind, ticket, outcome: Outcome::Sent { carrier_id } } if self.messages.contains_key(&ticket.message) => {
                self.part_taken(ticket.message, ticket.part, bind.carrier, &carrier_id);
            }
            What::Answer { .. } => {}
            What::Input { input, .. } => self.take_here(input, outputs),
        }
    }
}

impl Engine {
    /// A receipt that waited behind one with `keys`, which are known by now: what they mean is in memory, has ended, or is nowhere.
    fn receipt_behind(&mut self, arrived: Arrived, keys: &Keys) {
        if self.keys_of(arrived.bind.carrier, &arrived.facts).iter().any(|key| !keys.contains(key)) {
            return self.receipt(arrived);
        }
        match self.find(arrived.bind.carrier, &arrived.facts) {
            Found::Part(id, ..) if !self.messages.contains_key(&id) => self.receipt(arrived),
            // Another phone than the one before it: what it means was not looked for.
            Found::Nothing => self.receipt(arrived),
            found => self.receipt_found(arrived, found),
        }
    }
}

impl What {
    /// A receipt's phone fits the message's.
    fn agrees(&self, phone: u64) -> bool {
        match self {
            What::Receipt { arrived, .. } => {
                let numbers = &arrived.facts.numbers;
                *numbers == [0, 0] || numbers.iter().any(|&n| number::ends_alike(n, phone))
            }
            _ => false,
        }
    }
}
