//! Stops 9 to 11: the dispatcher of one carrier owns its lanes, its bucket and the windows of its binds, and hands out messages as
//! binds have room and the bucket has permits.

use super::adaptive::{Adaptive, AdaptiveBounds, Remembered};
use super::event::Event;
use super::flights::{Flights, Stream};
use super::lanes::{Hold, LaneId, LaneKey, Lanes};
use super::limits::Limits;
use super::messages::{PartState, Parts, Phase};
use super::outcome::Refused;
use super::plan::CarrierPlan;
use super::port::{BindCommand, BindId, CarrierId, Outcome, Output, Ticket};
use super::throttle::{Bucket, pay_all};
use super::timers::Timer;
use super::{Effect, Engine};
use crate::model::{Class, Message, MessageId, Now, State};
use crate::telemetry::{CarrierFigures, OutcomeCounts, TimeHistogram};
use crate::text::segment::{self, Concatenation};
use std::sync::Arc;

/// One live bind.
#[derive(Debug)]
struct BindSlots {
    id: BindId,
    window: i64,
    /// May go below zero for one message of more parts than the window holds.
    free: i64,
    /// Its own rate.
    bucket: Bucket,
    /// mono_us before which it has no permit.
    lacks_until: u64,
    /// It is given nothing: paused, drained or unbound by an operator.
    closed: bool,
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
    /// Binds that are given nothing, by their index; `None`: all of them.
    closed: Vec<Option<u16>>,
    /// Closed by a pause: what waits here stays here.
    pub(super) is_paused: bool,
    /// Messages that wait here, by class.
    pub(super) waiting: [i64; 3],
    pub(super) adaptive: Adaptive,
    /// The level that had no permit when it was last asked.
    lacks: Option<CarrierWait>,
    recorded_per_s: f64,
    reserve_percent: i64,
    throttled_us: u64,
    pub(super) flights: Flights,
    outcomes: OutcomeCounts,
    ends: [u64; State::ALL.len()],
    /// From taking a message to its final receipt.
    pub(super) receipt_times: TimeHistogram,
}

impl Dispatcher {
    /// The dispatcher of `carrier`, without binds. `shares_percent`: what each class is guaranteed.
    pub fn new(carrier: &CarrierPlan, shares_percent: [u8; 3], now: Now) -> Dispatcher {
        Dispatcher {
            lanes: Lanes::new(shares_percent),
            wake_at: u64::MAX,
            bucket: Bucket::new(carrier.rate_per_s, carrier.burst, now),
            binds: Vec::new(),
            closed: Vec::new(),
            is_paused: false,
            waiting: [0; 3],
            adaptive: Adaptive::new(adaptive_bounds(carrier), now),
            lacks: None,
            recorded_per_s: 0.0,
            reserve_percent: i64::from(carrier.marketing_reserve_percent),
            throttled_us: 0,
            flights: Flights::default(),
            outcomes: OutcomeCounts::default(),
            ends: [0; State::ALL.len()],
            receipt_times: TimeHistogram::default(),
        }
    }

    /// It has a bind that can send and may, and its rate isn't 0.
    pub fn is_usable(&self) -> bool {
        self.binds.iter().any(|b| b.window > 0 && !b.closed) && !self.bucket.is_paused()
    }

    /// These binds (`None`: all) are given nothing from now on, all others may send. True if that ends what could send before.
    pub(super) fn close(&mut self, closed: &[Option<u16>], is_paused: bool) -> bool {
        let before = self.is_usable();
        self.closed = closed.to_vec();
        self.is_paused = is_paused;
        for bind in &mut self.binds {
            bind.closed = self.closed.iter().any(|index| index.is_none_or(|index| index == bind.id.index));
        }
        before && !self.is_usable()
    }

