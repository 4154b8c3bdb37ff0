//! How carriers deliver, by operator and region of the numbers: what was sent, how it ended, and of what was sent long enough ago how much was delivered
//! by then. A rate of that kind isn't lowered by receipts that are still on their way, which a quotient of counters is.
//!
//! What failed is told by cause too: the error of the carrier's receipt, or the status of its refusal, of each row as many as [`CAUSES_MAX`]; one that hasn't
//! come for an hour goes.
//!
//! Labels are bounded: so many rows stand alone, the rest of a carrier is one row, `other`. Once a minute a row that has been idle for an hour goes, and one
//! in `other` with twice the traffic of the quietest row takes its place. Counts live in memory and begin with the process. Receipts for what
//! was sent under `other` before its range came to stand alone reach no cohort: `other` reads low for the time that a message needs to mature.

use super::Engine;
use super::plan::Plan;
use crate::model::{CarrierId, State};
use crate::number::{RangeId, RangeTable};
use crate::telemetry::QualityFigures;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// Slices of the time that a message needs to mature: what was sent in one of them matures at once.
const SLICES: u64 = 20;
/// Time between two looks at which rows stand alone, milliseconds.
const TURN_MS: u64 = 60_000;
/// A row without traffic for so long goes, milliseconds.
const IDLE_MS: u64 = 3_600_000;
/// Causes of failure that are told apart in one row; the rest is one, `other`.
const CAUSES_MAX: usize = 12;
/// Ranges whose row is remembered; at the bound all are forgotten, and looked up again.
const MEMO_MAX: usize = 65_536;
/// Label of what is too little to stand alone, and of what nobody knows.
const OTHER: &str = "other";
const UNKNOWN: &str = "unknown";

/// Carrier, and country, operator and region.
type Key = (CarrierId, [Box<str>; 3]);

/// What was sent in one slice of time, and how much of it is delivered.
#[derive(Debug, Clone, Copy, Default)]
struct Cohort {
    slice: u64,
    sent: u32,
    delivered: u32,
}

/// Why a message failed, as its carrier put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nobody says.
    None,
    /// The three characters of its receipt's `err`.
    Error([u8; 3]),
    /// The status of its answer.
    Status(u32),
    /// What is too rare to stand alone, or no word.
    Other,
}

impl Cause {
    /// By a receipt's error.
    pub fn of_error(error: [u8; 3]) -> Cause {
        match error.to_ascii_uppercase()[..] {
            [b'0', b'0', b'0'] => Cause::None,
            [a, b, c] if [a, b, c].iter().all(u8::is_ascii_alphanumeric) => Cause::Error([a, b, c]),
            _ => Cause::Other,
        }
    }

    /// By the status of an answer, 0 for none.
    pub fn of_status(status: u32) -> Cause {
        if status == 0 { Cause::None } else { Cause::Status(status) }
    }

    /// As in metrics.
    fn label(self) -> String {
        match self {
            Cause::None => "none".to_owned(),
            Cause::Error(error) => format!("err_{}", String::from_utf8_lossy(&error)),
            Cause::Status(status) => format!("status_{status:#x}"),
            Cause::Other => OTHER.to_owned(),
        }
    }
}

/// How often messages of a row failed so.
#[derive(Debug)]
struct Failures {
    state: State,
    cause: Cause,
    count: u64,
    touched_ms: u64,
}

#[derive(Debug)]
struct Row {
    key: Key,
    sent: u64,
    ends: [u64; State::ALL.len()],
    failures: Vec<Failures>,
    matured: u64,
    matured_delivered: u64,
    cohorts: VecDeque<Cohort>,
    /// Messages since the last turn.
    traffic: u32,
    touched_ms: u64,
}

impl Row {
    fn new(key: Key, now_ms: u64) -> Row {
        Row {
            key,
            sent: 0,
            ends: [0; State::ALL.len()],
            failures: Vec::new(),
            matured: 0,
            matured_delivered: 0,
            cohorts: VecDeque::new(),
            traffic: 0,
            touched_ms: now_ms,
        }
    }

