//! The judge of the buckets: in any window w a carrier, a bind, a limit lets through at most burst + rate × w segments. Judged from what crosses the engine's
//! doors: plans and changes that go in or are written down, segments that are handed to binds. The rules and whom they mean are told a second time here.
//!
//! A bucket is replayed: its level rises with the rate that is in force, up to the burst, and every segment that leaves takes one. That it never falls
//! below 0 is the same as the bound for all windows at once, with the rate integrated where it changed; at a change the level stays what it is, up to the new
//! burst. Buckets are empty after a restart, and when they come into being.
//!
//! Two things leave later than they pay. An otp pays when its attempt is written down, and leaves when that is durable: it is judged at the former, and the
//! wire, which is judged too, may see so much time's rate at once. A message larger than the least burst on its way (that of what the carrier's answers allow
//! included, which is not known here) pays in instalments and then leaves as a whole: what its lane has paid towards it is missing from what has left, so the
//! level may be so far below 0, by all its segments but one for each lane that has had such a message.

use super::judge::{Judged, Record, wrong};
use super::opening::Openings;
use crate::engine::event::Event;
use crate::engine::overlay::{Action, ChangeId, Limit, Record as Changed};
use crate::engine::plan::{AccountPlan, LimitPlan, Plan};
use crate::engine::port::BindId;
use crate::model::{Body, Class, Encoding, MessageId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a level may err: the engine counts a segment's time in whole nanoseconds.
const EPSILON: f64 = 0.01;
/// Between the engine's hand-out and the octets of it: two hops.
const HOPS_US: u64 = 1_000;
/// Longest that an attempt takes to be durable: one sync that is under way, and its own.
const SYNCS_US: u64 = 410_000;

/// Rate and burst of one bucket. `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    per_s: Option<f64>,
    burst: f64,
}

impl Pace {
    fn new(rate_per_s: Option<u32>, burst: u32) -> Pace {
        // 100 ms of the rate, and at least one.
        let usual = rate_per_s.map_or(1, |rate| (rate / 10).max(1));
        Pace { per_s: rate_per_s.map(f64::from), burst: f64::from(if burst == 0 { usual } else { burst }) }
    }
}

/// All rules in force at some moment.
#[derive(Debug, Clone)]
struct Rules {
    /// By carrier: its own, and that of each of its binds.
    carriers: Vec<[Pace; 2]>,
    /// By account: what it may hand in.
    accounts: Vec<Pace>,
    limits: Vec<LimitPlan>,
}

/// Names a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Carrier(u16),
    Bind(BindId),
    Limit(String),
    /// What reaches the wire of a carrier.
    Wire(u16),
    /// What an account hands in.
    Intake(u32),
}

/// Segments of one message that leave together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paid {
    /// The message's number.
    pub number: usize,
    /// By which bind.
    pub bind: BindId,
    /// How many.
    pub segments: u32,
    /// When they were paid, virtual microseconds.
    pub at_us: u64,
}

#[derive(Debug, Clone)]
enum Note {
    Started,
    Rules(Arc<Rules>),
    BindUp(BindId),
    Paid(Paid),
    /// Octets of so many submits are on the wire of a carrier.
    Wire(u16, u32),
    /// So many segments of an account are accepted, at least.
    Taken(u32, u32),
}

/// What the judge has heard of paces.
#[derive(Debug, Default)]
pub struct Paces {
    notes: Vec<((u64, u64), Note)>,
    count: u64,
    plan: Option<Arc<Plan>>,
    rules: Option<Arc<Rules>>,
    /// Hours of the plan in force.
    pub openings: Openings,
    /// Changes of limits in force: as written, and as durable.
    changes: [BTreeMap<ChangeId, Limit>; 2],
    /// When the attempts of otps that have not left yet were written.
    attempts: BTreeMap<MessageId, (u64, u64)>,
}

impl Paces {
    /// The order of a note that is made now.
    fn order(&mut self, at_us: u64) -> (u64, u64) {
        self.count += 1;
        (at_us, self.count)
    }

