//! The engine's routes from the configuration (whose accounts and carriers stand in the order of their ids).

use crate::config::{Config, ReceiptCause, Route, Sticky};
use crate::engine::health::HealthRules;
use crate::engine::routes::{CarrierRouting, Choice, Conditions, Hours, ReceiptCauses, RouteRule, Routes, SenderPattern};
use crate::link::translate::outbound::segment_rule;
use crate::model::AccountId;

/// The routes. They were checked with the configuration; what remains is told in words.
pub fn of(config: &Config) -> Result<Routes, String> {
    let rules = config.routes.iter().map(|route| rule(route, config)).collect::<Result<_, _>>()?;
    let routing = |carrier: &crate::config::Carrier| CarrierRouting {
        on_receipt: causes(&carrier.failover_on_receipt),
        segments: segment_rule(&carrier.profile),
    };
    let carriers = config.carriers.iter().map(routing).collect();
    Routes::new(rules, config.accounts.len(), carriers, config.failover_on_receipt.by_class(), health(&config.health))
        .map_err(|error| format!("routes: {error}"))
}

fn rule(route: &Route, config: &Config) -> Result<RouteRule, String> {
    let mut choices = Vec::new();
    for (entry, rank) in route.carriers.iter().zip(route.ranks()) {
        let (carrier, _) = config.carrier_by_name(&entry.carrier).ok_or_else(|| format!("route to unknown carrier {}", entry.carrier))?;
        let cost = (entry.cost.unwrap_or(0.0) * 1e6).round() as u64;
        choices.push(Choice { carrier, rank, weight: entry.weight, cost });
    }
    let prefixes: Vec<String> = route.all_prefixes().into_iter().map(str::to_owned).collect();
    let exception = route.is_exception();
    Ok(RouteRule {
        name: route.name.clone(),
        conditions: exception.then(|| conditions(route, prefixes.clone(), config)),
        prefixes: match prefixes.is_empty() {
            true => vec![String::new()],
            false => prefixes,
        },
        choices,
        sticky: route.sticky == Sticky::Number,
        on_receipt: route.failover_on_receipt.as_deref().map(causes),
    })
}

fn conditions(route: &Route, prefixes: Vec<String>, config: &Config) -> Conditions {
    let named = |name: &String| config.accounts.iter().position(|account| account.name == *name).map(|at| AccountId(at as u32));
    let (from, to) = route.hours();
    let pattern = |pattern: &crate::config::SourcePattern| {
        let (text, open) = pattern.parts();
        SenderPattern { text: text.as_bytes().into(), open }
    };
    Conditions {
        accounts: route.accounts.iter().filter_map(named).collect(),
        classes: route.classes.iter().fold(0, |bits, &class| bits | 1 << class as u8),
        prefixes,
        attributes: [route.countries.clone(), route.operators.clone(), route.regions.clone(), route.kinds.clone()],
        tags: route.tags.clone(),
        senders: route.senders.iter().map(pattern).collect(),
        // Both lists name the kinds in the same order.
        texts: route.texts.iter().fold(0, |bits, &kind| bits | 1 << kind as u8),
        segments: (route.min_segments.is_some() || route.max_segments.is_some()).then(|| route.segments()),
        hours: route.has_hours().then(|| Hours {
            from,
            to,
            days: route.days.iter().fold(0, |bits, &day| bits | 1 << day as u8),
            zone: route.zone.tz().clone(),
        }),
    }
}

fn causes(listed: &[ReceiptCause]) -> ReceiptCauses {
    let mut causes = ReceiptCauses::default();
    for cause in listed {
        match cause {
            ReceiptCause::State(state) => causes.states |= 1 << *state as u8,
            ReceiptCause::Code(code) => causes.codes.push(*code),
        }
    }
    causes
}

fn health(health: &crate::config::Health) -> HealthRules {
    HealthRules {
        enabled: health.enabled,
        window_ms: u64::from(health.window_s) * 1000,
        min_sample: health.min_sample,
        failed_percent: u32::from(health.failed_percent),
        receipts_failed_percent: u32::from(health.receipts_failed_percent),
        slow_ms: u64::from(health.slow_ms),
        pause_ms: u64::from(health.pause_s) * 1000,
        pause_max_ms: u64::from(health.pause_max_s) * 1000,
        probes: health.probes,
        slow_start_ms: u64::from(health.slow_start_s) * 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_configuration_and_engine_agree() {
        assert_eq!(health(&crate::config::Health::default()), HealthRules::default());
    }
}
