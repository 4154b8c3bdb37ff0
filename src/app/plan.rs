//! The engine's plan from the configuration (whose accounts and carriers stand in the order of their ids).

use crate::config::{ClassPolicy, Config, OctetRule, ReceiptIdHabit};
use crate::engine::plan::{AccountPlan, BalancePlan, Bounds, CarrierPlan, ClassPlan, DedupePlan, LimitPlan, Plan};
use crate::link::translate::outbound::segment_rule;
use crate::model::{AccountId, Class};
use crate::number::prefix::PrefixTable;
use crate::number::{HomeRegion, RangeId, RangeTable};
use crate::text::id_form::IdForm;
use std::sync::Arc;

const HOUR_MS: u64 = 3_600_000;

/// The plan. Routes were checked with the configuration; what remains is told in words.
pub fn of(config: &Config) -> Result<Plan, String> {
    let home = HomeRegion::from_iso(&config.gateway.home_region)
        .ok_or_else(|| format!("gateway.home_region: '{}' is no country with a numbering plan", config.gateway.home_region))?;
    let ranges = super::ranges::load(&config.ranges, home).map_err(|error| format!("the range table is refused:\n{error}"))?;
    Ok(Plan {
        node: config.gateway.node,
        home,
        home_zone: config.gateway.home_zone.clone(),
        accounts: config.accounts.iter().map(|of| account(of, &ranges)).collect::<Result<_, _>>()?,
        ranges,
        carriers: config.carriers.iter().map(|of| carrier(of, config)).collect(),
        routes: Arc::new(super::routes::of(config)?),
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
            matured_after_ms: u64::from(config.metrics.matured_after_s) * 1000,
            max_quality_rows: config.metrics.max_ranges as usize,
            sent_cold_after_ms: u64::from(config.gateway.sent_on_disk_s) * 1000,
            ..Bounds::default()
        },
        rules: super::rules::of(config)?,
    })
}

fn account(account: &crate::config::Account, ranges: &RangeTable) -> Result<AccountPlan, String> {
    let dedupe = &account.dedupe;
    let balance = account.balance.as_ref().map(|balance| {
        let prices = PrefixTable::new(balance.prices.iter().map(|(prefix, &price)| (prefix.as_str(), price)));
        let prices = prices.map_err(|error| format!("prices of {}: {error}", account.name))?;
        let by_range = range_prices(&balance.range_prices, ranges).map_err(|error| format!("range_prices of {}: {error}", account.name))?;
        Ok::<_, String>(BalancePlan { limit: balance.limit, prices, by_range })
    });
    Ok(AccountPlan {
        name: account.name.clone(),
        rate_per_s: account.rate_per_s,
        weight: account.weight,
        max_waiting: account.max_waiting,
        max_outbox: account.max_outbox as usize,
        outbox_age_ms: u64::from(account.receipts.max_age_h) * HOUR_MS,
        inbound_by_hook: account.hook.as_ref().is_some_and(|hook| hook.inbound)
            || account.events.as_ref().is_some_and(|events| events.inbound),
        correcting_receipt: account.receipts.correcting,
        service_numbers: account.service_numbers.iter().map(|number| number.as_bytes().to_vec()).collect(),
        dedupe: DedupePlan {
            window_ms: u64::from(dedupe.window_s) * 1000,
            action: dedupe.action,
            max_entries: dedupe.max_entries as usize,
            identity_ms: u64::from(dedupe.identity_h) * HOUR_MS,
            max_identities: dedupe.max_identities as usize,
        },
        balance: balance.transpose()?,
    })
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

/// The price of each range by the first row that fits it; empty if there are no rows. An attribute that no range has is a mistake.
fn range_prices(rows: &[crate::config::RangePrice], ranges: &RangeTable) -> Result<Vec<Option<u32>>, String> {
    for text in rows.iter().flat_map(|row| [&row.country, &row.operator, &row.region]).flatten() {
        if ranges.id_of(text).is_none() {
            return Err(format!("no range has '{text}'; allowed: what `hongyan ranges lookup` shows of a number"));
        }
    }
    let price = |id: RangeId| {
        let range = ranges.get(id);
        let fits = |wanted: &Option<String>, has| wanted.as_ref().is_none_or(|wanted| ranges.name(has) == wanted);
        let row = rows
            .iter()
            .find(|row| fits(&row.country, range.country) && fits(&row.operator, range.operator) && fits(&row.region, range.region));
        row.map(|row| row.price)
    };
    let (_, _, count) = ranges.counts();
    Ok(if rows.is_empty() { Vec::new() } else { (0..count as u32).map(|id| price(RangeId(id))).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RangePrice;

    #[test]
    fn the_first_row_that_fits_a_range_is_its_price_and_prefixes_are_for_the_rest() {
        let ranges = RangeTable::shipped();
        let number = |digits: &str| crate::number::pack(digits.as_bytes()).unwrap();
        let of = |digits: &str| ranges.get(ranges.find(number(digits)).unwrap());
        let operator = ranges.name(of("8613800138000").operator).to_owned();
        let rows = [
            RangePrice { operator: Some(operator), price: 40, ..RangePrice::default() },
            RangePrice { country: Some("CN".into()), price: 50, ..RangePrice::default() },
        ];
        let by_range = range_prices(&rows, &ranges).unwrap();
        let plan = BalancePlan { limit: 0, prices: PrefixTable::new([("", 900)]).unwrap(), by_range };
        let prices = ["8613800138000", "8613000000000", "447911123456"].map(|digits| plan.price(number(digits), &ranges));
        assert_eq!(prices, [Some(40), Some(50), Some(900)]);
        let wrong = [RangePrice { operator: Some("Nobody".into()), price: 1, ..RangePrice::default() }];
        assert!(range_prices(&wrong, &ranges).unwrap_err().contains("'Nobody'"));
        assert!(range_prices(&[], &ranges).unwrap().is_empty());
    }
}
