//! The judge of the hours: nothing of a class leaves outside of them, by the wall clock that the gateway reads when it hands it out, in the time zone of the
//! recipient; what is held goes once they open, spread. Told a second time, from the clock on the wall: minute for minute.

use super::course::START;
use super::dispatch::whereabouts;
use super::judge::{Judge, Judged, Record, wrong};
use super::record::Standing;
use crate::config::Hours;
use crate::engine::plan::Plan;
use crate::model::{Class, MessageId, State};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

const MINUTE_MS: u64 = 60_000;

/// What of a plan says when a class may leave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Openings {
    hours: [Vec<Hours>; 3],
    /// Over how long what has gathered leaves, milliseconds.
    pub spread_ms: u64,
}

impl Openings {
    /// Those of a plan.
    pub fn of(plan: &Plan) -> Openings {
        Openings { hours: Class::ALL.map(|class| plan.class(class).hours.clone()), spread_ms: plan.class(Class::Marketing).spread_ms }
    }

    /// A message of this class to this number may leave at this instant of the wall clock.
    pub fn is_open(&self, class: Class, digits: &str, wall_ms: u64) -> bool {
        let hours = &self.hours[class as usize];
        if hours.is_empty() {
            return true;
        }
        let [_, _, zone] = whereabouts(digits);
        let zone = TimeZone::get(if zone.is_empty() { "Asia/Shanghai" } else { zone }).expect("a zone");
        let local = Timestamp::from_millisecond(wall_ms as i64).expect("an instant of this age").to_zoned(zone);
        let day = 1 << local.weekday().to_monday_zero_offset();
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        hours.iter().any(|of| of.days & day != 0 && of.from_minute <= minute && minute < of.to_minute)
    }

    /// It may leave at no moment between these two.
    pub fn is_shut(&self, class: Class, digits: &str, from_ms: u64, to_ms: u64) -> bool {
        // Hours begin and end with minutes, and so do offsets of zones.
        let minutes = (from_ms / MINUTE_MS + 1..to_ms.div_ceil(MINUTE_MS)).map(|minute| minute * MINUTE_MS);
        std::iter::once(from_ms).chain(minutes).all(|at_ms| !self.is_open(class, digits, at_ms))
    }
}

/// How late a message may be at most that nothing but its hours holds back: a few turns of the engine and of the bind.
const LATE_US: u64 = 2_000_000;

impl Judge {
    /// A world in which only hours hold anything back, at its end: of each lane what had gathered has left at the next opening, the n messages of one spread so
    /// that the k-th leaves after k/n of the time over which they are to leave.
    pub(super) fn gathered(&self) -> Judged {
        let openings = &self.paces.openings;
        let wall_ms = |at_us: u64| START.wall_ms + (at_us - START.mono_us) / 1000;
        let from_ms = wall_ms(self.accepted_us);
        let mut lanes: BTreeMap<_, Vec<(usize, u64)>> = BTreeMap::new();
        for paid in self.paces.paid() {
            let record = &self.records[paid.number];
            let lane = (record.class, record.account, record.campaign, whereabouts(&record.digits)[2]);
            lanes.entry(lane).or_default().push((paid.number, paid.at_us));
        }
        for left in lanes.values() {
            let record = &self.records[left[0].0];
            let mut opens_ms = from_ms;
            while !openings.is_open(record.class, &record.digits, opens_ms) {
                opens_ms = (opens_ms / MINUTE_MS + 1) * MINUTE_MS;
            }
            let was_held = opens_ms > from_ms;
            for (at, &(number, at_us)) in left.iter().enumerate() {
                let share = if was_held { openings.spread_ms * 1000 * at as u64 / left.len() as u64 } else { 0 };
                let due_us = START.mono_us + (opens_ms - START.wall_ms) * 1000 + share;
                if was_held && at_us + 1000 < due_us {
                    return wrong(number, format!("leaves {} us before its part of the spread", due_us - at_us));
                }
                if at_us > due_us + LATE_US {
                    return wrong(number, format!("leaves {} us after its hours opened and its part of the spread", at_us - due_us));
                }
            }
        }
        Ok(())
    }

    /// A message is handed out (an otp: its attempt is written down): its class may be sent at this minute of its recipient.
    pub(super) fn in_hours(&self, number: usize) -> Judged {
        let record = &self.records[number];
        match self.paces.openings.is_open(record.class, &record.digits, self.clock.wall_ms) {
            true => Ok(()),
            false => wrong(number, "leaves outside the hours of its class"),
        }
    }

    /// A message expires: could it have left in time? Its class's hours may open too late, or too much of its lane stands before it.
    pub(super) fn reckon(&mut self, message: MessageId, state: State) {
        let Some(&number) = self.ids.get(&message).filter(|_| state == State::Expired) else { return };
        let (record, now_ms) = (&self.records[number], self.clock.wall_ms);
        let shut = self.paces.openings.is_shut(record.class, &record.digits, now_ms, record.expires_ms);
        let in_lane = |other: &&Record| {
            let waits = other.id.is_some() && other.endings.is_empty() && other.parts.iter().all(|part| part.standing == Standing::Free);
            waits && (other.class, other.account, other.campaign) == (record.class, record.account, record.campaign)
        };
        let waiting = self.records.iter().filter(in_lane).count();
        let late = waiting as f64 > self.paces.at_most(record, record.expires_ms.saturating_sub(now_ms));
        self.records[number].is_hopeless = shut || late;
    }
}