    /// Other rates, bursts, bounds, reserve and shares. What buckets hold they keep.
    pub(super) fn follow(&mut self, carrier: &CarrierPlan, shares_percent: [u8; 3], now: Now) {
        self.bucket.set_rate(carrier.rate_per_s.map(f64::from), carrier.burst, now);
        for bind in &mut self.binds {
            bind.bucket.set_rate(carrier.bind_rate_per_s.map(f64::from), 0, now);
            bind.lacks_until = 0;
        }
        self.adaptive.set_bounds(adaptive_bounds(carrier));
        self.reserve_percent = i64::from(carrier.marketing_reserve_percent);
        self.lanes.set_shares(shares_percent);
    }

    /// The bind of this index is up and sends.
    pub(super) fn has_bind(&self, index: u16) -> bool {
        self.binds.iter().any(|b| b.id.index == index && b.window > 0)
    }

    /// The place of that bind if it has room for so many parts and they have their permits, closed or not.
    pub(super) fn room_of(&mut self, index: u16, parts: i64, now: Now) -> Option<usize> {
        let at = self.binds.iter().position(|b| b.id.index == index && b.free >= parts)?;
        // What is paid here towards more than a burst is lost if the rest isn't there; a test message has one part.
        let (own, mut paid) = ([&self.bucket, self.adaptive.bucket(), &self.binds[at].bucket], 0);
        let is_free = self.adaptive.paused(now).is_none() && pay_all(own.into_iter(), parts as u32, &mut paid, now).is_ok();
        is_free.then_some(at)
    }

    /// Nothing is in flight with the bind of this index, or with any.
    pub(super) fn is_landed(&self, index: Option<u16>) -> bool {
        self.binds.iter().filter(|b| index.is_none_or(|index| index == b.id.index)).all(|b| b.free >= b.window)
    }

    /// Binds that can send, slots of their windows, and those in use.
    pub(super) fn windows(&self) -> (usize, i64, i64) {
        let binds = self.binds.iter().filter(|b| b.window > 0);
        binds.fold((0, 0, 0), |sum, b| (sum.0 + 1, sum.1 + b.window, sum.2 + b.window - b.free))
    }