    fn note(&mut self, at_us: u64, note: Note) {
        let order = self.order(at_us);
        self.notes.push((order, note));
    }

    /// The gateway starts, with this plan.
    pub fn started(&mut self, plan: &Arc<Plan>, at_us: u64) {
        self.changes[0] = self.changes[1].clone();
        self.attempts.clear();
        self.note(at_us, Note::Started);
        self.planned(plan, at_us);
    }

    /// Another plan.
    pub fn planned(&mut self, plan: &Arc<Plan>, at_us: u64) {
        self.plan = Some(Arc::clone(plan));
        self.openings = Openings::of(plan);
        self.ruled(at_us);
    }

    /// The engine hears that a bind is up.
    pub fn bind_up(&mut self, bind: BindId, at_us: u64) {
        self.note(at_us, Note::BindUp(bind));
    }

    /// An event is written (`durable`: is durable).
    pub fn event(&mut self, event: &Event, durable: bool, at_us: u64) {
        match event {
            Event::Attempt { message, .. } if !durable => {
                let order = self.order(at_us);
                self.attempts.insert(*message, order);
            }
            Event::Accepted(message) if !durable => {
                self.note(at_us, Note::Taken(message.account.0, least_segments(&message.body)));
            }
            Event::Changed { octets } => {
                let changes = &mut self.changes[usize::from(durable)];
                match serde_json::from_slice(octets) {
                    Ok(Changed::Began(change)) => {
                        if let Action::Limit { limit } = change.action {
                            // A later one takes the place of an earlier one.
                            changes.retain(|_, other| (&other.carrier, &other.account) != (&limit.carrier, &limit.account));
                            changes.insert(change.id, limit);
                        }
                    }
                    Ok(Changed::Ended { ids, .. }) => changes.retain(|id, _| !ids.contains(id)),
                    _ => {}
                }
                if !durable {
                    self.ruled(at_us);
                }
            }
            _ => {}
        }
    }

    /// A message, or a part of it, is handed to a bind. Gives when it was paid.
    pub fn leaves(&mut self, message: MessageId, mut paid: Paid) -> u64 {
        let order = self.attempts.remove(&message).unwrap_or_else(|| self.order(paid.at_us));
        paid.at_us = order.0;
        self.notes.push((order, Note::Paid(paid)));
        order.0
    }

    /// Octets of submits are written to the socket of a bind.
    pub fn wire(&mut self, carrier: u16, submits: u32, at_us: u64) {
        self.note(at_us, Note::Wire(carrier, submits));
    }

    /// What left, in order of payment.
    pub fn paid(&self) -> Vec<Paid> {
        let mut paid: Vec<_> =
            self.notes.iter().filter_map(|(order, note)| if let Note::Paid(paid) = note { Some((*order, *paid)) } else { None }).collect();
        paid.sort_unstable_by_key(|(order, _)| *order);
        paid.into_iter().map(|(_, paid)| paid).collect()
    }

    /// How many segments like this message may leave within `left_ms` at most, by whichever of its carriers lets least through.
    pub fn at_most(&self, record: &Record, left_ms: u64) -> f64 {
        let Some(rules) = &self.rules else { return f64::INFINITY };
        let in_time = |pace: &Pace| pace.per_s.filter(|&rate| rate > 0.0).map(|rate| pace.burst + rate * left_ms as f64 / 1000.0);
        let by_carrier = record.allowed.iter().flat_map(|&carrier| {
            let limits = rules.limits.iter().filter(move |limit| fits(limit, carrier, record));
            limits.map(|limit| Pace::new(Some(limit.rate_per_s), limit.burst)).chain([rules.carriers[carrier as usize][0]])
        });
        by_carrier.filter_map(|pace| in_time(&pace)).fold(f64::INFINITY, f64::min)
    }

