//! Why something waits: one typed cause for every message that isn't where it wants to be, and for every lane. Read by the admin API, `explain` and the
//! metrics; decides nothing.

use super::Engine;
use super::dispatch::CarrierWait;
use super::lane::Queue;
use super::lanes::{Hold, LaneKey};
use super::messages::Phase;
use super::port::CarrierId;
use crate::model::{Class, MessageId, State};
use crate::telemetry::{WAIT_CAUSES, WaitFigures};
use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Formatter};

/// What a message waits on, in words: `pause 3 (maintenance)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitsOn {
    /// What anybody may read, its sender too.
    pub what: String,
    /// Why, as operators tell each other; empty: nothing.
    pub reason: String,
}

impl From<&str> for WaitsOn {
    fn from(what: &str) -> WaitsOn {
        WaitsOn::from(what.to_owned())
    }
}

impl From<String> for WaitsOn {
    fn from(what: String) -> WaitsOn {
        WaitsOn { what, reason: String::new() }
    }
}

impl Display for WaitsOn {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &*self.reason {
            "" => f.write_str(&self.what),
            reason => write!(f, "{} ({reason})", self.what),
        }
    }
}

impl Serialize for WaitsOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a live message waits for. Instants are wall milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// Its acceptance isn't on stable storage yet.
    Sync,
    /// Its time: scheduled, or between two tries (then `attempts` is over 0).
    Time {
        /// Not before.
        due_ms: u64,
        /// Tries so far.
        attempts: u8,
    },
    /// Its turn in a lane.
    Lane {
        /// In front of which carrier.
        carrier: CarrierId,
        /// Which lane.
        lane: LaneKey,
        /// What holds the lane back.
        cause: LaneWait,
    },
    /// An earlier message of the same class to the same number, which is with a bind.
    Order {
        /// Of which carrier.
        carrier: CarrierId,
    },
    /// The carrier's answer.
    Answer {
        /// Which carrier.
        carrier: CarrierId,
    },
    /// Something that settles its doubt: a late answer, a receipt, or the end of the class's patience.
    Doubt {
        /// Which carrier.
        carrier: CarrierId,
    },
    /// The carrier's receipt.
    Receipt {
        /// Which carrier.
        carrier: CarrierId,
    },
    /// A carrier's late word on what we have settled ourselves.
    LateWord {
        /// Which carrier.
        carrier: CarrierId,
        /// As what we have settled it.
        state: State,
    },
}

/// What holds a lane back. Instants are mono microseconds; `u64::MAX`: only an event can change it.
#[derive(Debug, Clone, PartialEq)]
pub enum LaneWait {
    /// The whole carrier waits.
    Carrier(CarrierWait),
    /// The limit of this name has no permit until then.
    Limit(String, u64),
    /// It was paused.
    Paused,
    /// Much at its head doesn't leave (cancelled, stopped, expired) and is cleared away, a part each millisecond.
    Passing,
    /// Its class may not be sent at this hour of its recipients, or leaves spread over the time after an opening; until then.
    Hours(u64),
    /// Its first message is on disk and on its way into memory.
    Disk,
    /// Nothing but its turn among the other lanes.
    Turn,
}

/// What is told of one lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneReport {
    /// In front of which carrier.
    pub carrier: CarrierId,
    /// Which.
    pub lane: LaneKey,
    /// The limits that it pays, by name.
    pub limits: Vec<String>,
    /// Messages in memory, stale places included.
    pub in_memory: u64,
    /// Messages on disk.
    pub on_disk: u64,
    /// When its first message was accepted, wall milliseconds; on disk: the oldest of the first chunk. 0: nothing is known.
    pub oldest_ms: u64,
    /// What it waits for.
    pub cause: LaneWait,
    /// Segments a second that it has sent of late.
    pub per_s: f64,
    /// When it will be empty, seconds; see [`drains_in_s`].
    pub drains_in_s: Option<f64>,
}

