//! Messages from phones: on record part by part, joined by `text/reassembly`, given to the account that owns the service number, and put on its outbox.

use super::carry::{Home, Item, Name};
use super::event::{self, DeliveryKey, Event};
use super::plan::Bounds;
use super::port::{BindId, CarrierId, Delivery, Inbound, InboundPart};
use super::{Effect, Engine};
use crate::model::message::Part;
use crate::model::{AccountId, Address, Body, MessageId, Now};
use crate::text::reassembly::{Added, Incomplete, PartKey, Reassembly, ReassemblyLimits, join};
use hashbrown::HashMap;

/// Parts that may wait for one phone and service number.
const PARTS_PER_SOURCE: usize = 512;

/// Whose parts belong together: link and both addresses.
type Source = (CarrierId, Address, Address);

/// A part that waits for its siblings.
#[derive(Debug)]
struct WaitingPart {
    key: u64,
    carrier: CarrierId,
    at_ms: u64,
    home: Home,
    part: InboundPart,
}

/// All parts that wait.
#[derive(Debug)]
pub struct Joining {
    waiting: Reassembly<Source, WaitingPart>,
    /// Where a part waits, by its key as an item.
    places: HashMap<u64, (PartKey<Source>, u8)>,
    last: u64,
}

fn key_of(carrier: CarrierId, source: &Address, destination: &Address, part: Part) -> PartKey<Source> {
    // Whether the reference was one octet or two is not kept with a part; a clash of both forms within minutes is as good as impossible.
    PartKey { source: (carrier, source.clone(), destination.clone()), reference: part.reference, wide: false, total: part.total }
}

fn limits(bounds: &Bounds) -> ReassemblyLimits {
    ReassemblyLimits { parts_per_source: PARTS_PER_SOURCE, parts: bounds.max_inbound_parts, age_ms: bounds.inbound_age_ms }
}

impl Joining {
    /// Nothing waits.
    pub fn new(bounds: &Bounds) -> Joining {
        Joining { waiting: Reassembly::new(limits(bounds)), places: HashMap::new(), last: 0 }
    }

    /// Other bounds from now on.
    pub(super) fn follow(&mut self, bounds: &Bounds) {
        self.waiting.set_limits(limits(bounds));
    }

    /// For carrying: writes the part if it still lives at `home`, and moves it.
    pub(super) fn carry(&mut self, key: u64, home: Home, to: Home, out: &mut Vec<u8>) -> bool {
        let Some((set, number)) = self.places.get(&key) else { return false };
        match self.waiting.part_mut(set, *number) {
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
        self.waiting.len()
    }

    /// None waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a part. Gives its key if it is new, and what came of it; what had to go for it is appended to `given_up`.
    fn add(
        &mut self,
        carrier: CarrierId,
        at_ms: u64,
        home: Home,
        part: InboundPart,
        now: Now,
        given_up: &mut Vec<Incomplete<Source, WaitingPart>>,
    ) -> (Option<u64>, Vec<WaitingPart>) {
        let Some(header) = part.part else { return (None, Vec::new()) };
        let set = key_of(carrier, &part.source, &part.destination, header);
        let key = self.last + 1;
        match self.waiting.add(set.clone(), header.number, WaitingPart { key, carrier, at_ms, home, part }, now, given_up) {
            Added::Duplicate(_) | Added::NotAPart(_) => return (None, Vec::new()),
            Added::Complete(parts) => {
                self.last = key;
                return (Some(key), parts);
            }
            Added::Waiting => {}
        }
        self.last = key;
        self.places.insert(key, (set, header.number));
        (Some(key), Vec::new())
    }
}

fn write_part(waiting: &WaitingPart, out: &mut Vec<u8>) {
    event::write(&Event::InboundPart { carrier: waiting.carrier, at_ms: waiting.at_ms, part: Box::new(waiting.part.clone()) }, out);
}

impl Engine {
    pub(super) fn inbound(&mut self, bind: BindId, token: u64, part: InboundPart) {
        let at_ms = self.now.wall_ms;
        match part.part.filter(|p| p.total > 1) {
            None => {
                let body = part.body.clone();
                self.inbound_ready(bind.carrier, &part, None, body, false);
            }
            Some(_) => self.keep_part(bind.carrier, at_ms, part),
        }
        self.after_commit(Effect::Stored { bind, token });
    }

    /// A part is on record and waits; the last one missing makes the message. One that is here already changes nothing.
    fn keep_part(&mut self, carrier: CarrierId, at_ms: u64, part: InboundPart) {
        let home = self.home();
        let event = Event::InboundPart { carrier, at_ms, part: Box::new(part) };
        let Event::InboundPart { part, .. } = &event else { return };
        let mut given_up = Vec::new();
        let (key, complete) = self.inbound.add(carrier, at_ms, home, (**part).clone(), self.now, &mut given_up);
        let Some(key) = key else { return };
        self.record(&event);
        self.writing.items.push(Item::InboundPart(key));
        self.finish_set(complete, false);
        self.give_up_sets(given_up);
    }

    /// What an INBOUND_PART event means in replay. What it completes or pushes out is told by events that follow it.
    pub(super) fn apply_inbound_part(&mut self, carrier: CarrierId, at_ms: u64, part: InboundPart, home: Home) -> Option<Item> {
        let now = self.now;
        let (key, parts) = self.inbound.add(carrier, at_ms, home, part, now, &mut Vec::new());
        self.parts_ended(&parts);
        key.map(Item::InboundPart)
    }

    fn finish_set(&mut self, parts: Vec<WaitingPart>, incomplete: bool) {
        self.parts_ended(&parts);
        let bodies: Vec<Body> = parts.iter().map(|waiting| waiting.part.body.clone()).collect();
        let (Some(body), Some(first)) = (join(&bodies), parts.first()) else { return };
        self.inbound_ready(first.carrier, &first.part, first.part.part, body, incomplete);
    }

    fn give_up_sets(&mut self, given_up: Vec<Incomplete<Source, WaitingPart>>) {
        for set in given_up {
            self.finish_set(set.parts.into_iter().map(|(_, part)| part).collect(), true);
        }
    }

    fn parts_ended(&mut self, parts: &[WaitingPart]) {
        for waiting in parts {
            self.inbound.places.remove(&waiting.key);
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
        let message = self.ids.next(self.now.wall_ms);
        let owner = self.owner(carrier, from.destination.as_bytes(), &body);
        // One in parts is delivered always: that ends its parts on record.
        let kept_back = !self.phone_replied(message, from, &body, &owner) && part.is_none();
        let Some(account) = owner.account else {
            self.tally.inbound_unowned += 1;
            return;
        };
        if kept_back {
            return;
        }
        let inbound = Inbound {
            message,
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
            let set = key_of(carrier, &inbound.source, &inbound.destination, part);
            let parts: Vec<WaitingPart> = self.inbound.waiting.take(&set).into_iter().map(|(_, part)| part).collect();
            self.parts_ended(&parts);
        }
        let key = DeliveryKey { message: MessageId(inbound.message.0), serial: 0 };
        let since_ms = inbound.received_ms;
        self.deliver(account, key, home, since_ms, Delivery::Inbound(inbound));
    }

    /// Parts of messages from phones that wait for their siblings.
    pub fn inbound_waiting(&self) -> usize {
        self.inbound.len()
    }

    /// Sets whose time is over are handed on as they are, marked incomplete.
    pub(super) fn sweep_inbound(&mut self) {
        let mut given_up = Vec::new();
        self.inbound.waiting.expire(self.now, &mut given_up);
        self.give_up_sets(given_up);
    }
}