    fn is_other(&self) -> bool {
        *self.key.1[0] == *OTHER
    }

    /// One message failed.
    fn failed(&mut self, state: State, cause: Cause, now_ms: u64) {
        let is = |of: &Failures, cause: Cause| (of.state, of.cause) == (state, cause);
        let is_full = self.failures.iter().filter(|of| of.cause != Cause::Other).count() >= CAUSES_MAX;
        let cause = if is_full && !self.failures.iter().any(|of| is(of, cause)) { Cause::Other } else { cause };
        match self.failures.iter_mut().find(|of| is(of, cause)) {
            Some(of) => (of.count, of.touched_ms) = (of.count + 1, now_ms),
            None => self.failures.push(Failures { state, cause, count: 1, touched_ms: now_ms }),
        }
    }

    /// The cohort of what was sent then, if it hasn't matured yet.
    fn cohort(&mut self, slice: u64) -> Option<&mut Cohort> {
        self.cohorts.iter_mut().rev().find(|cohort| cohort.slice == slice)
    }
}

/// A row of `other` that may come to stand alone, and its messages since the last turn.
#[derive(Debug)]
struct Candidate {
    key: Key,
    traffic: u32,
}

/// Which row, and which candidate if that is `other`.
#[derive(Debug, Clone, Copy)]
struct Place {
    row: u32,
    candidate: Option<u32>,
}

/// All rows.
#[derive(Debug)]
pub struct Quality {
    ranges: Arc<RangeTable>,
    max_rows: usize,
    matured_after_ms: u64,
    rows: Vec<Row>,
    places: HashMap<Key, u32>,
    memo: HashMap<(CarrierId, u32), Place>,
    candidates: Vec<Candidate>,
    turned_ms: u64,
}

impl Quality {
    /// No rows yet.
    pub fn new(plan: &Plan) -> Quality {
        Quality {
            ranges: Arc::clone(&plan.ranges),
            max_rows: plan.bounds.max_quality_rows,
            matured_after_ms: plan.bounds.matured_after_ms.max(SLICES),
            rows: Vec::new(),
            places: HashMap::new(),
            memo: HashMap::new(),
            candidates: Vec::new(),
            turned_ms: 0,
        }
    }

    /// Another plan.
    pub(super) fn follow(&mut self, plan: &Plan) {
        self.ranges = Arc::clone(&plan.ranges);
        self.max_rows = plan.bounds.max_quality_rows;
        if self.matured_after_ms != plan.bounds.matured_after_ms.max(SLICES) {
            self.matured_after_ms = plan.bounds.matured_after_ms.max(SLICES);
            self.rows.iter_mut().for_each(|row| row.cohorts.clear());
        }
        self.memo.clear();
        self.candidates.clear();
    }

    fn slice_of(&self, wall_ms: u64) -> u64 {
        wall_ms * SLICES / self.matured_after_ms
    }

    /// A carrier took a message to this number.
    pub fn sent(&mut self, carrier: CarrierId, number: u64, now_ms: u64) {
        let slice = self.slice_of(now_ms);
        let row = self.row(carrier, number, now_ms);
        row.sent += 1;
        match row.cohorts.back_mut() {
            // A clock that was put back doesn't open old slices again.
            Some(last) if last.slice >= slice => last.sent += 1,
            _ => row.cohorts.push_back(Cohort { slice, sent: 1, delivered: 0 }),
        }
    }

    /// A message to this number has ended with the carrier, which took it at `sent_ms` (0: never). `cause`: why it failed, if it did.
    pub fn ended(&mut self, carrier: CarrierId, number: u64, sent_ms: u64, (state, cause): (State, Cause), now_ms: u64) {
        let slice = self.slice_of(sent_ms);
        let row = self.row(carrier, number, now_ms);
        row.ends[state as usize] += 1;
        if !matches!(state, State::Delivered | State::SentFinal | State::Cancelled) {
            row.failed(state, cause, now_ms);
        }
        match (state, row.cohort(slice)) {
            // What was sent before the start, or under another row, is not in the cohort.
            (State::Delivered, Some(cohort)) => cohort.delivered = (cohort.delivered + 1).min(cohort.sent),
            // No receipt is awaited: nobody will know.
            (State::SentFinal, Some(cohort)) => cohort.sent = cohort.sent.saturating_sub(1),
            _ => {}
        }
    }