impl LaneWait {
    /// The name in answers and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            LaneWait::Carrier(wait) => wait.name(),
            LaneWait::Limit(..) => "limit",
            LaneWait::Paused => "paused",
            LaneWait::Passing => "clearing",
            LaneWait::Hours(_) => "hours",
            LaneWait::Disk => "on_disk",
            LaneWait::Turn => "turn",
        }
    }

    /// Nothing leaves, at whatever rate, until somebody or something opens it.
    fn is_shut(&self) -> bool {
        use CarrierWait::{NoBind, RateZero, SaidNo};
        matches!(self, LaneWait::Paused | LaneWait::Hours(_) | LaneWait::Carrier(NoBind | RateZero | SaidNo(_)))
    }

    /// It goes on as fast as it is allowed.
    fn is_paced(&self) -> bool {
        use CarrierWait::{Answers, BindRate, Rate};
        matches!(self, LaneWait::Limit(..) | LaneWait::Carrier(Rate(_) | Answers(_) | BindRate(_)))
    }
}

/// When so many messages will have left, seconds: at the rate of late, or where nothing has left yet and the allowed rate is what they wait for (`is_paced`), at
/// that. `None` while nothing leaves (`is_shut`): a time would be invented.
fn drains_in_s(messages: f64, per_s: f64, allowed_per_s: f64, is_paced: bool, is_shut: bool) -> Option<f64> {
    let per_s = if per_s >= 0.01 { per_s } else { Some(allowed_per_s).filter(|_| is_paced)? };
    let seconds = Some(messages / per_s).filter(|seconds| per_s.is_finite() && seconds.is_finite());
    seconds.filter(|_| !is_shut)
}

impl CarrierWait {
    /// As [`LaneWait::name`].
    pub fn name(self) -> &'static str {
        match self {
            CarrierWait::NoBind => "no_bind",
            CarrierWait::RateZero => "rate_zero",
            CarrierWait::Window => "window_full",
            CarrierWait::Rate(_) => "carrier_rate",
            CarrierWait::Answers(_) => "throttled_by_carrier",
            CarrierWait::SaidNo(_) => "carrier_takes_nothing",
            CarrierWait::BindRate(_) => "bind_rate",
        }
    }
}

/// What a lane waits on. `closed`: an operator shut its carrier; `hold`: by itself; `whole`: with everything before its carrier; `has_head`: its first message is in memory; `limit`: the name of a limit.
fn cause(closed: bool, hold: Option<(Hold, u64)>, whole: Option<CarrierWait>, has_head: bool, limit: impl Fn(u16) -> String) -> LaneWait {
    match (hold, whole) {
        _ if closed => LaneWait::Paused,
        (Some((Hold::Limit(at), until)), _) => LaneWait::Limit(limit(at), until),
        (Some((Hold::Paused, _)), _) => LaneWait::Paused,
        (Some((Hold::Passing, _)), _) => LaneWait::Passing,
        (Some((Hold::Hours, until)), _) => LaneWait::Hours(until),
        (None, Some(whole)) => LaneWait::Carrier(whole),
        (None, None) if !has_head => LaneWait::Disk,
        (None, None) => LaneWait::Turn,
    }
}

impl Engine {
    /// Every lane that holds anything, by carrier and key.
    pub fn lane_reports(&self) -> Vec<LaneReport> {
        let mut reports = Vec::new();
        for (at, dispatcher) in self.dispatchers.iter().enumerate() {
            let carrier = CarrierId(at as u16);
            let (closed, whole) = (self.closed_by(at).is_some(), dispatcher.waits_for(self.now));
            let first = reports.len();
            for lane in dispatcher.lanes.heads() {
                let in_memory = lane.queue.depth();
                let limit = |limit| self.limits.name(limit).to_owned();
                let cause = cause(closed, lane.hold, whole, lane.queue.first().is_some(), limit);
                let on_disk = self.on_disk(lane.queue);
                let limits = self.limits.of(lane.key.split);
                let allowed = limits.iter().filter_map(|&limit| self.limits.bucket(limit).per_s()).fold(f64::INFINITY, f64::min);
                let allowed = allowed.min(dispatcher.rate_per_s().unwrap_or(f64::INFINITY));
                let messages = in_memory as u64 + on_disk;
                reports.push(LaneReport {
                    carrier,
                    lane: lane.key,
                    limits: limits.iter().map(|&limit| self.limits.name(limit).to_owned()).collect(),
                    in_memory: in_memory as u64,
                    on_disk,
                    oldest_ms: self.head_ms(lane.queue)[0],
                    drains_in_s: drains_in_s(messages as f64, lane.per_s, allowed, cause.is_paced(), cause.is_shut()),
                    cause,
                    per_s: lane.per_s,
                });
            }
            reports[first..].sort_unstable_by_key(|report: &LaneReport| report.lane);
        }
        reports
    }