    /// The rules are others from now on.
    fn ruled(&mut self, at_us: u64) {
        let Some(plan) = &self.plan else { return };
        let mut carriers = Vec::new();
        for carrier in &plan.carriers {
            let (mut rate, mut burst) = (carrier.rate_per_s, carrier.burst);
            for limit in self.changes[0].values().filter(|limit| limit.carrier.as_ref() == Some(&carrier.name)) {
                rate = if limit.unlimited { None } else { limit.rate_per_s.or(rate) };
                burst = limit.burst.unwrap_or(burst);
            }
            carriers.push([Pace::new(rate, burst), Pace::new(carrier.bind_rate_per_s, 0)]);
        }
        let intake = |account: &AccountPlan| {
            let changed = self.changes[0].values().rfind(|limit| limit.account.as_ref() == Some(&account.name));
            let rate =
                changed.map_or(account.rate_per_s, |limit| if limit.unlimited { None } else { limit.rate_per_s.or(account.rate_per_s) });
            Pace::new(rate, 0)
        };
        let accounts = plan.accounts.iter().map(intake).collect();
        let rules = Arc::new(Rules { carriers, accounts, limits: plan.limits.clone() });
        self.rules = Some(Arc::clone(&rules));
        self.note(at_us, Note::Rules(rules));
    }

    /// Replays all buckets.
    pub fn check(&self, records: &[Record]) -> Judged {
        let mut notes: Vec<_> = self.notes.iter().collect();
        notes.sort_unstable_by_key(|(order, _)| *order);
        let has =
            |test: fn(&Record) -> bool| self.notes.iter().any(|(_, note)| matches!(note, Note::Paid(paid) if test(&records[paid.number])));
        let lag_us = if has(|record| record.class == Class::Otp) { SYNCS_US } else { HOPS_US };
        // A message of more parts than a window takes leaves as the answers come, long after it has paid.
        let wire = !has(|record| record.parts.len() > 1);
        let mut largest = BTreeMap::new();
        for record in records {
            let most: &mut u32 = largest.entry(lane(record)).or_default();
            *most = segments(record).max(*most);
        }
        let mut replay = Replay { records, lag_us, largest, rules: None, levels: BTreeMap::new(), settles: Vec::new() };
        for ((at_us, _), note) in notes {
            replay.settle(*at_us);
            match note {
                Note::Started => replay.levels.clear(),
                Note::Rules(rules) => replay.ruled(rules, *at_us),
                Note::BindUp(bind) => replay.bind_up(*bind, *at_us),
                Note::Paid(paid) => replay.pay(paid)?,
                Note::Wire(carrier, submits) if wire => replay.wire(*carrier, *submits, *at_us)?,
                Note::Wire(..) => {}
                Note::Taken(account, segments) => replay.taken(*account, *segments, *at_us)?,
            }
        }
        Ok(())
    }
}