    /// Its own buckets: the configured rate, and what its answers allow.
    pub(super) fn own_buckets(&self) -> impl Iterator<Item = (&'static str, &Bucket)> + '_ {
        [("carrier", &self.bucket), ("what the carrier's answers allow", self.adaptive.bucket())].into_iter()
    }

    /// What keeps the next message from leaving, if anything does.
    pub(super) fn waits_on(&self, now: Now) -> Option<String> {
        let ms = |us: u64| us.saturating_sub(now.mono_us) / 1000;
        if self.bucket.is_paused() {
            return Some("rate 0: paused".to_owned());
        }
        if !self.binds.iter().any(|b| b.window > 0) {
            return Some("no bind is up".to_owned());
        }
        if !self.is_usable() {
            return Some("every bind is paused or drained".to_owned());
        }
        if let Some(until) = self.adaptive.paused(now) {
            return Some(format!("the carrier asked to slow down: {} ms", ms(until)));
        }
        if self.wake_at != u64::MAX {
            return Some(format!("permits: {} ms", ms(self.wake_at)));
        }
        self.roomiest(now).is_none().then(|| "room in the windows".to_owned())
    }

    /// What the metrics tell of it.
    pub fn figures(&self) -> CarrierFigures {
        CarrierFigures {
            states: self.ends,
            lanes: self.waiting.map(|waiting| waiting.max(0) as u64),
            throttled_us: self.throttled_us,
            rate_limit: self.bucket.per_s(),
            rate_allowed: self.rate_per_s(),
            receipt_times: self.receipt_times,
            outcomes: self.outcomes,
            ..CarrierFigures::default()
        }
    }

    /// A message that it had has ended.
    pub(super) fn ended(&mut self, state: State) {
        self.ends[state as usize] += 1;
    }

    /// A part got its outcome; `open`: it was in flight until now.
    pub(super) fn count_outcome(&mut self, outcome: &Outcome, open: bool, now: Now) {
        match outcome {
            Outcome::Sent { .. } if open => self.adaptive.taken(now),
            // Counted with the pause that it asks for.
            Outcome::Throttled { .. } => {}
            _ if open => self.adaptive.landed(now),
            _ => {}
        }
        outcome.count(&mut self.outcomes);
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

    /// The bind with most room and a permit, and the least urgent class that may use it: marketing leaves its reserve, at least one slot of a window over 1.
    fn roomiest(&self, now: Now) -> Option<(usize, Class)> {
        let usable = |b: &&BindSlots| b.free > 0 && !b.closed && b.lacks_until <= now.mono_us;
        let by_room = |b: &BindSlots, at: usize| (b.free, std::cmp::Reverse(at));
        let (at, slots) = self.binds.iter().enumerate().filter(|(_, b)| usable(b)).max_by_key(|(at, b)| by_room(b, *at))?;
        let reserve = if slots.window > 1 { (slots.window * self.reserve_percent / 100).max(1) } else { 0 };
        Some((at, if slots.free > reserve { Class::Marketing } else { Class::Transactional }))
    }

    /// Permits at every level or at none: the carrier's rate, the rate that its answers allow, the bind's, and every limit that the lane falls under.
    fn permit(&mut self, lane: LaneId, bind: usize, limits: &Limits, segments: u32, now: Now) -> Result<(), Lacks> {
        if self.lanes.key(lane).class == Class::Marketing {
            self.leaves_reserve(segments, now)?;
        }
        // What a lane pays in instalments may leave by another bind than was meant at first: to its bind a message pays once and as a whole.
        let of_bind = &self.binds[bind].bucket;
        of_bind.ask(segments.min(of_bind.burst()), now).map_err(Lacks::Bind)?;
        let mut paid = std::mem::take(self.lanes.paid(lane));
        let own = [&self.bucket, self.adaptive.bucket()];
        let of_lane = self.lanes.limits(lane);
        let result = pay_all(own.into_iter().chain(of_lane.iter().map(|&at| limits.bucket(at))), segments, &mut paid, now);
        let lacks = result.map_err(|(level, earliest)| match level {
            0 => Lacks::Carrier(earliest),
            1 => Lacks::Answers(earliest),
            n => Lacks::Limit(of_lane[n - 2], earliest),
        });
        if lacks.is_ok() {
            self.binds[bind].bucket.overdraw(segments);
        }
        *self.lanes.paid(lane) = paid;
        lacks
    }

    /// As of a window, marketing leaves a share of the carrier's permits to what is more urgent, so that a code needs not wait for the next one. While
    /// something more urgent waits anyway, marketing is here for its guaranteed share, and takes what there is.
    fn leaves_reserve(&self, segments: u32, now: Now) -> Result<(), Lacks> {
        if self.waiting[Class::Otp as usize] > 0 || self.waiting[Class::Transactional as usize] > 0 {
            return Ok(());
        }
        let asked = |bucket: &Bucket| {
            let burst = bucket.burst();
            let reserve = if burst == u32::MAX { 0 } else { (u64::from(burst) * self.reserve_percent as u64 / 100) as u32 };
            bucket.ask(segments.saturating_add(reserve).min(burst), now)
        };
        asked(&self.bucket).map_err(Lacks::Carrier)?;
        asked(self.adaptive.bucket()).map_err(Lacks::Answers)
    }

    /// A level had no permit for the head of `lane`. True if that holds back everything in front of the carrier.
    fn must_wait(&mut self, lane: LaneId, bind: usize, lacks: Lacks, now: Now) -> bool {
        match lacks {
            Lacks::Limit(at, earliest) => {
                self.lanes.hold(lane, earliest, Hold::Limit(at));
                false
            }
            Lacks::Bind(earliest) => {
                self.binds[bind].lacks_until = earliest;
                false
            }
            Lacks::Carrier(earliest) => {
                (self.wake_at, self.lacks) = (earliest, Some(CarrierWait::Rate(earliest)));
                true
            }
            Lacks::Answers(earliest) => {
                self.adaptive.lacked(now);
                (self.wake_at, self.lacks) = (earliest, Some(CarrierWait::Answers(earliest)));
                true
            }
        }
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

    /// What holds back everything in front of this carrier, if something does.
    pub(super) fn waits_for(&self, now: Now) -> Option<CarrierWait> {
        if !self.binds.iter().any(|b| b.window > 0) {
            return Some(CarrierWait::NoBind);
        }
        if self.bucket.is_paused() {
            return Some(CarrierWait::RateZero);
        }
        if let Some(until) = self.adaptive.paused(now) {
            return Some(CarrierWait::SaidNo(until));
        }
        if !self.binds.iter().any(|b| b.free > 0) {
            return Some(CarrierWait::Window);
        }
        self.lacks
    }

    /// The slower of its configured rate and the one that its answers allow, segments a second; `None` if nothing limits it.
    pub fn rate_per_s(&self) -> Option<f64> {
        [self.bucket.per_s(), self.adaptive.allowed()].into_iter().flatten().reduce(f64::min)
    }

    /// Rate that its answers allow now, segments a second, if they limit it.
    pub fn allowed_per_s(&self) -> Option<f64> {
        self.adaptive.allowed()
    }
}

/// The head of a lane doesn't leave; the step has spent so much on finding that.
struct Passed(u32);

/// Its place in the lane is left over: it is elsewhere by now.
const STALE: Passed = Passed(1);
/// It has ended, or went elsewhere: something was written down.
const ENDED: Passed = Passed(16);
/// How much a step may spend on heads that don't leave, for one carrier: a hundred of a million that were just cancelled, not all of them. Beyond it every
/// lane that has such a head rests for [`PASSING_US`]; what can leave by other lanes does.
const PASSED_MAX: u32 = 1_600;
const PASSING_US: u64 = 1_000;

/// Which level had no permit, and when (mono_us) it is worth asking again.
#[derive(Debug, Clone, Copy)]
enum Lacks {
    Carrier(u64),
    Answers(u64),
    Bind(u64),
    Limit(u16, u64),
}

/// Why everything in front of a carrier waits. Times are mono_us; `u64::MAX`: only an event can change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierWait {
    /// It has no bind that can send.
    NoBind,
    /// Its rate is 0.
    RateZero,
    /// Every window is full.
    Window,
    /// Its configured rate is used up until then.
    Rate(u64),
    /// The rate that its throttle answers allow is used up until then.
    Answers(u64),
    /// It took nothing at all and is left alone until then.
    SaidNo(u64),
    /// No bind has a permit until then.
    BindRate(u64),
}

fn adaptive_bounds(carrier: &CarrierPlan) -> AdaptiveBounds {
    AdaptiveBounds {
        floor_per_s: f64::from(carrier.floor_per_s.max(1)),
        ceiling_per_s: carrier.rate_per_s.map_or(f64::INFINITY, f64::from),
        slow_answer_us: carrier.slow_answer_ms * 1000,
    }
}

impl Engine {
    pub(super) fn bind_up(&mut self, bind: BindId, window: u32) {
        let Some(dispatcher) = self.dispatchers.get_mut(bind.carrier.0 as usize) else { return };
        let closed = dispatcher.closed.iter().any(|index| index.is_none_or(|index| index == bind.index));
        let (window, bucket) = (i64::from(window), Bucket::new(self.plan.carrier(bind.carrier).bind_rate_per_s, 0, self.now));
        dispatcher.binds.push(BindSlots { id: bind, window, free: window, bucket, lacks_until: 0, closed, commands: Vec::new() });
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
        let dispatcher = &mut self.dispatchers[at];
        (dispatcher.wake_at, dispatcher.lacks) = (u64::MAX, None);
        if dispatcher.lanes.is_quiet() {
            return;
        }
        self.move_on(carrier);
        let dispatcher = &mut self.dispatchers[at];
        if let Some(until) = dispatcher.adaptive.paused(now) {
            dispatcher.wake_at = until;
            return;
        }
        let mut passed = 0;
        while let Some((bind, least)) = self.dispatchers[at].roomiest(now) {
            let dispatcher = &mut self.dispatchers[at];
            let Some(lane) = dispatcher.lanes.next(least, now.mono_us) else { break };
            let key = dispatcher.lanes.key(lane);
            if key.zone != 0 && self.knows_zone(carrier, lane, key) && self.is_closed(carrier, lane, key) {
                continue;
            }
            if !self.overlay.is_quiet() && self.overlay.holds_lane(&key, carrier).is_some() {
                self.dispatchers[at].lanes.hold(lane, u64::MAX, Hold::Paused);
                continue;
            }
            let dispatcher = &mut self.dispatchers[at];
            let Some(id) = dispatcher.lanes.pop(lane) else { continue };
            let parts = match self.parts_to_send(id, carrier) {
                Ok(parts) => parts,
                Err(Passed(cost)) => {
                    passed += cost;
                    if passed > PASSED_MAX {
                        self.dispatchers[at].lanes.hold(lane, now.mono_us + PASSING_US, Hold::Passing);
                    }
                    continue;
                }
            };
            if !self.is_its_lane(id, carrier, lane) {
                continue;
            }
            let open = parts.count(PartState::Unsent) as i64;
            let Some(bind) = self.bind_in_order(id, at, bind, open) else { continue };
            let dispatcher = &mut self.dispatchers[at];
            let slots = &dispatcher.binds[bind];
            if slots.free < open && slots.free < slots.window {
                // It needs more room than any bind has now, and will have it once its window is empty.
                dispatcher.lanes.push_front(lane, id);
                return;
            }
            match dispatcher.permit(lane, bind, &self.limits, open as u32, now) {
                Ok(()) => {
                    dispatcher.lanes.served(lane, open as u32);
                    if key.zone != 0 {
                        dispatcher.lanes.keep_spread(lane, open as u32, now.mono_us);
                    }
                    dispatcher.adaptive.granted(open as u32, now);
                    self.hand_out(id, carrier, bind, parts, open);
                }
                Err(lacks) => {
                    dispatcher.lanes.push_front(lane, id);
                    if dispatcher.must_wait(lane, bind, lacks, now) {
                        return;
                    }
                }
            }
        }
        let dispatcher = &mut self.dispatchers[at];
        let binds = dispatcher.binds.iter().filter(|b| b.free > 0 && b.lacks_until > now.mono_us).map(|b| b.lacks_until).min();
        if let Some(earliest) = binds {
            dispatcher.lacks = Some(CarrierWait::BindRate(earliest));
        }
        // While no bind has room the end of a hold changes nothing: the answer that makes room brings the next try.
        let release = dispatcher.roomiest(now).and_then(|_| dispatcher.lanes.next_release());
        dispatcher.wake_at = binds.unwrap_or(u64::MAX).min(release.unwrap_or(u64::MAX));
    }

    /// The zone of a lane that was found in the ledger is learned from its first message. False if that one is gone, or belongs elsewhere by now: whoever
    /// takes it sees that.
    fn knows_zone(&mut self, carrier: CarrierId, lane: LaneId, key: LaneKey) -> bool {
        if !self.hours.knows(key.zone)
            && let Some(id) = self.dispatchers[carrier.0 as usize].lanes.queue(lane).peek()
            && let Some(entry) = self.messages.get(&id)
        {
            self.hours.learn(&self.plan, &entry.message);
        }
        self.hours.knows(key.zone)
    }

    /// True if the class may not be sent now in the lane's zone: the lane waits for the next opening.
    fn is_closed(&mut self, carrier: CarrierId, lane: LaneId, key: LaneKey) -> bool {
        let now = self.now;
        let lanes = &mut self.dispatchers[carrier.0 as usize].lanes;
        let opens_ms = self.hours.closed_until(&self.plan, key.class, key.zone, now.wall_ms);
        match opens_ms {
            Some(opens_ms) => lanes.close(lane, now.mono_us + (opens_ms - now.wall_ms) * 1000),
            None => lanes.open(lane, self.plan.class(key.class).spread_ms * 1000, now.mono_us),
        }
        opens_ms.is_some()
    }

    /// True if the message's validity ends before it can leave at all: its class's hours open only later. It is expired at once.
    pub(super) fn ends_before_it_can_leave(&mut self, id: MessageId) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let (class, expires_ms) = (entry.message.class, entry.message.expires_ms);
        let zone = self.hours.zone_of(&self.plan, &entry.message);
        if zone == 0 {
            return false;
        }
        self.hours.learn(&self.plan, &entry.message);
        let opens_ms = self.hours.closed_until(&self.plan, class, zone, self.now.wall_ms);
        let ends = opens_ms.is_some_and(|opens_ms| expires_ms <= opens_ms);
        if ends {
            self.tally.expired_early += 1;
            self.verdict(id, State::Expired, 0);
        }
        ends
    }

    /// True if the message's validity ends before its turn can come: what stands before it in its lane takes longer at the fastest rate that is allowed. It is
    /// expired at once.
    pub(super) fn ends_before_its_turn(&mut self, id: MessageId, carrier: CarrierId, lane: LaneId) -> bool {
        let Some(entry) = self.messages.get(&id) else { return false };
        let (class, left_ms) = (entry.message.class, entry.message.expires_ms.saturating_sub(self.now.wall_ms));
        let dispatcher = &mut self.dispatchers[carrier.0 as usize];
        let limits = dispatcher.lanes.limits(lane).iter().map(|&at| self.limits.bucket(at));
        let buckets = limits.chain([&dispatcher.bucket]).filter_map(|bucket| Some((bucket.per_s()?, bucket.burst())));
        let most = buckets.map(|(per_s, burst)| f64::from(burst) + per_s * left_ms as f64 / 1000.0).fold(f64::INFINITY, f64::min);
        // Every message is at least one segment. Lanes hold stale places too, and what a cancel in force means may not have been cleared away yet: where it is
        // not certain what stands before the message, it waits.
        let waiting = dispatcher.waiting[class as usize].max(0) as u64;
        if most >= (waiting + self.cold.total()) as f64 {
            return false;
        }
        let queue = dispatcher.lanes.queue(lane);
        let (places, chunks) = (queue.depth() as u64, queue.chunks().map(|chunk| self.cold.count_of(chunk)).sum::<u64>());
        if !self.overlay.cancels.is_empty() || most >= (places + chunks) as f64 {
            return false;
        }
        // Nobody knows in which lanes the stale places are: they may all be in this one. What a pause keeps back, and what waits for an earlier message to
        // its phone, is counted and has no place.
        let aside = self.overlay.held() + dispatcher.flights.held();
        let stale = ((dispatcher.lanes.depth_of(class) + aside) as u64).saturating_sub(waiting);
        let ends = (places.saturating_sub(stale) + chunks) as f64 > most;
        if ends {
            self.tally.expired_early += 1;
            self.verdict(id, State::Expired, 0);
        }
        ends
    }

    /// True if the message belongs into this lane; else it has been moved to its own, where it stands before what came later.
    fn is_its_lane(&mut self, id: MessageId, carrier: CarrierId, lane: LaneId) -> bool {
        let has = self.dispatchers[carrier.0 as usize].lanes.key(lane);
        if self.limits.is_empty() && has.split == 0 && has.zone == 0 && self.plan.class(has.class).hours.is_empty() {
            return true;
        }
        let Some(key) = self.lane_key(id, carrier) else { return true };
        if key != has {
            let lane = self.lane(carrier, key);
            self.dispatchers[carrier.0 as usize].lanes.push_ahead(lane, id);
        } else if key.split != 0 {
            // A lane that is older than the plan, or was found in the ledger, has not heard yet which limits its split stands for.
            self.dispatchers[carrier.0 as usize].lanes.learn_limits(lane, || self.limits.of(key.split));
        }
        key == has
    }

    /// The key of the lane that a message waits in, or would wait in, in front of `carrier`.
    pub(super) fn lane_key(&mut self, id: MessageId, carrier: CarrierId) -> Option<LaneKey> {
        let message = &self.messages.get(&id)?.message;
        let split = self.limits.split(carrier, message);
        let zone = self.hours.zone_of(&self.plan, message);
        if zone != 0 {
            self.hours.learn(&self.plan, message);
        }
        Some(LaneKey { class: message.class, account: message.account, campaign: message.campaign, zone, split })
    }

    /// The same without remembering what its limits are.
    pub(super) fn lane_of(&self, message: &Message, carrier: CarrierId) -> LaneKey {
        let split = self.limits.split_of(carrier, message);
        let zone = self.hours.zone_of(&self.plan, message);
        LaneKey { class: message.class, account: message.account, campaign: message.campaign, zone, split }
    }

    /// The lane of this key in front of `carrier`.
    pub(super) fn lane(&mut self, carrier: CarrierId, key: LaneKey) -> LaneId {
        let weight = self.plan.accounts.get(key.account.0 as usize).map_or(1, |account| account.weight);
        let limits = &self.limits;
        self.dispatchers[carrier.0 as usize].lanes.lane(key, weight, || limits.of(key.split))
    }

    /// To the front of its lane, or to the end of it.
    pub(super) fn join_lane(&mut self, id: MessageId, carrier: CarrierId, front: bool) {
        let Some(key) = self.lane_key(id, carrier) else { return };
        let lane = self.lane(carrier, key);
        let lanes = &mut self.dispatchers[carrier.0 as usize].lanes;
        match front {
            true => lanes.push_front(lane, id),
            false => lanes.push(lane, id),
        }
    }

    /// It was taken from its lane and stays: before every chunk, in the order in which such messages come.
    pub(super) fn join_ahead(&mut self, id: MessageId, carrier: CarrierId) {
        let Some(key) = self.lane_key(id, carrier) else { return };
        let lane = self.lane(carrier, key);
        self.dispatchers[carrier.0 as usize].lanes.push_ahead(lane, id);
    }

    /// Once a second: how fast lanes are, and what carriers' answers allow, on record where it changed.
    pub(super) fn sweep_dispatchers(&mut self, seconds: f64) {
        let now = self.now;
        for dispatcher in &mut self.dispatchers {
            dispatcher.lanes.tidy(seconds);
            dispatcher.adaptive.sweep(now);
        }
        self.record_rates(false);
    }

    /// What each carrier's answers allow, on record: `all`, or only what differs from the last record by a fiftieth.
    pub(super) fn record_rates(&mut self, all: bool) {
        for at in 0..self.dispatchers.len() {
            let dispatcher = &mut self.dispatchers[at];
            let Some(Remembered { rate_per_s, said_no_per_s }) = dispatcher.adaptive.remember() else { continue };
            if all || (rate_per_s - dispatcher.recorded_per_s).abs() > dispatcher.recorded_per_s / 50.0 {
                dispatcher.recorded_per_s = rate_per_s;
                let carrier = CarrierId(at as u16);
                self.record(&Event::Rate { carrier, rate: rate_per_s.to_bits(), said_no: said_no_per_s.to_bits() });
            }
        }
    }

    /// What a RATE event means in replay.
    pub(super) fn apply_rate(&mut self, carrier: CarrierId, rate: u64, said_no: u64) {
        let remembered = Remembered { rate_per_s: f64::from_bits(rate), said_no_per_s: f64::from_bits(said_no) };
        let sound = remembered.rate_per_s > 0.0 && remembered.said_no_per_s > 0.0 && remembered.rate_per_s.is_finite();
        if let Some(dispatcher) = self.dispatchers.get_mut(carrier.0 as usize).filter(|_| sound) {
            dispatcher.adaptive.recall(remembered, self.now);
        }
    }

    /// The bind that keeps the order of the message's stream: `bind`, unless one of the stream is with another. `None`: it is held until that one has landed.
    fn bind_in_order(&mut self, id: MessageId, at: usize, bind: usize, open: i64) -> Option<usize> {
        let stream = self.messages.get(&id)?.stream();
        let dispatcher = &mut self.dispatchers[at];
        let Some((with, holds)) = dispatcher.flights.of(stream) else { return Some(bind) };
        // One that has no permit is as good as one that is full: trying it again and again would never end.
        let now_us = self.now.mono_us;
        let fits = |b: &BindSlots| b.id == with && b.free >= open && !b.closed && b.lacks_until <= now_us;
        let same = dispatcher.binds.iter().position(fits).filter(|_| !holds);
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
            self.join_lane(id, carrier, true);
        }
    }

