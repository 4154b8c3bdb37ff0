//! Messages from phones: on record part by part, joined, given to the account that owns the service number, and put on its outbox.

use super::carry::{Home, Item, Name};
use super::event::{self, DeliveryKey, Event};
use super::plan::Bounds;
use super::port::{BindId, CarrierId, Delivery, Inbound, InboundPart};
use super::{Effect, Engine};
use crate::model::message::Part;
use crate::model::{AccountId, Body, MessageId};
use hashbrown::HashMap;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// A part that waits for its siblings.
#[derive(Debug)]
struct WaitingPart {
    carrier: CarrierId,
    at_ms: u64,
    home: Home,
    set: u64,
    part: InboundPart,
}

/// All parts that wait.
#[derive(Debug)]
pub struct Joining {
    parts: BTreeMap<u64, WaitingPart>,
    sets: HashMap<u64, Vec<u64>>,
    last: u64,
    bound: usize,
    age_ms: u64,
}

/// Names the set of parts that make one message: link, both addresses, reference, total (smpp.md section 6).
fn set_of(carrier: CarrierId, inbound: &InboundPart, part: Part) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&carrier.0.to_le_bytes());
    hash.update(&inbound.source.digits);
    hash.update(&[0xff]);
    hash.update(&inbound.destination.digits);
    hash.update(&part.reference.to_le_bytes());
    hash.update(&[part.total]);
    hash.digest()
}

impl Joining {
    /// Nothing waits.
    pub fn new(bounds: &Bounds) -> Joining {
        Joining { parts: BTreeMap::new(), sets: HashMap::new(), last: 0, bound: bounds.max_inbound_parts, age_ms: bounds.inbound_age_ms }
    }

    /// Keeps a part; `None` if it is here already. Gives its key and how many of its set are here now.
    fn insert(&mut self, carrier: CarrierId, at_ms: u64, home: Home, part: InboundPart) -> Option<(u64, usize)> {
        let header = part.part?;
        let set = set_of(carrier, &part, header);
        let keys = self.sets.entry(set).or_default();
        let number = |key: &u64| self.parts.get(key).and_then(|w| w.part.part).map(|p| p.number);
        if keys.iter().any(|key| number(key) == Some(header.number)) {
            return None;
        }
        self.last += 1;
        keys.push(self.last);
        let here = keys.len();
        self.parts.insert(self.last, WaitingPart { carrier, at_ms, home, set, part });
        Some((self.last, here))
    }

    /// Takes a whole set out, in order of part number.
    fn take_set(&mut self, set: u64) -> Vec<WaitingPart> {
        let keys = self.sets.remove(&set).unwrap_or_default();
        let mut parts: Vec<_> = keys.iter().filter_map(|key| self.parts.remove(key)).collect();
        parts.sort_by_key(|w| w.part.part.map_or(0, |p| p.number));
        parts
    }

    /// A set whose oldest part came before `before_ms`, or the oldest set of all when there are too many parts.
    fn oldest(&self, now_ms: u64) -> Option<u64> {
        let (_, first) = self.parts.first_key_value()?;
        (first.at_ms + self.age_ms < now_ms || self.parts.len() > self.bound).then_some(first.set)
    }

    /// For carrying: writes the part if it still lives at `home`, and moves it.
    pub(super) fn carry(&mut self, key: u64, home: Home, to: Home, out: &mut Vec<u8>) -> bool {
        match self.parts.get_mut(&key) {
            Some(waiting) if waiting.home == home => {
                write_part(waiting, out);
                waiting.home = to;
                true
            }
            _ => false,
        }
    }

    /// Parts that wait.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// None waits.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

fn write_part(waiting: &WaitingPart, out: &mut Vec<u8>) {
    event::write(&Event::InboundPart { carrier: waiting.carrier, at_ms: waiting.at_ms, part: Box::new(waiting.part.clone()) }, out);
}

/// The octets of all parts in order, decoded as the first part says.
fn join(parts: &[WaitingPart]) -> Option<Body> {
    let first = parts.first()?;
    let octets: Vec<u8> = parts.iter().flat_map(|w| w.part.body.text().iter().copied()).collect();
    Some(Body { header_len: 0, octets: octets.into_boxed_slice(), ..first.part.body.clone() })
}

impl Engine {
    pub(super) fn inbound(&mut self, bind: BindId, token: u64, part: InboundPart) {
        let at_ms = self.now.wall_ms;
        match part.part.filter(|p| p.total > 1) {
            None => {
                let body = part.body.clone();
                self.inbound_ready(bind.carrier, &part, None, body, false);
            }
            Some(header) => {
                let set = set_of(bind.carrier, &part, header);
                let complete = self.keep_part(bind.carrier, at_ms, part).is_some_and(|here| here == header.total as usize);
                if complete {
                    self.finish_set(set, false);
                }
            }
        }
        self.after_commit(Effect::Stored { bind, token });
    }

