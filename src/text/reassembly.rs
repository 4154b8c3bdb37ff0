//! Joining the parts of inbound messages: parts in any order, twice, or never. Bounded by age, per
//! source and in all; what is pushed out or overdue is handed back incomplete, never dropped here. Durability and
//! answers to the carrier are left to `engine/inbound`.

use super::data_coding;
use super::transcode::{text_of, transcode};
use super::udh;
use crate::model::message::Part;
use crate::model::{Body, Encoding, Now};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::hash::Hash;

/// Bounds of the parts that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Parts that wait for one source.
    pub parts_per_source: usize,
    /// Parts that wait in all.
    pub parts: usize,
    /// How long a message may wait for its missing parts, counted from the first that came, in milliseconds.
    pub age_ms: u64,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        ReassemblyLimits { parts_per_source: 64, parts: 100_000, age_ms: 300_000 }
    }
}

/// Which message a part belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartKey<S> {
    /// Carrier, source and destination address: the caller's choice.
    pub source: S,
    /// The reference that the parts share.
    pub reference: u16,
    /// The reference has 16 bits (an 8-bit reference of the same value is another message).
    pub wide: bool,
    /// Number of parts.
    pub total: u8,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub enum Added<P> {
    /// It waits for the others.
    Waiting,
    /// It was there already: the first is kept, this one comes back.
    Duplicate(P),
    /// It was the last one missing: all parts in order.
    Complete(Vec<P>),
    /// Its number is impossible (0, or beyond the total): not a part.
    NotAPart(P),
}

/// A message that was given up: overdue, or pushed out by newer ones.
#[derive(Debug, PartialEq, Eq)]
pub struct Incomplete<S, P> {
    /// Which message.
    pub key: PartKey<S>,
    /// The parts that came, in order, each with its number.
    pub parts: Vec<(u8, P)>,
}

#[derive(Debug)]
struct Group<P> {
    turn: u64,
    since_us: u64,
    /// Sorted by part number.
    parts: Vec<(u8, P)>,
}

#[derive(Debug, Default)]
struct SourceLoad {
    parts: usize,
    /// Turns of its groups, oldest first.
    turns: std::collections::VecDeque<u64>,
}

/// The parts that wait. Time is an argument; groups age in the order in which their first part came.
#[derive(Debug)]
pub struct Reassembly<S, P> {
    limits: ReassemblyLimits,
    groups: HashMap<PartKey<S>, Group<P>>,
    by_age: BTreeMap<u64, PartKey<S>>,
    sources: HashMap<S, SourceLoad>,
    next_turn: u64,
    parts: usize,
}

impl<S: Hash + Eq + Clone, P> Reassembly<S, P> {
    /// An empty one.
    pub fn new(limits: ReassemblyLimits) -> Reassembly<S, P> {
        Reassembly { limits, groups: HashMap::new(), by_age: BTreeMap::new(), sources: HashMap::new(), next_turn: 1, parts: 0 }
    }

    /// Other limits from now on.
    pub fn set_limits(&mut self, limits: ReassemblyLimits) {
        self.limits = limits;
    }

    /// Takes part `number` (from 1) of a message. Whatever has to go to make room is appended to `given_up`: the oldest
    /// message of the same source first if that source is over its bound, else the oldest of all.
    pub fn add(&mut self, key: PartKey<S>, number: u8, part: P, now: Now, given_up: &mut Vec<Incomplete<S, P>>) -> Added<P> {
        if number == 0 || number > key.total {
            return Added::NotAPart(part);
        }
        if key.total == 1 {
            return Added::Complete(vec![part]);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            let Err(place) = group.parts.binary_search_by_key(&number, |(number, _)| *number) else { return Added::Duplicate(part) };
            group.parts.insert(place, (number, part));
            let complete = group.parts.len() == usize::from(key.total);
            self.parts += 1;
            self.sources.entry(key.source.clone()).or_default().parts += 1;
            if complete {
                let group = self.remove(&key);
                return Added::Complete(group.into_iter().flat_map(|group| group.parts).map(|(_, part)| part).collect());
            }
        } else {
            self.open(key.clone(), number, part, now);
        }
        self.make_room(&key.source, given_up);
        Added::Waiting
    }

