//! The routes of a world, and which carriers they leave to each message, told a second time in other words, for the judge.

use super::Settings;
use super::judge::Record;
use crate::engine::health::HealthRules;
use crate::engine::routes::{CarrierRouting, Choice, Conditions, ReceiptCauses, RouteRule, Routes};
use crate::model::state::ReceiptState;
use crate::model::{AccountId, CarrierId, Class};

/// Receipts after which another carrier is tried.
pub const CAUSES: [ReceiptState; 2] = [ReceiptState::Undeliverable, ReceiptState::Rejected];
/// Numbers that the first carrier must not have.
const APART: &str = "861380000102";

/// The routes: two carriers in order; or three behind exceptions and weights.
pub fn routes(settings: &Settings) -> Routes {
    let [north, south, west] = [0, 1, 2].map(CarrierId);
    if !settings.rules {
        let carriers = [north, south][..super::plan::carriers_of(settings)].to_vec();
        return Routes::plain([("86", carriers)]).expect("a prefix");
    }
    let weighted = |carrier, weight| Choice { weight: Some(weight), ..Choice::ranked(carrier, 0) };
    let exception =
        |conditions: Conditions, choices: Vec<Choice>| RouteRule { conditions: Some(conditions), choices, ..RouteRule::default() };
    let codes = Conditions { accounts: vec![AccountId(0)], ..Conditions::default() };
    let apart = Conditions { prefixes: vec![APART.to_owned()], ..Conditions::default() };
    let long = Conditions { segments: Some((2, 255)), classes: 1 << Class::Marketing as u8, ..Conditions::default() };
    let rules = vec![
        exception(codes, vec![Choice::ranked(north, 0), Choice::ranked(west, 1)]),
        exception(apart, vec![weighted(south, 1), weighted(west, 2)]),
        RouteRule { sticky: true, ..exception(long, vec![weighted(south, 1), weighted(west, 1)]) },
        RouteRule {
            prefixes: vec!["86".to_owned()],
            choices: vec![weighted(north, 3), weighted(south, 1), Choice::ranked(west, 1)],
            ..RouteRule::default()
        },
    ];
    let states = CAUSES.iter().fold(0, |bits, &state| bits | 1 << state as u8);
    let carrier = CarrierRouting { on_receipt: ReceiptCauses { states, codes: Vec::new() }, ..CarrierRouting::default() };
    let health = HealthRules {
        min_sample: settings.health_sample,
        window_ms: 5_000,
        pause_ms: 500,
        pause_max_ms: 8_000,
        probes: 2,
        slow_start_ms: 2_000,
        ..HealthRules::default()
    };
    Routes::new(rules, super::plan::ACCOUNTS.len(), vec![carrier; 3], settings.reroutes, health).expect("prefixes")
}

/// The carriers that may have the message.
pub fn allowed(settings: &Settings, record: &Record) -> Vec<u16> {
    // Whatever the alphabet's headers take, 160 characters are one segment and 161 are more.
    let long = record.text.len() > 160 && record.class == Class::Marketing;
    // A text that is replaced may get shorter, or longer.
    let either = record.to_replace && record.class == Class::Marketing;
    match (settings.rules, record.account) {
        (false, _) => (0..super::plan::carriers_of(settings) as u16).collect(),
        (true, 0) => vec![0, 2],
        (true, _) if record.digits.starts_with(APART) || long && !either => vec![1, 2],
        (true, _) => vec![0, 1, 2],
    }
}