    /// A part is on record and waits. `None` if it was here already.
    fn keep_part(&mut self, carrier: CarrierId, at_ms: u64, part: InboundPart) -> Option<usize> {
        let event = Event::InboundPart { carrier, at_ms, part: Box::new(part) };
        let home = self.home();
        let Event::InboundPart { part, .. } = &event else { return None };
        let (key, here) = self.inbound.insert(carrier, at_ms, home, (**part).clone())?;
        self.record(&event);
        self.writing.items.push(Item::InboundPart(key));
        Some(here)
    }

    /// What an INBOUND_PART event means in replay.
    pub(super) fn apply_inbound_part(&mut self, carrier: CarrierId, at_ms: u64, part: InboundPart, home: Home) -> Option<Item> {
        self.inbound.insert(carrier, at_ms, home, part).map(|(key, _)| Item::InboundPart(key))
    }

    fn finish_set(&mut self, set: u64, incomplete: bool) {
        let parts = self.inbound.take_set(set);
        self.parts_ended(&parts);
        let (Some(body), Some(first)) = (join(&parts), parts.first()) else { return };
        self.inbound_ready(first.carrier, &first.part, first.part.part, body, incomplete);
    }

    fn parts_ended(&mut self, parts: &[WaitingPart]) {
        for waiting in parts {
            if let Home::Chunk(chunk) = waiting.home {
                let mut octets = Vec::new();
                write_part(waiting, &mut octets);
                self.homes.bury(chunk, Name::octets(&octets));
                self.homes.died(chunk);
            }
        }
    }

    fn inbound_ready(&mut self, carrier: CarrierId, from: &InboundPart, part: Option<Part>, body: Body, incomplete: bool) {
        self.tally.inbound += 1;
        let Some(account) = self.owner(carrier, from.destination.as_bytes()) else {
            self.tally.inbound_unowned += 1;
            return;
        };
        let inbound = Inbound {
            message: self.ids.next(self.now.wall_ms),
            source: from.source.clone(),
            destination: from.destination.clone(),
            body,
            service_type: from.service_type.clone(),
            protocol_id: from.protocol_id,
            incomplete,
            received_ms: self.now.wall_ms,
        };
        let home = self.home();
        let event = Event::InboundReady { carrier, account, part, inbound: Box::new(inbound) };
        self.record(&event);
        let Event::InboundReady { inbound, .. } = event else { return };
        self.apply_inbound_ready(carrier, account, part, *inbound, home);
    }

    /// What an INBOUND_READY event means. Live and in replay.
    pub(super) fn apply_inbound_ready(&mut self, carrier: CarrierId, account: AccountId, part: Option<Part>, inbound: Inbound, home: Home) {
        self.ids.advance_past(inbound.message);
        if let Some(part) = part {
            let like = InboundPart {
                source: inbound.source.clone(),
                destination: inbound.destination.clone(),
                body: inbound.body.clone(),
                part: Some(part),
                service_type: inbound.service_type.clone(),
                protocol_id: inbound.protocol_id,
            };
            let parts = self.inbound.take_set(set_of(carrier, &like, part));
            self.parts_ended(&parts);
        }
        let key = DeliveryKey { message: MessageId(inbound.message.0), serial: 0 };
        let since_ms = inbound.received_ms;
        self.deliver(account, key, home, since_ms, Delivery::Inbound(Box::new(inbound)));
    }

    /// The account with the longest service number that the destination starts with (digits after it are an extension), else the carrier's own.
    fn owner(&self, carrier: CarrierId, destination: &[u8]) -> Option<AccountId> {
        let longest = |numbers: &Vec<Vec<u8>>| numbers.iter().filter(|n| destination.starts_with(n)).map(Vec::len).max();
        let claims = self.plan.accounts.iter().enumerate().filter_map(|(at, a)| Some((longest(&a.service_numbers)?, at)));
        claims.max().map(|(_, at)| AccountId(at as u32)).or(self.plan.carrier(carrier).inbound_account)
    }

    /// Sets whose time is over are handed on as they are, marked incomplete.
    pub(super) fn sweep_inbound(&mut self) {
        while let Some(set) = self.inbound.oldest(self.now.wall_ms) {
            self.finish_set(set, true);
        }
    }
}
