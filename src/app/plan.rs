//! The engine's plan from the configuration (whose accounts and carriers stand in the order of their ids).

use crate::config::{ClassPolicy, Config, OctetRule, ReceiptIdHabit};
use crate::engine::plan::{AccountPlan, Bounds, CarrierPlan, ClassPlan, LimitPlan, Plan};
use crate::link::translate::outbound::segment_rule;
use crate::model::{AccountId, CarrierId, Class};
use crate::number::HomeRegion;
use crate::number::prefix::PrefixTable;
use crate::text::id_form::IdForm;

const HOUR_MS: u64 = 3_600_000;

/// The plan. Routes were checked with the configuration; what remains is told in words.
pub fn of(config: &Config) -> Result<Plan, String> {
    let carrier_id = |name: &String| config.carrier_by_name(name).map(|(id, _)| id).ok_or(format!("route to unknown carrier {name}"));
    let mut rows = Vec::new();
    for route in &config.routes {
        let carriers: Vec<CarrierId> = route.carriers.iter().map(carrier_id).collect::<Result<_, _>>()?;
        rows.push((route.prefix.as_str(), carriers));
    }
    let home = HomeRegion::from_iso(&config.gateway.home_region)
        .ok_or_else(|| format!("gateway.home_region: '{}' is no country with a numbering plan", config.gateway.home_region))?;
    Ok(Plan {
        node: config.gateway.node,
        home,
        home_zone: config.gateway.home_zone.clone(),
        ranges: super::ranges::load(&config.ranges, home).map_err(|error| format!("the range table is refused:\n{error}"))?,
        accounts: config.accounts.iter().map(account).collect(),
        carriers: config.carriers.iter().map(|of| carrier(of, config)).collect(),
        routes: PrefixTable::new(rows).map_err(|error| format!("routes: {error}"))?,
        classes: Class::ALL.map(|of| class(config.class.of(of))),
        limits: config.limits.iter().map(|of| limit(of, config)).collect(),
        bounds: Bounds {
            max_messages: config.gateway.max_waiting as usize,
            max_body_octets: config.gateway.max_waiting_bytes as usize,
            journal_octets: config.gateway.journal_max_bytes,
            max_parked: config.gateway.max_parked_receipts as usize,
            parked_age_ms: u64::from(config.gateway.parked_age_s) * 1000,
            max_inbound_parts: config.gateway.max_inbound_parts as usize,
            inbound_age_ms: u64::from(config.gateway.inbound_age_s) * 1000,
            failover_after_ms: config.gateway.failover_after_ms,
            max_in_memory: config.gateway.max_in_memory as usize,
            cold_after_ms: u64::from(config.gateway.defer_on_disk_s) * 1000,
            sent_cold_after_ms: u64::from(config.gateway.sent_on_disk_s) * 1000,
            ..Bounds::default()
        },
        rules: super::rules::of(config)?,
    })
}

fn account(account: &crate::config::Account) -> AccountPlan {
    AccountPlan {
        name: account.name.clone(),
        rate_per_s: account.rate_per_s,
        weight: account.weight,
        max_waiting: account.max_waiting,
        max_outbox: account.max_outbox as usize,
        outbox_age_ms: u64::from(account.receipts.max_age_h) * HOUR_MS,
        correcting_receipt: account.receipts.correcting,
        service_numbers: account.service_numbers.iter().map(|number| number.as_bytes().to_vec()).collect(),
    }
}

fn carrier(carrier: &crate::config::Carrier, config: &Config) -> CarrierPlan {
    let named = |name: &String| config.accounts.iter().position(|account| account.name == *name);
    let habits = &carrier.profile.receipts;
    CarrierPlan {
        name: carrier.name.clone(),
        rate_per_s: carrier.rate_per_s,
        burst: carrier.burst,
        bind_rate_per_s: carrier.bind_rate_per_s,
        floor_per_s: carrier.floor_per_s,
        slow_answer_ms: carrier.slow_answer_ms,
        marketing_reserve_percent: carrier.marketing_reserve_percent,
        segments: segment_rule(&carrier.profile),
        one_receipt: habits.one_per_message,
        always_ask_receipt: matches!(carrier.profile.shaping.registered_delivery, OctetRule::Fixed(bits) if bits & 3 != 0),
        never_ask_receipt: matches!(carrier.profile.shaping.registered_delivery, OctetRule::Fixed(bits) if bits & 3 == 0),
        no_receipt_after_ms: u64::from(habits.no_receipt_after_h) * HOUR_MS,
        id_form: id_form(habits.id),
        inbound_account: carrier.inbound_account.as_ref().and_then(named).map(|at| AccountId(at as u32)),
    }
}

/// A limit; the names in it were checked with the configuration.
fn limit(limit: &crate::config::Limit, config: &Config) -> LimitPlan {
    let account = |name: &String| config.accounts.iter().position(|account| account.name == *name).map(|at| AccountId(at as u32));
    LimitPlan {
        name: limit.name.clone(),
        carrier: limit.carrier.as_ref().and_then(|name| config.carrier_by_name(name)).map(|(id, _)| id),
        class: limit.class,
        account: limit.account.as_ref().and_then(account),
        campaign: limit.campaign.clone(),
        sender: limit.sender.as_ref().map(|sender| match sender.strip_suffix('*') {
            Some(start) => (start.as_bytes().to_vec(), true),
            None => (sender.as_bytes().to_vec(), false),
        }),
        prefix: limit.prefix.clone(),
        country: limit.country.clone(),
        operator: limit.operator.clone(),
        region: limit.region.clone(),
        rate_per_s: limit.rate_per_s,
        burst: limit.burst,
    }
}

fn id_form(habit: ReceiptIdHabit) -> Option<IdForm> {
    match habit {
        ReceiptIdHabit::Auto => None,
        ReceiptIdHabit::Same | ReceiptIdHabit::Folded => Some(IdForm::StripZeros),
        ReceiptIdHabit::HexThenDecimal => Some(IdForm::DecimalToHex),
        ReceiptIdHabit::DecimalThenHex => Some(IdForm::HexToDecimal),
    }
}

fn class(policy: &ClassPolicy) -> ClassPlan {
    ClassPlan {
        share_percent: policy.share_percent,
        hours: policy.hours.clone(),
        spread_ms: u64::from(policy.spread_s) * 1000,
        retry_by_status: policy
            .retry_by_status
            .iter()
            .filter_map(|(status, pauses)| Some((crate::config::status_of(status)?, pauses.iter().map(|&s| u64::from(s) * 1000).collect())))
            .collect(),
        validity_ms: u64::from(policy.default_validity_s) * 1000,
        retry_ms: policy.retry_s.iter().map(|&s| u64::from(s) * 1000).collect(),
        max_attempts: policy.max_attempts.min(255) as u8,
        doubt_wait_ms: u64::from(policy.doubt_wait_s) * 1000,
        resend_in_doubt: policy.resend_in_doubt,
    }
}
