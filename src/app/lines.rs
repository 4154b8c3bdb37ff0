//! Lines of the log that come from figures: what the engine and the links can't tell themselves without slowing down, or would tell a thousand times a second
//! while a peer misbehaves. Something that begins is told at once; while it goes on, once a minute with how often it happened.

use crate::engine::plan::Plan;
use crate::telemetry::{EngineSnapshot, HealthState, LinkSnapshot, refusal_cause};
use std::collections::HashMap;

/// Time between two lines about the same, milliseconds.
const EVERY_MS: u64 = 60_000;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A carrier's health changed.
    Health { carrier: String, before: &'static str, now: &'static str, cause: &'static str },
    /// Messages accepted and messages accounted for differ.
    Difference { messages: i64 },
    /// A carrier asked to slow down so often.
    Throttled { carrier: String, answers: u64, allowed_per_s: Option<u64> },
    /// So many answers of a carrier did not come in time.
    Unanswered { carrier: String, parts: u64 },
    /// So many requests of an account were refused.
    Refused { account: String, cause: &'static str, requests: u64 },
    /// So many receipts and inbound messages of an account were dropped.
    Dropped { account: String, deliveries: u64 },
    /// So many receipts of carriers never found their message.
    Orphaned { receipts: u64 },
}

impl Line {
    /// Writes it.
    pub fn write(&self) {
        match self {
            Line::Health { carrier, before, now, cause } => tracing::warn!(%carrier, before, now, cause, "a carrier's health changed"),
            Line::Difference { messages } => tracing::error!(messages, "messages accepted and messages accounted for differ"),
            Line::Throttled { carrier, answers, allowed_per_s } => {
                tracing::warn!(%carrier, answers, allowed_per_s, "a carrier asks to slow down");
            }
            Line::Unanswered { carrier, parts } => tracing::warn!(%carrier, parts, "a carrier doesn't answer in time"),
            Line::Refused { account, cause, requests } => tracing::info!(%account, cause, requests, "requests refused"),
            Line::Dropped { account, deliveries } => {
                tracing::warn!(%account, deliveries, "deliveries dropped: too old, too many, or refused")
            }
            Line::Orphaned { receipts } => tracing::warn!(receipts, "receipts match no message"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Throttled(usize),
    Unanswered(usize),
    Refused(usize, usize),
    Dropped(usize),
    Orphaned,
}

/// What was told, and when. One entry for whatever happened at all.
#[derive(Debug, Default)]
pub struct Lines {
    health: Vec<HealthState>,
    difference: i64,
    told: HashMap<Counted, (u64, u64)>,
}

impl Lines {
    /// What is to be told of these figures; to be asked once a second.
    pub fn of(&mut self, engine: &EngineSnapshot, links: &LinkSnapshot, plan: &Plan, now_ms: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let carriers = plan.carriers.iter().map(|carrier| &carrier.name).zip(&engine.carriers);
        for (at, (name, figures)) in carriers.enumerate() {
            let (carrier, health) = (name.clone(), figures.health);
            let before = self.health.get(at).copied().unwrap_or_default();
            if before != health.state {
                lines.push(Line::Health { carrier: carrier.clone(), before: before.name(), now: health.state.name(), cause: health.cause });
            }
            if let Some(answers) = self.more(Counted::Throttled(at), figures.outcomes.throttled, now_ms) {
                let allowed_per_s = figures.rate_allowed.map(|per_s| per_s as u64);
                lines.push(Line::Throttled { carrier: carrier.clone(), answers, allowed_per_s });
            }
            if let Some(parts) = self.more(Counted::Unanswered(at), figures.outcomes.in_doubt, now_ms) {
                lines.push(Line::Unanswered { carrier, parts });
            }
        }
        self.health = engine.carriers.iter().map(|figures| figures.health.state).collect();
        for (at, (plan, figures)) in plan.accounts.iter().zip(&links.accounts).enumerate() {
            for (cause, &requests) in figures.refusals.iter().enumerate() {
                if let Some(requests) = self.more(Counted::Refused(at, cause), requests, now_ms) {
                    lines.push(Line::Refused { account: plan.name.clone(), cause: refusal_cause(cause), requests });
                }
            }
        }
        for (at, (plan, figures)) in plan.accounts.iter().zip(&engine.accounts).enumerate() {
            if let Some(deliveries) = self.more(Counted::Dropped(at), figures.outbox_dropped, now_ms) {
                lines.push(Line::Dropped { account: plan.name.clone(), deliveries });
            }
        }
        if let Some(receipts) = self.more(Counted::Orphaned, engine.receipts.orphaned, now_ms) {
            lines.push(Line::Orphaned { receipts });
        }
        let messages = engine.conservation.difference();
        if std::mem::replace(&mut self.difference, messages) != messages && messages != 0 {
            lines.push(Line::Difference { messages });
        }
        lines
    }

    /// How often it happened since it was told last, if it is to be told now.
    fn more(&mut self, what: Counted, count: u64, now_ms: u64) -> Option<u64> {
        let told = self.told.get(&what).copied();
        let (before, next_ms) = told.unwrap_or((0, 0));
        if count == before || now_ms < next_ms {
            return None;
        }
        self.told.insert(what, (count, now_ms + EVERY_MS));
        Some(count.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::telemetry::{AccountFigures, CarrierFigures, SessionFigures};

    #[test]
    fn what_begins_is_told_at_once_and_what_goes_on_once_a_minute_with_how_often() {
        let config = Config::demo(std::path::Path::new("data")).with_carrier("north", "127.0.0.1:1", "standard");
        let plan = crate::app::plan::of(&config).unwrap();
        let mut engine = EngineSnapshot {
            accounts: vec![AccountFigures::default()],
            carriers: vec![CarrierFigures::default()],
            ..EngineSnapshot::default()
        };
        let mut links = LinkSnapshot { accounts: vec![SessionFigures::default()], ..LinkSnapshot::default() };
        let mut lines = Lines::default();
        assert_eq!(lines.of(&engine, &links, &plan, 1_000), []);
        links.accounts[0].refusals[0] = 700;
        engine.carriers[0].outcomes.throttled = 2;
        engine.carriers[0].rate_allowed = Some(40.0);
        engine.carriers[0].health.state = HealthState::Out;
        engine.carriers[0].health.cause = "answers";
        let cause = refusal_cause(0);
        assert_eq!(
            lines.of(&engine, &links, &plan, 2_000),
            [
                Line::Health { carrier: "north".into(), before: "well", now: "out", cause: "answers" },
                Line::Throttled { carrier: "north".into(), answers: 2, allowed_per_s: Some(40) },
                Line::Refused { account: "demo".into(), cause, requests: 700 },
            ]
        );
        links.accounts[0].refusals[0] = 1_000;
        engine.conservation.accepted = 1;
        assert_eq!(lines.of(&engine, &links, &plan, 3_000), [Line::Difference { messages: 1 }]);
        links.accounts[0].refusals[0] = 90_000;
        assert_eq!(lines.of(&engine, &links, &plan, 61_999), []);
        assert_eq!(lines.of(&engine, &links, &plan, 62_000), [Line::Refused { account: "demo".into(), cause, requests: 89_300 }]);
        assert_eq!(lines.of(&engine, &links, &plan, 200_000), [], "it has stopped");
    }
}
