//! Stops 9 to 11: the dispatcher of one carrier owns its lanes, its bucket and the windows of its binds, and hands out messages as
//! binds have room and the bucket has permits.

use super::event::Event;
use super::flights::{Flights, Stream};
use super::lanes::Lanes;
use super::messages::{PartState, Parts, Phase};
use super::outcome::Refused;
use super::plan::CarrierPlan;
use super::port::{BindCommand, BindId, CarrierId, Outcome, Output, Ticket};
use super::throttle::{Adaptive, Bucket};
use super::timers::Timer;
use super::{Effect, Engine};
use crate::model::{Class, Message, MessageId, Now, State};
use crate::telemetry::{CarrierFigures, OutcomeCounts};
use crate::text::segment::{self, Concatenation};
use hashbrown::HashMap;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// One live bind.
#[derive(Debug)]
struct BindSlots {
    id: BindId,
    window: i64,
    /// May go below zero for one message of more parts than the window holds.
    free: i64,
    commands: Vec<BindCommand>,
}

/// The owner of one carrier.
#[derive(Debug)]
pub struct Dispatcher {
    /// Messages that wait for it.
    pub lanes: Lanes,
    /// mono_us at which handing out is worth another try; `u64::MAX` if only an input can change that.
    pub wake_at: u64,
    bucket: Bucket,
    binds: Vec<BindSlots>,
    /// Messages that wait here, by class.
    pub(super) waiting: [i64; 3],
    adaptive: Adaptive,
    reserve_percent: i64,
    throttled_us: u64,
    pub(super) flights: Flights,
    outcomes: OutcomeCounts,
    ends: [u64; State::ALL.len()],
}

impl Dispatcher {
    /// The dispatcher of `carrier`, without binds.
    pub fn new(carrier: &CarrierPlan, now: Now) -> Dispatcher {
        Dispatcher {
            lanes: Lanes::default(),
            wake_at: u64::MAX,
            bucket: Bucket::new(carrier.rate_per_s, carrier.burst, now),
            binds: Vec::new(),
            waiting: [0; 3],
            adaptive: Adaptive::new(now),
            reserve_percent: i64::from(carrier.marketing_reserve_percent),
            throttled_us: 0,
            flights: Flights::default(),
            outcomes: OutcomeCounts::default(),
            ends: [0; State::ALL.len()],
        }
    }

    /// It has a bind that can send, and its rate isn't 0.
    pub fn is_usable(&self) -> bool {
        self.binds.iter().any(|b| b.window > 0) && !self.bucket.is_paused()
    }

    /// What the metrics tell of it.
    pub fn figures(&self) -> CarrierFigures {
        CarrierFigures {
            states: self.ends,
            lanes: self.waiting.map(|waiting| waiting.max(0) as u64),
            throttled_ms: self.throttled_us / 1000,
            outcomes: self.outcomes,
        }
    }

    /// A message that it had has ended.
    pub(super) fn ended(&mut self, state: State) {
        self.ends[state as usize] += 1;
    }

    /// A part got its outcome.
    pub(super) fn count_outcome(&mut self, outcome: &Outcome) {
        let counts = &mut self.outcomes;
        match outcome {
            Outcome::Sent { .. } => {
                counts.sent += 1;
                self.adaptive.taken();
            }
            Outcome::Later { .. } => counts.later += 1,
            Outcome::Throttled { .. } => counts.throttled += 1,
            Outcome::Elsewhere { .. } => counts.elsewhere += 1,
            Outcome::Never { .. } => counts.never += 1,
            Outcome::InDoubt => counts.in_doubt += 1,
            Outcome::NotSent => {}
        }
    }

    pub(super) fn command(&mut self, bind: BindId, command: BindCommand) {
        if let Some(slots) = self.binds.iter_mut().find(|b| b.id == bind) {
            slots.commands.push(command);
        }
    }

    pub(super) fn drain(&mut self, outputs: &mut Vec<Output>) {
        for slots in self.binds.iter_mut().filter(|b| !b.commands.is_empty()) {
            outputs.push(Output::Bind { bind: slots.id, commands: std::mem::take(&mut slots.commands) });
        }
    }

    /// The bind with most room, and the least urgent class that may use it: marketing leaves its reserve, at least one slot of a window over 1.
    fn roomiest(&self) -> Option<(usize, Class)> {
        let (at, slots) =
            self.binds.iter().enumerate().filter(|(_, b)| b.free > 0).max_by_key(|(at, b)| (b.free, std::cmp::Reverse(*at)))?;
        let reserve = if slots.window > 1 { (slots.window * self.reserve_percent / 100).max(1) } else { 0 };
        Some((at, if slots.free > reserve { Class::Marketing } else { Class::Transactional }))
    }

    /// Permits of the configured rate and of the rate that the carrier's answers allow: both or none.
    fn permit(&mut self, segments: u32, now: Now) -> Result<(), u64> {
        self.bucket.take(segments, now)?;
        self.adaptive.take(segments, now).inspect_err(|_| self.bucket.give_back(segments))
    }

