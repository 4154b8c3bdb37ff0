//! Carriers, their binds and lanes, and how well they deliver where, from the last snapshots.

use super::page::Page;
use super::snapshot::{BIND_STATES, BindFigures, CHANGES, EngineSnapshot, LinkSnapshot, OUTCOMES, WAIT_CAUSES};
use super::table;
use crate::model::{Class, State};

/// Writes the figures of the carriers of these names.
pub(super) fn write(page: &mut Page, names: &[String], engine: &EngineSnapshot, links: &LinkSnapshot) {
    let carriers = || names.iter().map(String::as_str).zip(&engine.carriers);
    let mut family = page.family(&table::CARRIER_RATE_LIMIT);
    carriers().for_each(|(name, figures)| family.maybe(&[name], figures.rate_limit));
    let mut family = page.family(&table::CARRIER_RATE_ALLOWED);
    carriers().for_each(|(name, figures)| family.maybe(&[name], figures.rate_allowed));
    let mut family = page.family(&table::THROTTLED);
    carriers().for_each(|(name, figures)| family.sample(&[name], figures.throttled_us as f64 / 1e6));
    let mut family = page.family(&table::RECEIPT_TIME);
    carriers().for_each(|(name, figures)| family.times(&[name], &figures.receipt_times));

    let lanes = || carriers().flat_map(|(name, figures)| Class::ALL.map(|class| (name, class.name(), &figures.waits[class as usize])));
    let mut family = page.family(&table::LANE_OLDEST);
    lanes().for_each(|(name, class, wait)| family.sample(&[name, class], wait.oldest_ms as f64 / 1e3));
    let mut family = page.family(&table::LANE_DRAIN);
    lanes().for_each(|(name, class, wait)| family.maybe(&[name, class], wait.drains_in_s));
    let mut family = page.family(&table::WAITING);
    for (name, class, wait) in lanes() {
        WAIT_CAUSES.iter().zip(wait.causes).for_each(|(cause, messages)| family.sample(&[name, class, cause], messages as f64));
    }
    let mut family = page.family(&table::CHANGES_IN_FORCE);
    CHANGES.iter().zip(engine.changes).for_each(|(action, changes)| family.sample(&[action], changes as f64));
    let mut family = page.family(&table::QUEUE);
    Class::ALL.iter().for_each(|&class| family.times(&[class.name()], &engine.queue_times[class as usize]));

    binds(page, names, links);
    quality(page, names, engine);
}

fn binds(page: &mut Page, names: &[String], links: &LinkSnapshot) {
    let name = |bind: &BindFigures| names.get(usize::from(bind.carrier.0)).cloned().unwrap_or_default();
    let binds: Vec<(String, String, &BindFigures)> = links.binds.iter().map(|bind| (name(bind), bind.bind.to_string(), bind)).collect();
    let mut each = |metric, value: fn(&BindFigures) -> f64| {
        let mut family = page.family(metric);
        binds.iter().for_each(|(carrier, index, bind)| family.sample(&[carrier, index], value(bind)));
    };
    each(&table::BIND_SINCE, |bind| bind.since_ms as f64 / 1e3);
    each(&table::BIND_WINDOW_SIZE, |bind| f64::from(bind.window_size));
    each(&table::BIND_WINDOW_USED, |bind| f64::from(bind.window_used));
    each(&table::BIND_SENT, |bind| bind.counts.sent as f64);
    each(&table::BIND_RECEIVED, |bind| bind.counts.received as f64);
    let mut family = page.family(&table::BIND_STATE);
    for (carrier, index, bind) in &binds {
        BIND_STATES.iter().for_each(|state| family.sample(&[carrier, index, state], f64::from(u8::from(bind.state == *state))));
    }
    let mut family = page.family(&table::BIND_ANSWERS);
    for (carrier, index, bind) in &binds {
        OUTCOMES.iter().zip(bind.counts.answers.counts()).for_each(|(answer, n)| family.sample(&[carrier, index, answer], n as f64));
    }
    let mut family = page.family(&table::BIND_RESPONSE);
    binds.iter().for_each(|(carrier, index, bind)| family.times(&[carrier, index], &bind.counts.response_times));
}

fn quality(page: &mut Page, names: &[String], engine: &EngineSnapshot) {
    let name = |at: usize| names.get(at).map_or("", String::as_str);
    let rows = || engine.quality.iter().map(|row| ([name(row.carrier.0 as usize), &*row.country, &*row.operator, &*row.region], row));
    let mut family = page.family(&table::QUALITY_SENT);
    rows().for_each(|(labels, row)| family.sample(&labels, row.sent as f64));
    let mut family = page.family(&table::QUALITY_ENDED);
    for ([carrier, country, operator, region], row) in rows() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            family.sample(&[carrier, country, operator, region, state.name()], row.ends[state as usize] as f64);
        }
    }
    let mut family = page.family(&table::QUALITY_FAILED);
    for ([carrier, country, operator, region], row) in rows() {
        let mut sample = |state: State, cause: &str, count: u64| {
            family.sample(&[carrier, country, operator, region, state.name(), cause], count as f64);
        };
        // The commonest one is there before it grows, so that its first step counts.
        let is_first = |(state, cause, _): &(State, String, u64)| *state == State::Undelivered && cause == "none";
        if !row.failures.iter().any(is_first) {
            sample(State::Undelivered, "none", 0);
        }
        row.failures.iter().for_each(|(state, cause, count)| sample(*state, cause, *count));
    }
    let mut family = page.family(&table::QUALITY_MATURED);
    rows().for_each(|(labels, row)| family.sample(&labels, row.matured as f64));
    let mut family = page.family(&table::QUALITY_MATURED_DELIVERED);
    rows().for_each(|(labels, row)| family.sample(&labels, row.matured_delivered as f64));
}
