//! The engine's plan from the configuration (whose accounts and carriers stand in the order of their ids).

use crate::config::{ClassPolicy, Config, ReceiptIdHabit};
use crate::engine::plan::{AccountPlan, Bounds, CarrierPlan, ClassPlan, Plan};
use crate::link::translate::outbound::segment_rule;
use crate::model::{CarrierId, Class};
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
    Ok(Plan {
        node: config.gateway.node,
        accounts: config.accounts.iter().map(account).collect(),
        carriers: config.carriers.iter().map(carrier).collect(),
        routes: PrefixTable::new(rows).map_err(|error| format!("routes: {error}"))?,
        classes: Class::ALL.map(|of| class(of, config.class.of(of))),
        bounds: Bounds {
            max_messages: config.gateway.max_waiting as usize,
            max_body_octets: config.gateway.max_waiting_bytes as usize,
            journal_octets: config.gateway.journal_max_bytes,
            ..Bounds::default()
        },
    })
}

fn account(account: &crate::config::Account) -> AccountPlan {
    AccountPlan {
        name: account.name.clone(),
        rate_per_s: account.rate_per_s,
        max_waiting: account.max_waiting,
        max_outbox: account.max_waiting as usize,
        outbox_age_ms: u64::from(account.receipts.max_age_h) * HOUR_MS,
        correcting_receipt: account.receipts.correcting,
        service_numbers: Vec::new(),
    }
}

fn carrier(carrier: &crate::config::Carrier) -> CarrierPlan {
    let habits = &carrier.profile.receipts;
    CarrierPlan {
        name: carrier.name.clone(),
        rate_per_s: carrier.rate_per_s,
        burst: carrier.burst,
        marketing_reserve_percent: carrier.marketing_reserve_percent,
        segments: segment_rule(&carrier.profile),
        one_receipt: habits.one_per_message,
        always_ask_receipt: false,
        never_ask_receipt: false,
        no_receipt_after_ms: u64::from(habits.no_receipt_after_h) * HOUR_MS,
        id_form: id_form(habits.id),
        inbound_account: None,
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

fn class(class: Class, policy: &ClassPolicy) -> ClassPlan {
    let resend_in_doubt = class != Class::Otp;
    ClassPlan {
        validity_ms: u64::from(policy.default_validity_s) * 1000,
        retry_ms: policy.retry_s.iter().map(|&s| u64::from(s) * 1000).collect(),
        max_attempts: policy.max_attempts.min(255) as u8,
        // A code is of no use after its minutes: its doubt may wait for the whole of its short life. Others go out again soon.
        doubt_wait_ms: if resend_in_doubt { 10_000 } else { 60_000 },
        resend_in_doubt,
    }
}