    /// One slot of a bind is free again.
    pub(super) fn release(&mut self, bind: BindId) {
        if let Some(slots) = self.binds.iter_mut().find(|b| b.id == bind) {
            slots.free += 1;
        }
    }

    /// The carrier asks to slow down: nothing leaves for a while, longer each time it must ask again.
    pub(super) fn pause(&mut self, now: Now) {
        self.throttled_us += self.adaptive.throttled(now);
    }
}

/// References for messages that are cut here: counted per source and destination, so that two long messages to one phone never
/// share one within the time that a phone waits for parts.
#[derive(Debug, Default)]
pub struct References {
    recent: HashMap<u64, u16>,
    older: HashMap<u64, u16>,
}

impl References {
    const PAIRS_MAX: usize = 200_000;

    fn next(&mut self, message: &Message) -> u16 {
        if self.recent.len() >= Self::PAIRS_MAX {
            self.older = std::mem::take(&mut self.recent);
        }
        let mut hash = Xxh3::new();
        hash.update(&message.source.digits);
        hash.update(&[0xff]);
        hash.update(&message.destination.digits);
        let pair = hash.digest();
        // A pair starts anywhere, so that after a restart it doesn't start where it started before.
        let start = (message.id.0 / 7) as u16;
        let reference = self.recent.get(&pair).or_else(|| self.older.get(&pair)).map_or(start, |last| last.wrapping_add(1));
        self.recent.insert(pair, reference);
        reference
    }
}

impl Engine {
    pub(super) fn bind_up(&mut self, bind: BindId, window: u32) {
        let Some(dispatcher) = self.dispatchers.get_mut(bind.carrier.0 as usize) else { return };
        dispatcher.binds.push(BindSlots { id: bind, window: i64::from(window), free: i64::from(window), commands: Vec::new() });
    }

    pub(super) fn bind_down(&mut self, bind: BindId, unsent: &[Ticket], in_doubt: &[Ticket]) {
        for ticket in unsent {
            self.outcome(bind, *ticket, Outcome::NotSent);
        }
        for ticket in in_doubt {
            self.outcome(bind, *ticket, Outcome::InDoubt);
        }
        // What was said to it in this very step never left the engine.
        let dispatcher = self.dispatchers.get_mut(bind.carrier.0 as usize);
        let slots = dispatcher.and_then(|dispatcher| dispatcher.binds.iter_mut().find(|b| b.id == bind));
        for command in slots.map(|slots| std::mem::take(&mut slots.commands)).unwrap_or_default() {
            if let BindCommand::Send { message, first_part, end_part, .. } = command {
                for part in first_part..end_part {
                    self.outcome(bind, Ticket { message: message.id, part }, Outcome::NotSent);
                }
            }
        }
        let failover_us = self.plan.bounds.failover_after_ms * 1000;
        if let Some(dispatcher) = self.dispatchers.get_mut(bind.carrier.0 as usize) {
            dispatcher.binds.retain(|b| b.id != bind);
            if !dispatcher.is_usable() {
                self.timers.set(self.now.mono_us + failover_us, Timer::Failover(bind.carrier));
            }
        }
    }

    /// Hands out what can leave now; sets `wake_at` where only time is missing.
    pub(super) fn dispatch(&mut self, carrier: CarrierId) {
        let now = self.now;
        let at = carrier.0 as usize;
        self.dispatchers[at].wake_at = u64::MAX;
        if self.dispatchers[at].lanes.is_empty() {
            return;
        }
        if let Some(until) = self.dispatchers[at].adaptive.paused(now) {
            self.dispatchers[at].wake_at = until;
            return;
        }
        while let Some((bind, least)) = self.dispatchers[at].roomiest() {
            let Some((class, id)) = self.dispatchers[at].lanes.pop(least) else { return };
            let Some(parts) = self.parts_to_send(id, carrier) else { continue };
            let open = parts.count(PartState::Unsent) as i64;
            let Some(bind) = self.bind_in_order(id, at, bind, open) else { continue };
            let slots = &self.dispatchers[at].binds[bind];
            if slots.free < open && slots.free < slots.window {
                // It needs more room than any bind has now, and will have it once its window is empty.
                self.dispatchers[at].lanes.push_front(class, id);
                return;
            }
            if let Err(earliest) = self.dispatchers[at].permit(open as u32, now) {
                self.dispatchers[at].lanes.push_front(class, id);
                self.dispatchers[at].wake_at = earliest;
                return;
            }
            self.hand_out(id, carrier, bind, parts, open);
        }
    }

    /// The bind that keeps the order of the message's stream: `bind`, unless one of the stream is with another. `None`: it is held until that one has landed.
    fn bind_in_order(&mut self, id: MessageId, at: usize, bind: usize, open: i64) -> Option<usize> {
        let stream = self.messages.get(&id)?.stream();
        let dispatcher = &mut self.dispatchers[at];
        let Some((with, holds)) = dispatcher.flights.of(stream) else { return Some(bind) };
        let same = dispatcher.binds.iter().position(|b| b.id == with && b.free >= open).filter(|_| !holds);
        if same.is_none() {
            dispatcher.flights.hold(stream, id);
        }
        same
    }