    fn open(&mut self, key: PartKey<S>, number: u8, part: P, now: Now) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let load = self.sources.entry(key.source.clone()).or_default();
        load.parts += 1;
        load.turns.push_back(turn);
        self.parts += 1;
        self.by_age.insert(turn, key.clone());
        self.groups.insert(key, Group { turn, since_us: now.mono_us, parts: vec![(number, part)] });
    }

    fn make_room(&mut self, source: &S, given_up: &mut Vec<Incomplete<S, P>>) {
        while let Some(load) = self.sources.get(source)
            && load.parts > self.limits.parts_per_source
            && let Some(turn) = load.turns.front().copied()
        {
            self.give_up(turn, given_up);
        }
        while self.parts > self.limits.parts
            && let Some((&turn, _)) = self.by_age.first_key_value()
        {
            self.give_up(turn, given_up);
        }
    }

    fn give_up(&mut self, turn: u64, given_up: &mut Vec<Incomplete<S, P>>) {
        let Some(key) = self.by_age.get(&turn).cloned() else { return };
        if let Some(group) = self.remove(&key) {
            given_up.push(Incomplete { key, parts: group.parts });
        }
    }

    /// Takes a message's parts out, in order, each with its number: it was joined, or given up, by somebody else. Empty if none waits.
    pub fn take(&mut self, key: &PartKey<S>) -> Vec<(u8, P)> {
        self.remove(key).map_or_else(Vec::new, |group| group.parts)
    }

    /// A part that waits.
    pub fn part_mut(&mut self, key: &PartKey<S>, number: u8) -> Option<&mut P> {
        let parts = &mut self.groups.get_mut(key)?.parts;
        let place = parts.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        parts.get_mut(place).map(|(_, part)| part)
    }

    fn remove(&mut self, key: &PartKey<S>) -> Option<Group<P>> {
        let group = self.groups.remove(key)?;
        self.by_age.remove(&group.turn);
        self.parts -= group.parts.len();
        if let Some(load) = self.sources.get_mut(&key.source) {
            load.parts -= group.parts.len();
            load.turns.retain(|turn| *turn != group.turn);
            if load.turns.is_empty() {
                self.sources.remove(&key.source);
            }
        }
        Some(group)
    }

    /// Appends the messages whose time is over.
    pub fn expire(&mut self, now: Now, given_up: &mut Vec<Incomplete<S, P>>) {
        while self.deadline().is_some_and(|deadline| deadline <= now.mono_us)
            && let Some((&turn, _)) = self.by_age.first_key_value()
        {
            self.give_up(turn, given_up);
        }
    }

    /// When the oldest message's time is over (`Now::mono_us`).
    pub fn deadline(&self) -> Option<u64> {
        let (_, key) = self.by_age.first_key_value()?;
        self.groups.get(key).map(|group| group.since_us + self.limits.age_ms * 1000)
    }

    /// Parts that wait.
    pub fn len(&self) -> usize {
        self.parts
    }

    /// True if none waits.
    pub fn is_empty(&self) -> bool {
        self.parts == 0
    }
}

/// The element data of a part's own header, as [`PartKey`] and number need it.
pub fn part_of(body: &Body) -> Option<(Part, bool)> {
    if body.header_len == 0 {
        return None;
    }
    let found = udh::parse(body.header()).ok()?.header_part()?;
    Some((found.part, found.wide))
}

/// Joins bodies in order: octets first, so that a pair of surrogates or an escape pair that straddles a border comes
/// whole. Headers lose their concatenation; the first one's other elements stay. Where the encodings differ each part
/// is decoded alone and the whole is UCS-2, unless one of them isn't text: then the octets are joined as they are, under
/// the first one's encoding. `None` for no parts.
pub fn join(parts: &[Body]) -> Option<Body> {
    let first = parts.first()?;
    let alike = parts.iter().all(|part| part.encoding == first.encoding && same_shifts(part, first));
    if !alike && parts.iter().all(|part| text_of(part).is_some()) {
        let whole: Vec<u8> =
            parts.iter().filter_map(|part| transcode(part, Encoding::Ucs2)).flat_map(|part| part.text().to_vec()).collect();
        let raw_data_coding = data_coding::moved(first.raw_data_coding, Encoding::Ucs2);
        return Some(Body { encoding: Encoding::Ucs2, raw_data_coding, header_len: 0, octets: whole.into() });
    }
    let first = udh::without_part(first);
    let header_len = first.header_len;
    let mut octets = first.octets.to_vec();
    for part in &parts[1..] {
        octets.extend_from_slice(part.text());
    }
    Some(Body { encoding: first.encoding, raw_data_coding: first.raw_data_coding, header_len, octets: octets.into() })
}

fn same_shifts(part: &Body, first: &Body) -> bool {
    part.encoding != Encoding::Gsm7 || udh::shifts_of(part.header()) == udh::shifts_of(first.header())
}

#[cfg(test)]
#[path = "reassembly_tests.rs"]
mod tests;