/// Class, account and campaign.
type Lane = (Class, usize, Option<&'static str>);

fn lane(record: &Record) -> Lane {
    (record.class, record.account, record.campaign)
}

/// How many segments a body has at least, whatever the carrier.
fn least_segments(body: &Body) -> u32 {
    let (whole, part) = if body.encoding == Encoding::Ucs2 { (140, 134) } else { (160, 153) };
    if body.octets.len() <= whole { 1 } else { body.octets.len().div_ceil(part) as u32 }
}

/// How many segments the text of a message, or what may take its place, can have.
fn segments(record: &Record) -> u32 {
    let (whole, part) = if record.ucs2 { (70, 66) } else { (160, 152) };
    let length = record.text.chars().count().max(if record.to_replace { 200 } else { 0 });
    if length <= whole { 1 } else { length.div_ceil(part) as u32 }
}

/// One bucket.
#[derive(Debug)]
struct Level {
    pace: Pace,
    level: f64,
    at_us: u64,
    least_burst: f64,
    /// By lane, each before its own buckets: segments that one message of it may have paid before it leaves.
    ahead: BTreeMap<(Lane, Vec<Name>), f64>,
}

impl Level {
    fn new(pace: Pace, at_us: u64) -> Level {
        Level { pace, level: 0.0, at_us, least_burst: pace.burst, ahead: BTreeMap::new() }
    }

    fn pass(&mut self, at_us: u64) {
        let us = at_us - self.at_us;
        self.level = (self.level + self.pace.per_s.unwrap_or(0.0) * us as f64 / 1e6).min(self.pace.burst);
        self.at_us = at_us;
    }

    fn set(&mut self, pace: Pace, at_us: u64) {
        self.pass(at_us);
        if self.pace.per_s.is_none_or(|rate| rate == 0.0) {
            // Whatever had no limit, or was paused, is empty when it gets one.
            self.level = 0.0;
        }
        self.level = self.level.min(pace.burst);
        self.least_burst = self.least_burst.min(pace.burst);
        self.pace = pace;
    }

    fn take(&mut self, segments: u32, at_us: u64) -> Result<(), String> {
        self.pass(at_us);
        let Some(per_s) = self.pace.per_s else { return Ok(()) };
        self.level -= f64::from(segments);
        let ahead: f64 = self.ahead.values().sum();
        match self.level < -ahead - EPSILON {
            true => {
                Err(format!("{segments} leave and {:.2} too many, at {per_s}/s with a burst of {}", -ahead - self.level, self.pace.burst))
            }
            false => Ok(()),
        }
    }
}

struct Replay<'a> {
    records: &'a [Record],
    lag_us: u64,
    /// Segments of the largest message of each lane.
    largest: BTreeMap<Lane, u32>,
    rules: Option<Arc<Rules>>,
    levels: BTreeMap<Name, Level>,
    /// When paces of the wire become what the rules say.
    settles: Vec<u64>,
}