    fn row(&mut self, carrier: CarrierId, number: u64, now_ms: u64) -> &mut Row {
        let range = self.ranges.find(number).map_or(u32::MAX, |range| range.0);
        let place = match self.memo.get(&(carrier, range)) {
            Some(&place) => place,
            None => self.find(carrier, range, now_ms),
        };
        if let Some(candidate) = place.candidate {
            self.candidates[candidate as usize].traffic += 1;
        }
        let row = &mut self.rows[place.row as usize];
        (row.traffic, row.touched_ms) = (row.traffic.saturating_add(1), now_ms);
        row
    }

    /// The row of a range that isn't remembered: its own, a new one while there is room, or the carrier's `other`.
    fn find(&mut self, carrier: CarrierId, range: u32, now_ms: u64) -> Place {
        let known = (range != u32::MAX).then(|| self.ranges.get(RangeId(range)));
        let names = known.map_or([""; 3], |range| [range.country, range.operator, range.region].map(|name| self.ranges.name(name)));
        let key = (carrier, names.map(|name| Box::from(if name.is_empty() { UNKNOWN } else { name })));
        let place = match self.places.get(&key) {
            Some(&row) => Place { row, candidate: None },
            None if self.rows.iter().filter(|row| !row.is_other()).count() < self.max_rows => {
                Place { row: self.open(key, now_ms), candidate: None }
            }
            None => {
                let other = (carrier, [OTHER; 3].map(Box::from));
                let row = self.places.get(&other).copied().unwrap_or_else(|| self.open(other, now_ms));
                let known = self.candidates.iter().position(|candidate| candidate.key == key);
                let candidate = known.or_else(|| {
                    let has_room = self.candidates.len() < 4 * self.max_rows;
                    has_room.then(|| self.candidates.push(Candidate { key, traffic: 0 })).map(|()| self.candidates.len() - 1)
                });
                Place { row, candidate: candidate.map(|at| at as u32) }
            }
        };
        if self.memo.len() >= MEMO_MAX {
            self.memo.clear();
        }
        self.memo.insert((carrier, range), place);
        place
    }

    fn open(&mut self, key: Key, now_ms: u64) -> u32 {
        let at = self.rows.len() as u32;
        self.places.insert(key.clone(), at);
        self.rows.push(Row::new(key, now_ms));
        at
    }

    /// Once a second: what has matured is counted; once a minute rows come and go.
    pub fn sweep(&mut self, now_ms: u64) {
        let matured_until = self.slice_of(now_ms.saturating_sub(self.matured_after_ms));
        for row in &mut self.rows {
            while let Some(cohort) = row.cohorts.pop_front_if(|cohort| cohort.slice < matured_until) {
                row.matured += u64::from(cohort.sent);
                row.matured_delivered += u64::from(cohort.delivered);
            }
        }
        if now_ms.saturating_sub(self.turned_ms) >= TURN_MS {
            self.turned_ms = now_ms;
            self.turn(now_ms);
        }
    }