    /// A message is no longer with a bind: those held behind it come back to the front of their lane.
    pub(super) fn landed(&mut self, before: Phase, stream: Stream) {
        let Phase::InFlight(carrier) = before else { return };
        let held = self.dispatchers[carrier.0 as usize].flights.landed(stream);
        for id in held.into_iter().rev() {
            if let Some(entry) = self.messages.get(&id) {
                let class = entry.message.class;
                self.dispatchers[carrier.0 as usize].lanes.push_front(class, id);
            }
        }
    }

    /// Carriers that have no bind from the start on fail over too.
    pub(super) fn watch_carriers(&mut self) {
        let at_us = self.now.mono_us + self.plan.bounds.failover_after_ms * 1000;
        for carrier in 0..self.dispatchers.len() {
            self.timers.set(at_us, Timer::Failover(CarrierId(carrier as u16)));
        }
    }

    /// The parts of a message that waits at `carrier`; `None` if it doesn't wait there any more, or has just expired.
    fn parts_to_send(&mut self, id: MessageId, carrier: CarrierId) -> Option<Parts> {
        let entry = self.messages.get(&id)?;
        if entry.phase != Phase::Waiting(carrier) {
            return None;
        }
        if entry.message.expires_ms <= self.now.wall_ms {
            self.verdict(id, State::Expired, 0);
            return None;
        }
        if entry.parts.any_taken() {
            return Some(entry.parts.clone());
        }
        let count = segment::count(&entry.message.body, &self.plan.carrier(carrier).segments);
        if count > 255 {
            self.verdict(id, State::Rejected, 0);
            return None;
        }
        Some(Parts::unsent(count as u8))
    }

    fn hand_out(&mut self, id: MessageId, carrier: CarrierId, bind: usize, mut parts: Parts, open: i64) {
        let plan = self.plan.clone();
        let slots = &mut self.dispatchers[carrier.0 as usize].binds[bind];
        slots.free -= open;
        let bind = slots.id;
        let Some(entry) = self.messages.get_mut(&id) else { return };
        self.dispatchers[carrier.0 as usize].flights.left(entry.stream(), bind);
        if parts.len() > 1 && !entry.parts.any_taken() {
            entry.reference = self.references.next(&entry.message);
            if matches!(plan.carrier(carrier).segments.concatenation, Concatenation::Udh8) {
                entry.reference &= 0xff;
            }
        }
        for part in 0..parts.len() as u8 {
            if parts.get(part) == Some(PartState::Unsent) {
                parts.set(part, PartState::InFlight);
            }
        }
        entry.parts = parts;
        entry.with = bind;
        entry.refused = Refused::Nothing;
        let otp = !plan.class(entry.message.class).resend_in_doubt;
        self.set_phase(id, Phase::InFlight(carrier));
        if otp {
            if let Some(entry) = self.messages.get_mut(&id) {
                entry.attempted = true;
                entry.attempted_at = carrier;
            }
            self.touch(id);
            self.record(&Event::Attempt { message: id, carrier });
            self.after_commit(Effect::Send { bind, message: id });
        } else {
            self.send(bind, id);
        }
    }

    /// The attempt is on record: to the socket with it. If the bind went away meanwhile, it was never sent.
    pub(super) fn send_attempted(&mut self, bind: BindId, id: MessageId) {
        let dispatcher = &mut self.dispatchers[bind.carrier.0 as usize];
        let Some(entry) = self.messages.get(&id).filter(|entry| entry.with == bind) else {
            // It has ended meanwhile, or went elsewhere: what was never handed to the bind frees its slots.
            self.abandoned.retain(|(ticket, with)| {
                let frees = ticket.message == id && *with == bind;
                if frees {
                    dispatcher.release(bind);
                }
                !frees
            });
            return;
        };
        if dispatcher.binds.iter().any(|b| b.id == bind) {
            return self.send(bind, id);
        }
        let parts = entry.parts.len() as u8;
        for part in 0..parts {
            self.outcome(bind, Ticket { message: id, part }, Outcome::NotSent);
        }
    }

    /// Every run of parts that are in flight from now on.
    fn send(&mut self, bind: BindId, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let carrier = self.plan.carrier(bind.carrier);
        let ask_receipt = carrier.always_ask_receipt || (entry.message.report.wants_final() && !carrier.never_ask_receipt);
        let (message, reference, parts) = (Arc::clone(&entry.message), entry.reference, entry.parts.clone());
        let mut first = 0;
        for run in parts.as_slice().chunk_by(|a, b| a == b) {
            let end = first + run.len() as u8;
            if run[0] == PartState::InFlight {
                let parts = parts.len() as u8;
                let message = Arc::clone(&message);
                self.command(bind, BindCommand::Send { message, first_part: first, end_part: end, parts, reference, ask_receipt });
            }
            first = end;
        }
    }

    /// A message comes back to the front of its carrier's lane.
    pub(super) fn return_to_lane(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let class = entry.message.class;
        self.set_phase(id, Phase::Waiting(carrier));
        self.dispatchers[carrier.0 as usize].lanes.push_front(class, id);
    }
}