    /// Messages of a lane that are out of memory.
    fn on_disk(&self, queue: &Queue) -> u64 {
        queue.chunks().map(|chunk| self.cold.count_of(chunk)).sum()
    }

    /// When the first message of a lane was accepted and is due. Of one on disk its chunk knows the oldest id, which tells when it was made, and the earliest
    /// due time: it has waited so long at most. 0: nothing is known.
    fn head_ms(&self, queue: &Queue) -> [u64; 2] {
        let head = match queue.first() {
            Some(id) => self.messages.get(&id).map(|entry| [entry.message.accepted_ms, entry.message.due_ms]),
            None => queue.chunks().next().and_then(|chunk| self.cold.head_of(chunk)).map(|(first, due_ms)| [first.made_at_ms(), due_ms]),
        };
        head.unwrap_or_default()
    }

    /// What waits in front of a carrier, by class, for the metrics.
    pub(super) fn wait_figures(&self, at: usize) -> [WaitFigures; Class::ALL.len()] {
        let dispatcher = &self.dispatchers[at];
        let (closed, whole) = (self.closed_by(at).is_some(), dispatcher.waits_for(self.now));
        let (mut figures, mut speeds) = ([WaitFigures::default(); Class::ALL.len()], [0.0; Class::ALL.len()]);
        let (mut are_shut, mut are_paced) = ([false; Class::ALL.len()], [false; Class::ALL.len()]);
        for head in dispatcher.lanes.heads() {
            let may_leave = !closed && !matches!(head.hold, Some((Hold::Hours | Hold::Paused, _)));
            let in_memory = head.queue.depth();
            let cause = cause(closed, head.hold, whole, head.queue.first().is_some(), |_| String::new());
            let class = head.key.class as usize;
            are_shut[class] |= cause.is_shut();
            are_paced[class] |= cause.is_paced();
            let figures = &mut figures[class];
            let place = WAIT_CAUSES.iter().position(|of| *of == cause.name());
            debug_assert!(place.is_some(), "{} is declared with the metrics", cause.name());
            if let Some(place) = place {
                figures.causes[place] += in_memory as u64 + self.on_disk(head.queue);
            }
            let [accepted_ms, due_ms] = self.head_ms(head.queue);
            let since_ms = accepted_ms.max(due_ms);
            if may_leave && since_ms > 0 {
                figures.oldest_ms = figures.oldest_ms.max(self.now.wall_ms.saturating_sub(since_ms));
            }
            speeds[class] += head.per_s;
        }
        for (class, figures) in figures.iter_mut().enumerate() {
            let waiting = dispatcher.waiting[class].max(0) as f64;
            let allowed = dispatcher.rate_per_s().unwrap_or(f64::INFINITY);
            let seconds = drains_in_s(waiting, speeds[class], allowed, are_paced[class], are_shut[class]);
            figures.drains_in_s = if waiting == 0.0 { Some(0.0) } else { seconds };
        }
        figures
    }

    /// What a message waits for; `None` if it isn't in memory or has ended.
    pub fn waits_for(&self, id: MessageId) -> Option<Wait> {
        let entry = self.messages.get(&id)?;
        Some(match entry.phase {
            Phase::Accepting => Wait::Sync,
            Phase::Deferred => Wait::Time { due_ms: entry.message.due_ms.max(entry.retry_ms), attempts: entry.attempts },
            Phase::Waiting(carrier) if self.dispatchers[carrier.0 as usize].flights.is_held(entry.stream(), id) => Wait::Order { carrier },
            Phase::Waiting(carrier) => {
                let lane = self.lane_of(&entry.message, carrier);
                let report = self.lane_reports().into_iter().find(|report| report.carrier == carrier && report.lane == lane);
                Wait::Lane { carrier, lane, cause: report.map_or(LaneWait::Turn, |report| report.cause) }
            }
            Phase::InFlight(carrier) => Wait::Answer { carrier },
            Phase::Doubt(carrier) => Wait::Doubt { carrier },
            Phase::Sent(carrier) => Wait::Receipt { carrier },
            Phase::Settled(carrier, state) => Wait::LateWord { carrier, state },
        })
    }
}