    /// Carriers that have no bind from the start on fail over too.
    pub(super) fn watch_carriers(&mut self) {
        let at_us = self.now.mono_us + self.plan.bounds.failover_after_ms * 1000;
        for carrier in 0..self.dispatchers.len() {
            self.timers.set(at_us, Timer::Failover(CarrierId(carrier as u16)));
        }
    }

    /// The parts of a message that waits at `carrier`, and may leave.
    fn parts_to_send(&mut self, id: MessageId, carrier: CarrierId) -> Result<Parts, Passed> {
        let Some(entry) = self.messages.get(&id).filter(|entry| entry.phase == Phase::Waiting(carrier)) else { return Err(STALE) };
        if entry.message.expires_ms <= self.now.wall_ms {
            self.verdict(id, State::Expired, 0);
            return Err(ENDED);
        }
        if self.rules_stop(id, carrier) || (!self.overlay.is_quiet() && self.is_kept_back(id, carrier)) {
            return Err(ENDED);
        }
        let Some(entry) = self.messages.get(&id) else { return Err(ENDED) };
        if entry.parts.any_taken() {
            return Ok(entry.parts.clone());
        }
        let count = segment::count(&entry.message.body, &self.plan.carrier(carrier).segments);
        if count > 255 {
            self.verdict(id, State::Rejected, 0);
            return Err(ENDED);
        }
        Ok(Parts::unsent(count as u8))
    }