impl Replay<'_> {
    /// What was paid under earlier rules has reached the wire.
    fn settle(&mut self, at_us: u64) {
        while let Some(&due_us) = self.settles.first()
            && due_us <= at_us
        {
            self.settles.remove(0);
            let (Some(rules), true) = (self.rules.clone(), self.settles.is_empty()) else { continue };
            for (carrier, [pace, _]) in rules.carriers.iter().enumerate() {
                let pace = self.on_wire(*pace);
                let level = self.levels.get_mut(&Name::Wire(carrier as u16)).expect("it came with the rules");
                let had_none = level.pace.per_s.is_none();
                level.set(pace, due_us);
                if had_none {
                    // What was paid since the rate came into force counts, and was not counted until now.
                    level.level = pace.burst;
                }
            }
        }
    }

    fn on_wire(&self, pace: Pace) -> Pace {
        Pace { burst: pace.burst + pace.per_s.unwrap_or(0.0) * self.lag_us as f64 / 1e6, ..pace }
    }

    fn ruled(&mut self, rules: &Arc<Rules>, at_us: u64) {
        self.rules = Some(Arc::clone(rules));
        let mut paces = Vec::new();
        for (carrier, [own, _]) in rules.carriers.iter().enumerate() {
            paces.push((Name::Carrier(carrier as u16), *own));
            let (name, mut pace) = (Name::Wire(carrier as u16), self.on_wire(*own));
            if let Some(level) = self.levels.get(&name) {
                // Until what was paid before is out the more generous of both counts.
                let faster = |a: Option<f64>, b: Option<f64>| Some(a?.max(b?));
                pace = Pace { per_s: faster(pace.per_s, level.pace.per_s), burst: pace.burst.max(level.pace.burst) };
            }
            paces.push((name, pace));
        }
        let binds: Vec<BindId> =
            self.levels.keys().filter_map(|name| if let Name::Bind(bind) = name { Some(*bind) } else { None }).collect();
        paces.extend(binds.into_iter().map(|bind| (Name::Bind(bind), rules.carriers[bind.carrier.0 as usize][1])));
        paces.extend(rules.accounts.iter().zip(0..).map(|(pace, account)| (Name::Intake(account), *pace)));
        paces.extend(rules.limits.iter().map(|limit| (Name::Limit(limit.name.clone()), Pace::new(Some(limit.rate_per_s), limit.burst))));
        // A limit that is gone has no bucket to come back to.
        self.levels.retain(|name, _| !matches!(name, Name::Limit(_)) || paces.iter().any(|(other, _)| other == name));
        for (name, pace) in paces {
            self.levels.entry(name).or_insert_with(|| Level::new(pace, at_us)).set(pace, at_us);
        }
        self.settles.push(at_us + self.lag_us);
    }

    fn bind_up(&mut self, bind: BindId, at_us: u64) {
        let Some(rules) = &self.rules else { return };
        let pace = rules.carriers[bind.carrier.0 as usize][1];
        self.levels.insert(Name::Bind(bind), Level::new(pace, at_us));
    }

    fn pay(&mut self, paid: &Paid) -> Judged {
        let Some(rules) = &self.rules else { return Ok(()) };
        let (record, carrier) = (&self.records[paid.number], paid.bind.carrier.0);
        let mut names = vec![Name::Carrier(carrier), Name::Bind(paid.bind)];
        names.extend(rules.limits.iter().filter(|limit| fits(limit, carrier, record)).map(|limit| Name::Limit(limit.name.clone())));
        let lane = lane(record);
        let segments = f64::from(self.largest[&lane]);
        let before = names.clone();
        for name in names {
            let Some(level) = self.levels.get_mut(&name) else { continue };
            level.ahead.insert((lane, before.clone()), segments - 1.0);
            level
                .take(paid.segments, paid.at_us)
                .or_else(|what| wrong(paid.number, format!("{name:?} at {} ms: {what}", paid.at_us / 1000)))?;
        }
        Ok(())
    }

    /// An account's message that is larger than its burst pays in instalments, and what was paid towards one that was refused meanwhile counts for the next.
    fn taken(&mut self, account: u32, segments: u32, at_us: u64) -> Judged {
        let Some(level) = self.levels.get_mut(&Name::Intake(account)) else { return Ok(()) };
        let of_account = self.largest.iter().filter(|((_, of, _), _)| *of == account as usize);
        let largest = f64::from(of_account.map(|(_, segments)| *segments).max().unwrap_or(1));
        if level.least_burst < largest {
            level.ahead.insert(((Class::Otp, account as usize, None), Vec::new()), largest - 1.0);
        }
        let what = level.take(segments, at_us);
        what.map_err(|what| super::judge::Wrong { what: format!("account {account} at {} ms: {what}", at_us / 1000), message: None })
    }

    fn wire(&mut self, carrier: u16, submits: u32, at_us: u64) -> Judged {
        let Some(level) = self.levels.get_mut(&Name::Wire(carrier)) else { return Ok(()) };
        let what = level.take(submits, at_us);
        what.map_err(|what| super::judge::Wrong {
            what: format!("the wire of carrier {carrier} at {} ms: {what}", at_us / 1000),
            message: None,
        })
    }
}

/// The limit means the message in front of this carrier.
fn fits(limit: &LimitPlan, carrier: u16, record: &Record) -> bool {
    let [operator, region, _] = super::dispatch::whereabouts(&record.digits);
    limit.carrier.is_none_or(|of| of.0 == carrier)
        && limit.class.is_none_or(|of| of == record.class)
        && limit.account.is_none_or(|of| of.0 as usize == record.account)
        && limit.campaign.as_deref().is_none_or(|of| Some(of) == record.campaign)
        && limit
            .sender
            .as_ref()
            .is_none_or(|(of, open)| if *open { record.sender.as_bytes().starts_with(of) } else { record.sender.as_bytes() == of })
        && limit.prefix.as_deref().is_none_or(|of| record.digits.starts_with(of))
        && limit.country.as_deref().is_none_or(|of| of == "CN")
        && limit.operator.as_deref().is_none_or(|of| of == operator)
        && limit.region.as_deref().is_none_or(|of| of == region)
}
