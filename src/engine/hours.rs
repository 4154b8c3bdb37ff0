//! Hours in which a class may be sent, in the recipient's own time zone (from the range of the number). Decided when a message leaves: its lane, whose key
//! holds the zone, waits as a whole until the next opening, and then lets what has gathered go spread over some time. What ends before the next opening
//! is expired at once.

use super::plan::Plan;
use crate::config::{Hours, Zone};
use crate::model::{Class, Message};
use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Minutes of a week that are looked ahead for an opening.
const LOOK_AHEAD_DAYS: i64 = 8;

/// Whether a class may be sent in one zone, for a stretch of wall time.
#[derive(Debug, Clone, Copy)]
struct Known {
    from_ms: u64,
    until_ms: u64,
    open: bool,
}

/// What is known of zones.
#[derive(Debug, Default)]
pub struct ZoneHours {
    zones: HashMap<u32, Zone>,
    known: HashMap<(Class, u32), Known>,
}

/// Names a zone for ever; never 0.
fn name_of(zone: &Zone) -> u32 {
    (xxh3_64(zone.name().as_bytes()) as u32).max(1)
}

impl ZoneHours {
    /// The name of the recipient's zone, if hours matter for the message; else 0.
    pub fn zone_of(&self, plan: &Plan, message: &Message) -> u32 {
        if plan.class(message.class).hours.is_empty() { 0 } else { name_of(zone(plan, message.number)) }
    }

    /// Remembers what the zone's name stands for.
    pub fn learn(&mut self, plan: &Plan, message: &Message) {
        let zone = zone(plan, message.number);
        self.zones.entry(name_of(zone)).or_insert_with(|| zone.clone());
    }

    /// When (wall milliseconds) the class may be sent in this zone again; `None`: now.
    pub fn closed_until(&mut self, plan: &Plan, class: Class, zone: u32, now_ms: u64) -> Option<u64> {
        let hours = &plan.class(class).hours;
        if zone == 0 || hours.is_empty() {
            return None;
        }
        let zones = &self.zones;
        let known = self.known.entry((class, zone)).or_insert(Known { from_ms: 0, until_ms: 0, open: true });
        if now_ms < known.from_ms || now_ms >= known.until_ms {
            *known = look(hours, zones.get(&zone).unwrap_or(&plan.home_zone), now_ms);
        }
        (!known.open).then_some(known.until_ms)
    }

    /// The same for a message, without remembering what was looked up.
    pub fn look_at(&self, plan: &Plan, message: &Message, now_ms: u64) -> Option<u64> {
        let hours = &plan.class(message.class).hours;
        let known = (!hours.is_empty()).then(|| look(hours, zone(plan, message.number), now_ms))?;
        (!known.open).then_some(known.until_ms)
    }

    /// It is known what the zone's name stands for.
    pub fn knows(&self, zone: u32) -> bool {
        self.zones.contains_key(&zone)
    }

    /// What is open is not known any more: the plan changed. What zones are called stays: lanes have those names.
    pub fn forget(&mut self) {
        self.known.clear();
    }
}

fn zone(plan: &Plan, number: u64) -> &Zone {
    let ranges = &plan.ranges;
    ranges.find(number).and_then(|range| ranges.zone(ranges.get(range).zone)).unwrap_or(&plan.home_zone)
}

/// Open or closed at `now_ms`, and until when.
fn look(hours: &[Hours], zone: &Zone, now_ms: u64) -> Known {
    let hour_ms = 3_600_000;
    let fallback = Known { from_ms: now_ms, until_ms: now_ms + hour_ms, open: true };
    let Ok(now) = jiff::Timestamp::from_millisecond(now_ms as i64) else { return fallback };
    let today = now.to_zoned(zone.tz().clone()).date();
    // Every stretch of the days around, as instants. Where a clock is put forward over its beginning or end, the first instant after it counts.
    let mut stretches = Vec::new();
    for day in -1..LOOK_AHEAD_DAYS {
        let Ok(date) = today.checked_add(jiff::Span::new().days(day)) else { continue };
        let bit = 1 << date.weekday().to_monday_zero_offset();
        for hours in hours.iter().filter(|hours| hours.days & bit != 0) {
            let at = |minute: u16| {
                let time = date.at(0, 0, 0, 0).checked_add(jiff::Span::new().minutes(i64::from(minute))).ok()?;
                Some(time.to_zoned(zone.tz().clone()).ok()?.timestamp().as_millisecond() as u64)
            };
            if let (Some(from), Some(to)) = (at(hours.from_minute), at(hours.to_minute)) {
                stretches.push((from, to));
            }
        }
    }
    stretches.sort_unstable();
    match stretches.iter().find(|&&(from, to)| from <= now_ms && now_ms < to) {
        Some(&(from_ms, mut until_ms)) => {
            // Stretches that touch are one.
            for &(from, to) in &stretches {
                if from <= until_ms {
                    until_ms = until_ms.max(to);
                }
            }
            Known { from_ms, until_ms, open: true }
        }
        None => {
            let next = stretches.iter().map(|&(from, _)| from).find(|&from| from > now_ms);
            Known { from_ms: now_ms, until_ms: next.unwrap_or(now_ms + 24 * hour_ms), open: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond() as u64
    }

    fn looked(hours: &[&str], zone: &str, now: &str) -> (bool, u64) {
        let hours: Vec<Hours> = hours.iter().map(|h| h.parse().unwrap()).collect();
        let known = look(&hours, &zone.parse().unwrap(), at(now));
        (known.open, known.until_ms)
    }

    #[test]
    fn hours_are_those_of_the_recipients_zone_also_where_its_clock_changes() {
        // 2026-11-26 is a Thursday.
        assert_eq!(looked(&["09:00-20:00"], "Asia/Shanghai", "2026-11-26T00:59:59Z"), (false, at("2026-11-26T01:00:00Z")));
        assert_eq!(looked(&["09:00-20:00"], "Asia/Shanghai", "2026-11-26T01:00:00Z"), (true, at("2026-11-26T12:00:00Z")));
        assert_eq!(looked(&["09:00-20:00"], "Asia/Shanghai", "2026-11-26T12:00:00Z"), (false, at("2026-11-27T01:00:00Z")));
        assert_eq!(looked(&["mon-fri 09:00-20:00"], "UTC", "2026-11-27T21:00:00Z"), (false, at("2026-11-30T09:00:00Z")));
        assert!(looked(&["00:00-24:00"], "UTC", "2026-11-27T21:00:00Z").0);
        assert!(looked(&["00:00-24:00"], "UTC", "2026-11-27T21:00:00Z").1 >= at("2026-12-03T00:00:00Z"), "days that touch are one stretch");
        // Berlin puts its clock from 02:00 to 03:00 on 2027-03-28: 09:00 is an hour earlier in UTC from then on.
        assert_eq!(looked(&["09:00-20:00"], "Europe/Berlin", "2027-03-27T21:00:00Z"), (false, at("2027-03-28T07:00:00Z")));
        assert_eq!(looked(&["02:30-03:30"], "Europe/Berlin", "2027-03-28T00:00:00Z"), (false, at("2027-03-28T01:30:00Z")));
    }
}