    pub(super) fn hand_out(&mut self, id: MessageId, carrier: CarrierId, bind: usize, mut parts: Parts, open: i64) {
        let plan = self.plan.clone();
        let slots = &mut self.dispatchers[carrier.0 as usize].binds[bind];
        slots.free -= open;
        let bind = slots.id;
        let Some(entry) = self.messages.get_mut(&id) else { return };
        self.dispatchers[carrier.0 as usize].flights.left(entry.stream(), bind);
        if parts.len() > 1 && !entry.parts.any_taken() {
            let narrow = matches!(plan.carrier(carrier).segments.concatenation, Concatenation::Udh8);
            entry.reference = self.references.next(&entry.message, narrow, self.now.mono_us);
        }
        for part in 0..parts.len() as u8 {
            if parts.get(part) == Some(PartState::Unsent) {
                parts.set(part, PartState::InFlight);
            }
        }
        if entry.attempts == 0 && entry.past.is_none() {
            let since_ms = entry.message.accepted_ms.max(entry.message.due_ms);
            let waited_ms = self.now.wall_ms.saturating_sub(since_ms);
            self.queue_times[entry.message.class as usize].record_us(waited_ms * 1000);
        }
        entry.parts = parts;
        entry.with = bind;
        entry.refused = Refused::Nothing;
        self.router.healths[carrier.0 as usize].left(id, self.now);
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

    /// The attempt is on record: to the socket with it. If the bind went away meanwhile, or it was cancelled, it was never sent.
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
        let (parts, is_up) = (entry.parts.len() as u8, dispatcher.binds.iter().any(|b| b.id == bind));
        // A number that was listed meanwhile, or a cancel: it waits again, and is stopped there.
        if is_up && !self.rules_forbid(id, bind.carrier) && !self.is_cancelled(id) {
            return self.send(bind, id);
        }
        for part in 0..parts {
            self.outcome(bind, Ticket { message: id, part }, Outcome::NotSent);
        }
    }

    /// Every run of parts that are in flight from now on.
    fn send(&mut self, bind: BindId, id: MessageId) {
        let Some(entry) = self.messages.get(&id) else { return };
        let carrier = self.plan.carrier(bind.carrier);
        let ask_receipt = carrier.always_ask_receipt || (entry.message.asks_receipt() && !carrier.never_ask_receipt);
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
        self.set_phase(id, Phase::Waiting(carrier));
        self.join_lane(id, carrier, true);
    }
}