    fn turn(&mut self, now_ms: u64) {
        let before = self.rows.len();
        self.rows.iter_mut().for_each(|row| row.failures.retain(|of| now_ms.saturating_sub(of.touched_ms) < IDLE_MS));
        self.rows.retain(|row| row.is_other() || !row.cohorts.is_empty() || now_ms.saturating_sub(row.touched_ms) < IDLE_MS);
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.traffic));
        let mut changed = self.rows.len() != before || !candidates.is_empty();
        for Candidate { key, traffic } in candidates {
            let alone = self.rows.iter().enumerate().filter(|(_, row)| !row.is_other());
            let quietest = alone.clone().min_by_key(|(_, row)| row.traffic).map(|(at, row)| (at, row.traffic));
            let mut promoted = Row::new(key, now_ms);
            promoted.traffic = traffic;
            match quietest {
                _ if alone.count() < self.max_rows => self.rows.push(promoted),
                Some((at, least)) if traffic > least.saturating_mul(2) => self.rows[at] = promoted,
                _ => break,
            }
            changed = true;
        }
        self.rows.iter_mut().for_each(|row| row.traffic = 0);
        if changed {
            self.places = self.rows.iter().enumerate().map(|(at, row)| (row.key.clone(), at as u32)).collect();
            self.memo.clear();
        }
    }

    /// What the metrics tell.
    pub fn figures(&self) -> Vec<QualityFigures> {
        let text = |text: &str| text.to_owned();
        let figures = |row: &Row| QualityFigures {
            carrier: row.key.0,
            country: text(&row.key.1[0]),
            operator: text(&row.key.1[1]),
            region: text(&row.key.1[2]),
            sent: row.sent,
            ends: row.ends,
            failures: row.failures.iter().map(|of| (of.state, of.cause.label(), of.count)).collect(),
            matured: row.matured,
            matured_delivered: row.matured_delivered,
        };
        self.rows.iter().map(figures).collect()
    }
}

