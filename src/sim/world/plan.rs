//! The configuration of a world's gateway: accounts, carriers, and the plan that the engine decides by.

use super::Settings;
use super::books::PRICE;
use crate::config;
use crate::engine::plan::{AccountPlan, BalancePlan, Bounds, CarrierPlan, ClassPlan, DedupePlan, Plan};
use crate::model::{Class, DuplicateAction};
use crate::number::HomeRegion;
use crate::number::prefix::PrefixTable;
use crate::sim::behaviour::Dice;
use crate::text::segment::{Concatenation, SegmentRule};
use std::sync::Arc;

/// Names of the accounts that have sessions, one of each class; also their passwords.
pub const ACCOUNTS: [&str; 3] = ["codes", "notices", "sales"];
/// The same, and after them two that hand in their messages through the engine's door only.
pub const ALL_ACCOUNTS: [&str; 5] = ["codes", "notices", "sales", "bank", "shop"];
/// Names of the carriers; the last one only where there are rules.
pub const CARRIERS: [&str; 3] = ["north", "south", "west"];
/// After such a silence a bind is asked whether it lives, and given up after the other, milliseconds.
pub const ENQUIRE_MS: u64 = 30_000;
/// See [`ENQUIRE_MS`].
pub const ENQUIRE_TIMEOUT_MS: u64 = 3_000;
/// An orphaned receipt and a message without receipt are given up after these, milliseconds; more than the wall clock ever errs.
const PARKED_AGE_MS: u64 = 600_000;
const NO_RECEIPT_AFTER_MS: u64 = 1_200_000;

/// How many carriers there are.
pub fn carriers_of(settings: &Settings) -> usize {
    match &settings.dispatch {
        Some(dispatch) => dispatch.carriers.len(),
        None if settings.rules => 3,
        None => 2,
    }
}

/// How many accounts there are.
pub fn accounts_of(settings: &Settings) -> usize {
    if settings.dispatch.is_some() { ALL_ACCOUNTS.len() } else { ACCOUNTS.len() }
}

/// An account with sessions.
pub fn account(name: &str, class: Class) -> config::Account {
    config::Account {
        class,
        window: 30,
        receipts: config::AccountReceipts { window: 5, ..Default::default() },
        ..config::Account::plain(name, name)
    }
}

/// A carrier, as its links see it.
pub fn carrier(name: &str, concatenation: config::Concatenation, settings: &Settings, dice: &mut Dice) -> config::Carrier {
    let profile = config::Profile {
        shaping: config::Shaping { concatenation, ..Default::default() },
        ..config::Profile::shipped("standard").expect("it ships")
    };
    config::Carrier {
        window: settings.dispatch.as_ref().and_then(|dispatch| dispatch.window).unwrap_or([1, 4, 10][dice.up_to(2) as usize]),
        rate_per_s: settings.rate_per_s,
        timers: config::CarrierTimers {
            response_timeout_ms: settings.response_timeout_ms,
            late_response_ms: 60_000,
            enquire_link_ms: ENQUIRE_MS,
            enquire_link_timeout_ms: ENQUIRE_TIMEOUT_MS,
            ..Default::default()
        },
        ..config::Carrier::to_host(name, "127.0.0.1:2775", profile)
    }
}

/// What the engine decides by.
pub fn plan(settings: &Settings, carriers: &[config::Carrier], dice: &mut Dice) -> Plan {
    let class = |resend_in_doubt: bool| ClassPlan {
        share_percent: 10,
        hours: Vec::new(),
        spread_ms: 0,
        retry_by_status: Vec::new(),
        validity_ms: 900_000,
        retry_ms: vec![500, 2_000],
        max_attempts: 3,
        doubt_wait_ms: 4_000,
        resend_in_doubt,
    };
    let always_ask = dice.chance(0.5);
    let carriers = carriers.iter().map(|carrier| CarrierPlan {
        name: carrier.name.clone(),
        rate_per_s: carrier.rate_per_s,
        burst: 0,
        bind_rate_per_s: None,
        floor_per_s: 1,
        slow_answer_ms: 0,
        marketing_reserve_percent: 10,
        segments: SegmentRule::new(match carrier.profile.shaping.concatenation {
            config::Concatenation::Udh8 => Concatenation::Udh8,
            config::Concatenation::Udh16 => Concatenation::Udh16,
            config::Concatenation::Sar => Concatenation::Sar,
            config::Concatenation::Payload => Concatenation::Payload,
        }),
        one_receipt: false,
        always_ask_receipt: always_ask,
        never_ask_receipt: false,
        no_receipt_after_ms: NO_RECEIPT_AFTER_MS,
        id_form: None,
        inbound_account: None,
    });
    let account = |name: &&str| AccountPlan {
        name: (*name).to_owned(),
        rate_per_s: None,
        weight: 1,
        max_waiting: 1_000_000,
        max_outbox: 100_000,
        outbox_age_ms: 72 * 3_600_000,
        inbound_by_hook: false,
        correcting_receipt: false,
        service_numbers: ACCOUNTS.contains(name).then(|| super::listing::service(name).into_bytes()).into_iter().collect(),
        dedupe: DedupePlan {
            // Longer than the wall clock ever errs.
            window_ms: if settings.repeated_share > 0.0 { 3_600_000 } else { 0 },
            action: if *name == ACCOUNTS[1] { DuplicateAction::Refuse } else { DuplicateAction::Drop },
            ..DedupePlan::default()
        },
        balance: settings.limit.map(|limit| BalancePlan {
            limit,
            prices: PrefixTable::new([("", PRICE)]).expect("one prefix"),
            by_range: Vec::new(),
        }),
    };
    let mut plan = Plan {
        node: 1,
        home: HomeRegion::CHINA,
        home_zone: crate::config::Zone::default(),
        ranges: crate::number::RangeTable::shipped(),
        accounts: ALL_ACCOUNTS[..accounts_of(settings)].iter().map(account).collect(),
        routes: Arc::new(super::routing::routes(settings)),
        carriers: carriers.collect(),
        classes: [class(false), class(true), class(true)],
        limits: Vec::new(),
        bounds: Bounds {
            journal_octets: settings.journal_octets,
            max_in_memory: settings.max_in_memory,
            cold_after_ms: settings.cold_after_ms,
            sent_cold_after_ms: settings.sent_cold_after_ms,
            notes_per_run: settings.notes_per_run,
            parked_age_ms: PARKED_AGE_MS,
            failover_after_ms: 1_000,
            ..Bounds::default()
        },
        rules: super::listing::rules(),
    };
    if let Some(dispatch) = &settings.dispatch {
        dispatch.apply(&mut plan);
    }
    plan
}