impl Engine {
    /// A message to this number has ended with a carrier, which took it at `sent_ms` (0: never); maybe only for now.
    pub(super) fn quality_ended(&mut self, carrier: CarrierId, number: u64, sent_ms: u64, end: (State, Cause)) {
        if !self.replaying {
            self.quality.ended(carrier, number, sent_ms, end, self.now.wall_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_MS: u64 = 1_790_000_000_000;
    /// Numbers of three operators, and one of another country.
    const NUMBERS: [&str; 4] = ["8613800138000", "8613000000000", "8613300000000", "4915112345678"];

    fn number(digits: &str) -> u64 {
        crate::number::pack(digits.as_bytes()).unwrap()
    }

    fn quality(max_rows: usize) -> Quality {
        Quality {
            ranges: RangeTable::shipped(),
            max_rows,
            matured_after_ms: 60_000,
            rows: Vec::new(),
            places: HashMap::new(),
            memo: HashMap::new(),
            candidates: Vec::new(),
            turned_ms: START_MS,
        }
    }

    fn matured(quality: &Quality) -> [u64; 2] {
        quality.figures().iter().fold([0, 0], |sum, row| [sum[0] + row.matured, sum[1] + row.matured_delivered])
    }

    #[test]
    fn what_was_sent_counts_for_the_rate_once_its_receipts_had_their_time() {
        let mut quality = quality(10);
        let to = number(NUMBERS[0]);
        (0..10).for_each(|_| quality.sent(CarrierId(0), to, START_MS));
        (0..7).for_each(|_| quality.ended(CarrierId(0), to, START_MS, (State::Delivered, Cause::None), START_MS + 1_000));
        quality.ended(CarrierId(0), to, START_MS, (State::SentFinal, Cause::None), START_MS + 1_000);
        quality.sweep(START_MS + 59_000);
        assert_eq!(matured(&quality), [0, 0], "one may still be delivered");
        quality.ended(CarrierId(0), to, START_MS, (State::Undelivered, Cause::None), START_MS + 59_000);
        quality.sweep(START_MS + 70_000);
        assert_eq!(matured(&quality), [9, 7], "of one nobody awaits a receipt");
        quality.ended(CarrierId(0), to, START_MS, (State::Delivered, Cause::None), START_MS + 80_000);
        quality.sweep(START_MS + 200_000);
        assert_eq!(matured(&quality), [9, 7], "one that comes later changes nothing");
        let row = &quality.figures()[0];
        assert_eq!((row.sent, row.ends[State::Delivered as usize], row.ends[State::Undelivered as usize]), (10, 8, 1));
        assert_eq!((&*row.country, row.operator.is_empty()), ("CN", false));
    }

    #[test]
    fn failures_are_told_by_cause_and_causes_are_bounded_and_forgotten() {
        let mut quality = quality(10);
        let to = number(NUMBERS[0]);
        let ended = |quality: &mut Quality, end, now_ms| quality.ended(CarrierId(0), to, START_MS, end, now_ms);
        ended(&mut quality, (State::Delivered, Cause::of_error(*b"000")), START_MS);
        for error in [*b"00a", *b"00A", *b"000", *b"0-1"] {
            ended(&mut quality, (State::Undelivered, Cause::of_error(error)), START_MS);
        }
        ended(&mut quality, (State::Rejected, Cause::of_status(0x45)), START_MS);
        let told = |quality: &Quality| quality.figures()[0].failures.clone();
        let of = |state, cause: &str, count| (state, cause.to_owned(), count);
        let expected = [("err_00A", 2), ("none", 1), ("other", 1)].map(|(cause, count)| of(State::Undelivered, cause, count));
        assert_eq!(told(&quality)[..3], expected);
        assert_eq!(told(&quality)[3], of(State::Rejected, "status_0x45", 1));
        for status in 0x400..0x500 {
            ended(&mut quality, (State::Undelivered, Cause::Status(status)), START_MS + 1);
        }
        assert_eq!(told(&quality).len(), CAUSES_MAX + 1, "and other");
        assert_eq!(told(&quality)[2], of(State::Undelivered, "other", 1 + 0x100 - (CAUSES_MAX as u64 - 3)));
        ended(&mut quality, (State::Undelivered, Cause::None), START_MS + IDLE_MS);
        quality.sweep(START_MS + 1 + IDLE_MS);
        assert_eq!(told(&quality), [of(State::Undelivered, "none", 2)], "what hasn't come for an hour makes room");
    }

    #[test]
    fn rows_are_bounded_and_the_rest_of_each_carrier_is_one_row() {
        let mut quality = quality(2);
        for carrier in [0, 1] {
            NUMBERS.iter().for_each(|digits| quality.sent(CarrierId(carrier), number(digits), START_MS));
        }
        let rows = quality.figures();
        let others: Vec<_> = rows.iter().filter(|row| row.region == "other").map(|row| (row.carrier.0, row.sent)).collect();
        assert_eq!((rows.len(), others), (4, vec![(0, 2), (1, 4)]));
        assert_eq!(rows.iter().map(|row| row.sent).sum::<u64>(), 8);
    }

    #[test]
    fn a_busy_range_takes_the_place_of_a_quiet_one_and_idle_ones_go() {
        let mut quality = quality(1);
        let [quiet, busy] = [number(NUMBERS[0]), number(NUMBERS[3])];
        (0..2).for_each(|_| quality.sent(CarrierId(0), quiet, START_MS));
        (0..4).for_each(|_| quality.sent(CarrierId(0), busy, START_MS));
        quality.sweep(START_MS + TURN_MS);
        (0..4).for_each(|_| quality.sent(CarrierId(0), busy, START_MS + TURN_MS));
        let alone = |quality: &Quality| quality.figures().iter().find(|row| row.region != "other").map(|row| row.country.clone());
        assert_eq!(alone(&quality).as_deref(), Some("CN"), "not for twice as much");
        (0..5).for_each(|_| quality.sent(CarrierId(0), busy, START_MS + TURN_MS));
        quality.sweep(START_MS + 2 * TURN_MS);
        (0..3).for_each(|_| quality.sent(CarrierId(0), busy, START_MS + 2 * TURN_MS));
        assert_eq!(alone(&quality).as_deref(), Some("DE"));
        quality.sweep(START_MS + 2 * TURN_MS + IDLE_MS);
        quality.sweep(START_MS + 3 * TURN_MS + IDLE_MS);
        assert_eq!(alone(&quality), None);
        assert_eq!(quality.figures().iter().map(|row| row.sent).sum::<u64>(), 13, "what was counted as other stays so");
    }
}
